//! What the rules mean, in the order of the table.

use super::Text;

pub(super) const SCAN_VERTICAL: Text = Text {
    measures: "Distinct destination ports with evidence of a scan that one source sends to within the window, TCP \
        and UDP apart. Evidence is a TCP SYN, TCP with flags that no connection uses, UDP that is no reply, or a \
        first fragment too small to show its flags. Packets with ACK of no known connection (ACK, Window and Maimon \
        scans) count where they go to more than ten ports and the source talks on less than a fifth of them. A \
        local source may try ten times as many.",
    fires: "Looking for open ports comes before most attacks, and an ordinary client knows which few ports it \
        wants. The eleventh port fires, the tenth does not. The incident stands for all that the scan consists of: \
        while it is open, neither scan.horizontal nor a dos rule tells of its probes, which are up to four packets \
        for each probed port of a destination.",
    spares: "Replies to your own connections, late FIN and RST packets, retransmissions to the same port, later \
        fragments (they have no ports), and one source that opens many connections to one port. A source that \
        probes with odd flags is told as scan.stealth instead.",
    advice: "Look up who owns the source, and whether any port answered it. Put your own scanners and monitoring on \
        the allow-list; name your own networks in `local`. Raise the threshold where one address stands for many \
        people, such as a proxy or a translated network.",
};

pub(super) const SCAN_STEALTH: Text = Text {
    measures: "Distinct destination ports that one source sends to, within the window, with TCP flags that no \
        connection begins with (NULL, FIN, XMAS, SYN+FIN, SYN+RST and other odd ones), or with first fragments too \
        small to show their flags. A local source may try ten times as many.",
    fires: "No ordinary program makes such packets: they are made to learn which ports are open without being \
        noticed. So few of them are enough, and the severity is high. It takes the place of scan.vertical for such a \
        source, so that one scan is one incident; the alert names the technique.",
    spares: "FIN and RST packets with an ACK, which end ordinary connections, however late they come; packets of known \
        connections; and ACK, Window and Maimon scans, which scan.vertical counts because single packets of that kind \
        are common.",
    advice: "Take it seriously where the source is one of yours: the host runs a scanner, or somebody on it does. \
        Elsewhere look at which ports answered, and whether ordinary traffic of the same source follows. Put your own \
        scanners on the allow-list.",
};

pub(super) const SCAN_HORIZONTAL: Text = Text {
    measures: "Distinct local destinations to which one source sends evidence of a scan on one port within the \
        window, for each port and protocol apart. Local are the networks in `local` and those that the host is \
        connected to; where neither is known, only destinations that did not answer count. A local source may try \
        ten times as many.",
    fires: "Who tries the same port everywhere looks for one service, mostly one that can be broken into: this is how \
        worms spread and how stolen passwords are tried out.",
    spares: "Connections that answers are known of, and replies. It is held back while a scan.vertical or scan.stealth \
        of the same source explains it, which then is the one incident; and on ports 80 and 443 while a scan.sweep_icmp \
        does, because scanners ask there, too, who is up.",
    advice: "Look which of the destinations answered: they are the ones to examine. Name your networks in `local`, so \
        that netwatch knows what is yours, and put monitoring and software distribution on the allow-list.",
};

pub(super) const SCAN_SWEEP_ICMP: Text = Text {
    measures: "Distinct local addresses that one source sends ICMP requests to within the window: echo (ping), \
        timestamp and address mask, and echo in ICMPv6. Local are the networks in `local` and those that the host is \
        connected to; where neither is known, all count. A local source may ask ten times as many.",
    fires: "Asking a whole network who is there comes before scanning those who are. It costs little and harms \
        nobody, so the severity is low.",
    spares: "Any number of pings to the same few addresses, echo replies, ICMP errors, and what IPv6 needs to work \
        (neighbour discovery, router advertisements, multicast listeners).",
    advice: "Read it with what the source does next. Put your own monitoring, which pings everything all day, on the \
        allow-list.",
};

pub(super) const SCAN_SLOW: Text = Text {
    measures: "Distinct destination ports with evidence of a scan that one source sends to within an hour (`window`). \
        What is needed for this is remembered for eight hours and for at most 32,768 sources with 128 ports each, of which those with the \
        fewest ports are forgotten first. A local source may try ten times as many.",
    fires: "A scan that tries a port every few seconds, or every few minutes, stays below any threshold for a \
        minute. What gives it away is that it goes on: more than ten ports in the hour, of which at least 80 % \
        (`closed_percent`) did not answer, of a source that never completed a handshake.",
    spares: "Every source that completed a handshake, for it is a client of something; sources most of whose ports \
        answer; and scans that scan.vertical or scan.stealth tell of.",
    advice: "Somebody took the trouble to be slow: look whether the same ports were tried by neighbours of the source. \
        Shorten `window` or raise the threshold where your network has many short-lived clients that find nothing.",
};

pub(super) const SCAN_DISTRIBUTED: Text = Text {
    measures: "Distinct ports of one destination that were probed and did not answer within ten minutes (`window`), \
        over all sources that have no scan of their own.",
    fires: "Many hosts that try a few ports each can share one scan, and none of them tries enough to be told of. \
        Together they do: more than 60 ports from more than 20 sources (`sources`).",
    spares: "Ports that answered, to anybody; sources that scan.vertical or another scan rule tells of; and many \
        sources that try the same few closed ports, as the noise of the internet does.",
    advice: "The sources are not worth blocking one by one: they are many, and some of them may be decoys. Look at \
        what the destination offers on the ports that did answer. `[[allow]]` takes the destination's network here.",
};

pub(super) const DOS_UNSOLICITED: Text = Text {
    measures: "Packets of one source within the window that nobody asked for: TCP SYN whose handshake was not \
        completed, stealth scans and packets of no connection, new UDP, ICMP requests, later fragments and malformed \
        packets.",
    fires: "A flood is made of packets that no conversation explains, and so the volume of real conversations does not \
        hide it.",
    spares: "Packets of established connections, however many: downloads, backups, busy clients. Replies, and packets \
        that are the probes of a scan by the same source (up to four for each probed port of a destination). It is \
        held back while ddos.destination tells of the flood that the source takes part in.",
    advice: "Compare the rate with what the link and the service can bear. The source may be spoofed, which the alert \
        says where no handshake was completed, so ask upstream before blocking it. Raise the threshold in front of \
        busy UDP services and for clients that open many short connections.",
};

pub(super) const DOS_PACKETS: Text = Text {
    measures: "All packets of one source within the window, of every kind.",
    fires: "It is the plain count: every talkative source breaks it sooner or later. So its incidents are recorded, and \
        only told with `notify = true`, with the profile `literal`, or with `min_severity = \"info\"`.",
    spares: "Packets that are the probes of a scan by the same source (up to four for each probed port of a \
        destination). So are those of a flood of a destination that is told. Nothing else is spared.",
    advice: "Read it as a list of the busiest sources. To be told of them, set `notify = true` and a threshold that \
        your ordinary traffic stays under.",
};

pub(super) const DOS_RATE: Text = Text {
    measures: "All packets of one source in each second, on average over one slot, whether asked for or not; and its \
        bits in each second, for which `bits_per_second` is the threshold.",
    fires: "So much traffic of one source strains links and hosts even where every packet of it belongs to a \
        conversation. It fires by packets or by bits, and the alert says by which.",
    spares: "Nothing by its kind. It is held back while dos.unsolicited or ddos.destination tells of the same \
        packets.",
    advice: "Ask whether the source is meant to send that much: a backup, a replication, a test. If it is, put it on \
        the allow-list for this rule, or raise threshold and `bits_per_second` to what your link bears.",
};

pub(super) const DDOS_DESTINATION: Text = Text {
    measures: "Unsolicited packets to one of our destinations in each second, on average over one slot, and the number \
        of sources that they come from, which is an estimate where these are too many to be told apart. Ours are the networks in `local` and those that the host is connected to; \
        where neither is known, all destinations.",
    fires: "More than the threshold from more than 100 sources (`sources`) is a distributed flood. So is more than \
        five times (`learned_factor`) what is usual for this destination: the 99th percentile of what was learned \
        for it, after an hour at least and never below 1,000 packets/s.",
    spares: "Packets of established connections and replies, so that a busy server is none. While it is open, the dos \
        incidents of its sources are held back: they are this flood.",
    advice: "Call upstream: what fills the link cannot be stopped behind it. Sources are mostly forged or abused, and \
        blocking them helps little. Raise the threshold for public UDP services; `[[allow]]` takes the destination's \
        network here.",
};

pub(super) const FLOOD_SYN: Text = Text {
    measures: "TCP SYNs to one port of one destination within the window, less the handshakes completed there, over \
        all sources.",
    fires: "A service keeps memory for each connection that was begun. More than 256 that were never completed, where \
        less than 20 % (`completion_percent`) of all were, is a flood that uses it up; its sources are mostly forged.",
    spares: "Busy services, whose clients complete their handshakes. Scans and floods of one source: where a source \
        that has an incident of its own sent most of the SYNs, that incident tells of them.",
    advice: "See that SYN cookies are on (`net.ipv4.tcp_syncookies`) and that the service still answers. Do not block by \
        source where the alert says that sources may be spoofed. `[[allow]]` takes the destination's network here.",
};

pub(super) const FLOOD_FRAGMENT: Text = Text {
    measures: "Fragments other than the first that one destination is sent in each second, on average over one slot, \
        and their share of all packets to it.",
    fires: "Whoever puts fragments together keeps memory for those that lack the rest. More than 1,000 in each second \
        that make more than 20 % (`share_percent`) of the packets are rarely a conversation.",
    spares: "The fragments of large answers and tunnels where they are a small part of the traffic. Floods of one \
        source: where a source that has an incident of its own sent most of the fragments, that incident tells of them.",
    advice: "Look whether a tunnel or a service with large UDP packets runs there, and lower its packet size. Otherwise \
        fragments to the destination can be limited upstream. `[[allow]]` takes the destination's network here.",
};

pub(super) const PORT_HAMMER: Text = Text {
    measures: "Connection attempts (TCP SYN) of one source to one login port within the window, over all \
        destinations. Login ports are those in `ports`: SSH, FTP, Telnet, SMB, remote desktops, databases; \
        `ports = \"any\"` takes all.",
    fires: "Who connects to a login again and again tries out passwords. Whether the attempts succeed cannot be seen in \
        the packets, so the severity is low.",
    spares: "Any number of packets within one connection. It is held back while dos.unsolicited or a scan of the source \
        explains the attempts.",
    advice: "Look into the service's log for failed logins of the source. Programs that connect for each of their \
        tasks, such as deployment tools and database clients without a pool, belong on the allow-list.",
};

pub(super) const PORT_UNUSUAL: Text = Text {
    measures: "Connections of one source that were accepted on one port of ours within the window: TCP handshakes that \
        it completed, and on a tap, questions over UDP that were answered. Ports are those outside of `services` and of \
        what was learned: services of one address each, which are kept in `learned.json` where there is a `state_dir`.",
    fires: "A listener that nobody has declared may be a backdoor, a tool that somebody forgot, or a service that should \
        not be reachable. The first connection is told.",
    spares: "Ports in `services`, and what was accepted while netwatch learned (`learn`, 24 h by default, unless services \
        are declared). Ports that refuse or do not answer. TCP from 32768 up where the host has a connection of its own to \
        the source (active FTP), and UDP from there up: calls and peers choose such ports. It is held back while a scan of \
        the source goes on. Where it is not known which networks are ours, on a tap without `local`, and where replies \
        are told by flags, nothing is told.",
    advice: "See who listens there (`ss -ltnp`). Declare what should be there in `services`, with ranges for programs that \
        choose ports (passive FTP). Without a `state_dir` each start learns anew; with one, delete `learned.json` in it to \
        do so, such as after a host got another address.",
};

pub(super) const IOC_IP: Text = Text {
    measures: "Packets from and to one address that a feed lists, by address and feed, on either direction that netwatch \
        sees. Private and multicast addresses, and our own networks, are never looked up.",
    fires: "The first packet is told, once in an hour for each address and feed. What only knocks from outside is \
        information: everybody is scanned. It is high where a host of ours began to talk to the address, or where the \
        address completed a handshake with a host of ours. A feed can say another severity for these. Where nobody sees \
        what is sent (`--mode flags`), all of it looks like knocking.",
    spares: "Answers that hosts of ours give to what came from there, such as the reset of a closed port, do not make it \
        high.",
    advice: "Look at which host of ours talked to it, and at what the feed says about the entry \
        (`netwatch feeds lookup ADDRESS`). Feeds age: one that is never updated lists innocent people. `[[allow]]` takes the address.",
};

pub(super) const PAYLOAD_MATCH: Text = Text {
    measures: "The first bytes that each side of a new flow sends, compared with signatures: those that come with \
        netwatch, and those in files of your own. They are sampled, at a bounded rate; what was not looked at is counted.",
    fires: "A signature matched. The severity is the signature's. It says that somebody tried, not that it worked.",
    spares: "What is encrypted cannot be seen. Flows that began before netwatch, and all but the first 2 KiB of a flow, are \
        not looked at. What signatures of low severity find is a part of a scan while one of the source goes on.",
    advice: "See the signature's reference, and whether what was attacked is there at all. Signatures that are wrong about \
        your traffic can be switched off by name (`disable`).",
};

pub(super) const DEGRADED: Text = Text {
    measures: "What netwatch itself could not see in a slot: packets that were counted, but under nobody's name, because \
        there were too many sources; packets that were counted under their destination only, because there were too \
        many targets, or not even there; sources that a window has no room for; hints that were lost, slots that were \
        drained late or in part; and malformed packets where they are more than 1 % of all and more than 100.",
    fires: "An alert that is missing looks like peace. From the first such count on, netwatch says that it may have \
        missed something; alerts of that time say that counting was lossy. What destinations were sent is known all the \
        same, and the ports that a source tried are at least as many as an alert says.",
    spares: "Nothing. Losses do not make other rules fire: what was not counted is not guessed, and of sources without a \
        name nothing is said but how many they are about.",
    advice: "Give the maps more memory (`map_memory`), the machine more time, or shorten the slot; the log on stderr and \
        the summary at the end say what was lost. Where packets are malformed, look at the card and at who sends \
        them.",
};
