//! Where alerts go besides stdout, of all that the command line and the file say about it.

use core::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use super::layer::Said;
use super::show::{self, Row};
use super::value;
use crate::analysis::Severity;
use crate::nearest::nearest;
pub use crate::sinks::line::LineFormat;
pub use crate::sinks::syslog::Facility;

/// Most outputs: each has a thread and a queue.
pub(super) const OUTPUTS_MAX: usize = 16;
/// Shortest and longest queue, in alerts.
pub(super) const QUEUE_RANGE: (u64, u64) = (1, 1_000_000);
/// Fewest and most bytes of a file before the next one is begun; 0, beside these, is never.
pub(super) const BYTES_RANGE: (u64, u64) = (64 << 10, 1 << 40);
/// Shortest and longest time after which the next file is begun.
pub(super) const AGE_RANGE: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(3_650 * 24 * 3600));
/// Fewest and most files that are kept beside the one that is written.
pub(super) const KEEP_RANGE: (u64, u64) = (1, 1_000);
/// Most Alertmanagers of one output.
pub(super) const URLS_MAX: usize = 8;

/// Alerts that wait, unless configured otherwise.
const QUEUE: usize = 10_000;
/// Bytes of a file, likewise.
const BYTES: u64 = 100 << 20;
/// Files that are kept, likewise.
const KEEP: u32 = 5;
/// The number that RFC 5612 sets aside for documentation.
const ENTERPRISE: u32 = 32_473;
/// Where journald listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// One place that alerts go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// What it is called in logs and counts.
    pub name: String,
    /// Least weight of what is sent there.
    pub min_severity: Severity,
    /// How many alerts may wait for it.
    pub queue: usize,
    /// What it is.
    pub target: OutputTarget,
}

/// What an output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputTarget {
    /// Lines in a file.
    File(FileTarget),
    /// Lines for whoever listens on a Unix socket.
    Unix {
        /// The socket.
        path: PathBuf,
        /// What a line looks like.
        format: LineFormat,
    },
    /// RFC 5424.
    Syslog(SyslogTarget),
    /// journald's own protocol.
    Journald {
        /// Its socket.
        path: PathBuf,
    },
    /// HTTP POST of JSON.
    Webhook(WebhookTarget),
    /// The second interface of Prometheus' Alertmanager.
    Alertmanager(AlertmanagerTarget),
}

/// A file of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTarget {
    /// Where it is.
    pub path: PathBuf,
    /// What a line looks like.
    pub format: LineFormat,
    /// How large it becomes before the next one is begun; 0 is never.
    pub max_bytes: u64,
    /// How old it becomes before the next one is begun.
    pub max_age: Option<Duration>,
    /// How many are kept beside it.
    pub keep: u32,
}

/// A receiver of syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    /// Where it listens.
    pub address: SyslogAddress,
    /// What the messages are about.
    pub facility: Facility,
    /// Whose the structured data is.
    pub enterprise_id: u32,
    /// Who may have signed its certificate; else who the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Where a receiver of syslog listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogAddress {
    /// How it is spoken to.
    pub transport: SyslogTransport,
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How a receiver of syslog is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    /// A datagram for each message.
    Udp,
    /// A stream, each message behind its length.
    Tcp,
    /// The same inside of TLS.
    Tls,
}

/// Whom JSON is posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTarget {
    /// Where to.
    pub url: UrlSource,
    /// The key that it is signed with.
    pub secret_file: Option<PathBuf>,
    /// Who may have signed its certificate; else who the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// Where a URL stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlSource {
    /// In the configuration.
    Said(String),
    /// In a file of its own, because whoever knows it may post there.
    File(PathBuf),
}

/// Alertmanagers that are all told the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertmanagerTarget {
    /// Where they are, without `/api/v2/alerts`.
    pub urls: Vec<String>,
    /// What they want to see of who sends.
    pub bearer_token_file: Option<PathBuf>,
    /// Who may have signed their certificates; else who the system trusts.
    pub ca_file: Option<PathBuf>,
}

/// The kinds of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Unix,
    Syslog,
    Journald,
    Webhook,
    Alertmanager,
}

/// What was said of one output, whatever its kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub name: Option<String>,
    pub min_severity: Option<Severity>,
    pub queue: Option<usize>,
    pub path: Option<PathBuf>,
    pub format: Option<LineFormat>,
    pub max_bytes: Option<u64>,
    pub max_age: Option<Duration>,
    pub keep: Option<u32>,
    pub address: Option<SyslogAddress>,
    pub facility: Option<Facility>,
    pub enterprise_id: Option<u32>,
    pub ca_file: Option<PathBuf>,
    pub url: Option<String>,
    pub urls: Vec<String>,
    pub url_file: Option<PathBuf>,
    pub secret_file: Option<PathBuf>,
    pub bearer_token_file: Option<PathBuf>,
}

impl Kind {
    pub(super) const ALL: [Self; 6] =
        [Self::File, Self::Unix, Self::Syslog, Self::Journald, Self::Webhook, Self::Alertmanager];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Unix => "unix",
            Self::Syslog => "syslog",
            Self::Journald => "journald",
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| match nearest(text, names()) {
            Some(near) => format!("{text:?} is no kind of output; did you mean {near:?}?"),
            None => format!("{text:?} is no kind of output; there are {}", names().join(", ")),
        })
    }

    /// Where it is. What is wrong is said without the text, in which there may be a secret.
    pub(super) fn url(self, text: &str) -> Result<String, String> {
        let url = value::url(text)?;
        if self == Self::Alertmanager {
            // Its path is added behind, where neither a query nor another path of it may be.
            if url.contains('?') {
                return Err("must have no question mark in it; write it like http://127.0.0.1:9093, and a \
                            token into a bearer_token_file"
                    .into());
            }
            let place = url.trim_end_matches('/');
            if let Some(base) = ["/api/v2/alerts", "/api/v2"].iter().find_map(|path| place.strip_suffix(path))
            {
                return Err(format!("must not end in /api/v2/alerts, which is added to it; write {base}"));
            }
        }
        Ok(url)
    }

    /// Keys that it has beside those that all have.
    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File => &["path", "format", "max_bytes", "max_age", "keep"],
            Self::Unix => &["path", "format"],
            Self::Syslog => &["address", "facility", "enterprise_id", "ca_file"],
            Self::Journald => &["path"],
            Self::Webhook => &["url", "url_file", "secret_file", "ca_file"],
            Self::Alertmanager => &["url", "urls", "bearer_token_file", "ca_file"],
        }
    }
}

impl Draft {
    /// Makes an output of it; what it lacks is said.
    pub(super) fn build(self, kind: Kind) -> Result<OutputSettings, String> {
        let lacks = |key: &str, example: &str| format!("lacks {key}, like {key} = \"{example}\"");
        let target = match kind {
            Kind::File => OutputTarget::File(FileTarget {
                path: self.path.ok_or_else(|| lacks("path", "/var/log/netwatch/eve.json"))?,
                format: self.format.unwrap_or_default(),
                max_bytes: self.max_bytes.unwrap_or(BYTES),
                max_age: self.max_age,
                keep: self.keep.unwrap_or(KEEP),
            }),
            Kind::Unix => OutputTarget::Unix {
                path: self.path.ok_or_else(|| lacks("path", "/run/shipper.sock"))?,
                format: self.format.unwrap_or_default(),
            },
            Kind::Syslog => OutputTarget::Syslog(SyslogTarget {
                address: self.address.ok_or_else(|| lacks("address", "tls://logs.example.net:6514"))?,
                facility: self.facility.unwrap_or_default(),
                enterprise_id: self.enterprise_id.unwrap_or(ENTERPRISE),
                ca_file: self.ca_file,
            }),
            Kind::Journald => {
                OutputTarget::Journald { path: self.path.unwrap_or_else(|| PathBuf::from(JOURNAL)) }
            }
            Kind::Webhook => OutputTarget::Webhook(WebhookTarget {
                url: match (self.url, self.url_file) {
                    (Some(_), Some(_)) => return Err("has both url and url_file; leave one out".into()),
                    (Some(url), None) => UrlSource::Said(url),
                    (None, Some(file)) => UrlSource::File(file),
                    (None, None) => return Err(lacks("url", "https://hooks.example.net/netwatch")),
                },
                secret_file: self.secret_file,
                ca_file: self.ca_file,
            }),
            Kind::Alertmanager => {
                let urls: Vec<_> = self.url.into_iter().chain(self.urls).collect();
                if urls.is_empty() {
                    return Err(lacks("url", "http://127.0.0.1:9093"));
                }
                OutputTarget::Alertmanager(AlertmanagerTarget {
                    urls,
                    bearer_token_file: self.bearer_token_file,
                    ca_file: self.ca_file,
                })
            }
        };
        Ok(OutputSettings {
            // Empty where nobody has named it: it is called by its kind, once it is known how many there are.
            name: self.name.unwrap_or_default(),
            min_severity: self.min_severity.unwrap_or(Severity::Low),
            queue: self.queue.unwrap_or(QUEUE),
            target,
        })
    }
}

impl OutputTarget {
    /// Its kind, as it is written.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Unix { .. } => "unix",
            Self::Syslog(_) => "syslog",
            Self::Journald { .. } => "journald",
            Self::Webhook(_) => "webhook",
            Self::Alertmanager(_) => "alertmanager",
        }
    }
}

impl SyslogTransport {
    /// As it begins an address.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl Display for SyslogAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (transport, port) = (self.transport.name(), self.port);
        match &*self.host {
            v6 if v6.contains(':') => write!(f, "{transport}://[{v6}]:{port}"),
            host => write!(f, "{transport}://{host}:{port}"),
        }
    }
}

/// `KIND:TARGET`, as it is typed.
pub(super) fn typed(text: &str) -> Result<OutputSettings, String> {
    let (kind, target) = text.split_once(':').unwrap_or((text, ""));
    let kind = Kind::parse(kind)?;
    let mut draft = Draft::default();
    if target.is_empty() && kind != Kind::Journald {
        let kind = kind.name();
        return Err(format!(
            "{text:?} lacks a target; write it like file:/var/log/netwatch/eve.json or {kind}:TARGET"
        ));
    }
    match kind {
        Kind::File | Kind::Unix => draft.path = Some(target.into()),
        Kind::Journald => draft.path = Some(target).filter(|path| !path.is_empty()).map(Into::into),
        Kind::Syslog => draft.address = Some(value::syslog_address(target)?),
        Kind::Webhook | Kind::Alertmanager => draft.url = Some(kind.url(target)?),
    }
    draft.build(kind)
}

/// Puts the layers together: the file's first, then those that were typed.
pub(super) fn resolve(
    line: Vec<Said<OutputSettings>>,
    file: Vec<Said<OutputSettings>>,
) -> Result<(Vec<OutputSettings>, Vec<Row>), String> {
    let mut all: Vec<_> = file.into_iter().chain(line).collect();
    if all.len() > OUTPUTS_MAX {
        return Err(format!(
            "--output: at most {OUTPUTS_MAX} outputs, those of the file included, not {}",
            all.len()
        ));
    }
    name(&mut all)?;
    let rows = all.iter().map(show::output).collect();
    Ok((all.into_iter().map(|said| said.value).collect(), rows))
}

/// Names those that nobody has named: `file`, and the next one `file-2`.
fn name(all: &mut [Said<OutputSettings>]) -> Result<(), String> {
    let mut taken: Vec<String> = Vec::new();
    for said in all.iter().filter(|said| !said.value.name.is_empty()) {
        if taken.contains(&said.value.name) {
            let (place, name) = (said.origin.name("outputs"), &said.value.name);
            return Err(format!("{place}: there is another one called {name:?}; give it a name of its own"));
        }
        taken.push(said.value.name.clone());
    }
    for said in all.iter_mut().filter(|said| said.value.name.is_empty()) {
        let kind = said.value.target.kind();
        let names = core::iter::once(kind.to_owned()).chain((2..).map(|number| format!("{kind}-{number}")));
        said.value.name = names.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
        taken.push(said.value.name.clone());
    }
    Ok(())
}
