//! TLS, with certificates that `openssl` makes; skipped where there is none.

use std::io;
use std::path::Path;
use std::process::Command;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

/// Makes a certificate and its key.
fn certify(folder: &Path, name: &str) -> bool {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.pem")))
        .output();
    made.is_ok_and(|output| output.status.success())
}

/// Asks over TLS, trusting one certificate only.
fn ask(stage: &Stage, trusted: &Path) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stage.connect());
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

#[test]
fn certificates_are_read_again_and_bad_ones_change_nothing() {
    let folder = folder("tls");
    if !certify(&folder, "one") || !certify(&folder, "two") {
        eprintln!("skipped: there is no openssl here that makes certificates");
        return;
    }
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let put = |name: &str| {
        std::fs::copy(folder.join(format!("{name}.pem")), &cert).unwrap();
        std::fs::copy(folder.join(format!("{name}.key")), &key).unwrap();
    };
    put("one");
    let settings = WebSettings { tls_cert: Some(cert.clone()), tls_key: Some(key.clone()), ..on_loopback() };
    let patience = Patience { handshake: Duration::from_millis(500), ..Patience::default() };
    let stage = Stage::with(&settings, Known::default(), patience);
    let (one, two) = (folder.join("one.pem"), folder.join("two.pem"));
    assert!(ask(&stage, &one).unwrap().starts_with("HTTP/1.1 200"));
    ask(&stage, &two).unwrap_err();

    // A key of another certificate, and something else altogether.
    let start = || {
        let (_sender, receiver) = watch::channel(Arc::new(snapshot()));
        Web::start(&settings, sources(&Arc::default(), receiver)).unwrap_err().to_string()
    };
    std::fs::copy(&two, &cert).unwrap();
    assert!(start().contains("is not the key of"), "{}", start());
    stage.web.reload();
    std::fs::write(&key, "nonsense").unwrap();
    assert!(start().contains("holds no private key"), "{}", start());
    stage.web.reload();
    std::fs::write(&cert, "nonsense").unwrap();
    assert!(start().contains("holds no certificate"), "{}", start());
    stage.web.reload();
    for _ in 0..10 {
        assert!(ask(&stage, &one).unwrap().starts_with("HTTP/1.1 200"));
    }

    put("two");
    stage.web.reload();
    until("the new one is used", || ask(&stage, &two).is_ok_and(|reply| reply.starts_with("HTTP/1.1 200")));
    ask(&stage, &one).unwrap_err();

    // Who does not speak TLS, or nothing at all, gets no answer.
    let plain = stage.get("/livez");
    assert_eq!(plain.status, 0, "{plain:?}");
    assert_eq!(stage.send(b"").len(), 0);
    until("it is counted", || stage.web.shared.counts.troubles(counts::Trouble::Handshake) >= 2);
    // And who speaks it to a server that does not, neither.
    let plain = Stage::new();
    ask(&plain, &one).unwrap_err();
    assert_eq!(plain.get("/livez").status, 200);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_listened_on_or_read_is_said() {
    let stage = Stage::new();
    let start = |settings: &WebSettings| {
        let (_sender, receiver) = watch::channel(Arc::new(snapshot()));
        Web::start(settings, sources(&Arc::default(), receiver)).unwrap_err()
    };
    let taken = start(&WebSettings { listen: Some(stage.web.address()), ..WebSettings::default() });
    assert!(matches!(taken, Error::Listen { .. }), "{taken}");
    let strange =
        start(&WebSettings { listen: Some("192.0.2.1:0".parse().unwrap()), ..WebSettings::default() });
    assert!(matches!(strange, Error::Listen { .. }), "{strange}");
    assert!(matches!(start(&WebSettings::default()), Error::Off));
    let missing = WebSettings { token_file: Some("/no/such/file".into()), ..on_loopback() };
    assert_eq!(
        start(&missing).to_string(),
        "web.token_file /no/such/file: No such file or directory (os error 2)"
    );
}
