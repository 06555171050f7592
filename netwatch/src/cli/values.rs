//! What options can be.

use clap::ValueEnum;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Evidence of scans, and packets that nobody asked for
    #[default]
    Balanced,
    /// Every packet, in windows that do not overlap: as simple watchers do
    Literal,
}

/// Where netwatch stands, and so how replies are told from probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WatchMode {
    /// On the host: by what it sends on the interface; by their flags where that cannot be seen
    #[default]
    Host,
    /// On a SPAN port or tap, where both directions arrive: by what goes the other way
    Mirror,
    /// Anywhere: by TCP flags and UDP ports alone
    Flags,
}

/// How alerts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line for people
    #[default]
    Text,
    /// A line of JSON after Suricata's EVE schema
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Severities as an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MinSeverity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// Log levels, from silent to everything. The discriminants are aya-log's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum LogLevel {
    Off = 0,
    Error = 1,
    Warn = 2,
    #[default]
    Info = 3,
    Debug = 4,
    Trace = 5,
}
