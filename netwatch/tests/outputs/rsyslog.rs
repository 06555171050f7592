//! rsyslog, over UDP, TCP and TLS.

use std::fs;
use std::path::PathBuf;

use netwatch::config::{OutputTarget, SyslogAddress, SyslogTarget, SyslogTransport};
use xtask::receivers;

use crate::common::{Folder, Program, certificates, down_and_back, free_port, skip, too_long, until};

/// What rsyslog needs to be started, again and again, at one port.
struct Rsyslog {
    program: receivers::Program,
    folder: Folder,
    port: u16,
}

impl Rsyslog {
    fn new(transport: SyslogTransport) -> Option<Self> {
        let program =
            receivers::program("rsyslogd", &["rsyslog", "rsyslog-gnutls", "libestr0", "libfastjson4"])?;
        let (folder, port) = (Folder::new("rsyslog"), free_port());
        let place = |name: &str| folder.path().join(name).display().to_string();
        let input = match transport {
            SyslogTransport::Udp => "module(load=\"imudp\") input(type=\"imudp\"",
            SyslogTransport::Tcp => "module(load=\"imtcp\") input(type=\"imtcp\"",
            SyslogTransport::Tls => {
                certificates(&folder);
                "module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")
                 input(type=\"imtcp\""
            }
        };
        let mut global = format!("workDirectory=\"{}\"", folder.path().display());
        if transport == SyslogTransport::Tls {
            let files = (place("ca.pem"), place("cert.pem"), place("key.pem"));
            global += &format!(
                " defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\"
                 defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\"",
                files.0, files.1, files.2
            );
        }
        let configuration = format!(
            "global({global})
             {input} address=\"127.0.0.1\" port=\"{port}\")
             template(name=\"all\" type=\"string\" string=\"%pri%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\\n\")
             *.* action(type=\"omfile\" file=\"{}\" template=\"all\")\n",
            place("out")
        );
        fs::write(folder.path().join("conf"), configuration).unwrap();
        Some(Self { program, folder, port })
    }

    fn start(&self) -> Program {
        let mut command = self.program.command();
        if let Some(root) = &self.program.root {
            let modules = root.join("usr/lib").join(format!("{}-linux-gnu/rsyslog", std::env::consts::ARCH));
            command.arg("-M").arg(modules);
        }
        command.arg("-n").arg("-f").arg(self.folder.path().join("conf"));
        Program::start(command.arg("-i").arg(self.folder.path().join("pid")))
    }

    /// What it wrote of netwatch: it says things of its own, too.
    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
        text.lines().filter(|line| line.contains("|netwatch|")).map(str::to_owned).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.lines().iter().map(|line| line.rsplit('|').next().unwrap().trim().to_owned()).collect()
    }

    fn target(&self, transport: SyslogTransport) -> OutputTarget {
        let ca_file: Option<PathBuf> =
            (transport == SyslogTransport::Tls).then(|| self.folder.path().join("ca.pem"));
        let address = SyslogAddress { transport, host: "127.0.0.1".into(), port: self.port };
        OutputTarget::Syslog(SyslogTarget {
            address,
            facility: Default::default(),
            enterprise_id: 32_473,
            ca_file,
        })
    }
}

fn each(transport: SyslogTransport) {
    let Some(rsyslog) = Rsyslog::new(transport) else { return skip("no rsyslogd") };
    down_and_back(rsyslog.target(transport), || rsyslog.start(), || rsyslog.texts());
    let lines = rsyslog.lines();
    let expect = "132|edge-17|netwatch|scan.vertical|[netwatch@32473 rule=\"scan.vertical\" state=\"open\" \
                  incident=\"7f3a-1\" severity=\"medium\" src=\"203.0.113.7\" interface=\"eth0\" observed=\"1000\" \
                  threshold=\"10\" window=\"PT60S\"]|line 1";
    assert_eq!(lines[0], expect);
    let Some(rsyslog) = Rsyslog::new(transport) else { return skip("no rsyslogd") };
    too_long(rsyslog.target(transport), || rsyslog.start(), || rsyslog.texts());
}

#[test]
fn rsyslog_over_udp() {
    each(SyslogTransport::Udp);
}

#[test]
fn rsyslog_over_tcp() {
    each(SyslogTransport::Tcp);
}

#[test]
fn rsyslog_over_tls() {
    each(SyslogTransport::Tls);
}

#[test]
fn who_cannot_show_a_certificate_gets_nothing() {
    let Some(rsyslog) = Rsyslog::new(SyslogTransport::Tls) else { return skip("no rsyslogd") };
    let program = rsyslog.start();
    // Somebody else's authority.
    let other = Folder::new("other");
    certificates(&other);
    let OutputTarget::Syslog(mut target) = rsyslog.target(SyslogTransport::Tls) else { panic!("syslog") };
    target.ca_file = Some(other.path().join("ca.pem"));
    let mut output = crate::common::Output::start(OutputTarget::Syslog(target), 10);
    output.offer(1..=1);
    until("it is refused", || output.state().trouble.is_some_and(|why| why.contains("certificate")));
    assert_eq!(rsyslog.texts(), Vec::<String>::new());
    // Read again, it is the right one.
    fs::copy(rsyslog.folder.path().join("ca.pem"), other.path().join("ca.pem")).unwrap();
    output.0.reopen();
    until("it arrives", || rsyslog.texts() == ["line 1"]);
    output.finish(1);
    drop(program);
}
