//! What is sent to other services.

use super::{Case, Tcp, Udp, case};

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

pub(super) fn service_cases() -> Vec<Case> {
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
