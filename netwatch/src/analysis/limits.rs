//! Every bound of the analysis, by name.

/// Slots of a window unless configured otherwise: a minute of 5 s slots.
pub const WINDOW_SLOTS: usize = 12;

/// Most slots a window can have. Each takes up to [`SLOT_BYTES`], so this bounds memory.
pub const WINDOW_SLOTS_MAX: usize = 60;

/// Memory that one slot takes at most, in bytes: 12 slots of a window take 48 MiB. The counts of what has no room are
/// added to those of nobody in particular.
pub const SLOT_BYTES: usize = 4 << 20;

/// Sources of one slot for which there is room in any case; 20,000 where each sends to one target.
pub const SLOT_SOURCES: usize = 12_288;

/// What these sent to, likewise; 27,000 where there are few sources.
pub const SLOT_TARGETS: usize = 20_480;

/// Services of destinations for which there is room in any case. Further ones are kept by destination only.
pub const SLOT_SERVICES: usize = 14_336;

/// Sources of one slot of which ports are kept that have no target.
pub const SLOT_PORTS: usize = 512;

/// Ports of a source that an alert lists.
pub const FIRST_PORTS: usize = 16;

/// Destinations of a source that an alert lists.
pub const FIRST_DESTS: usize = 8;

/// Incidents of one rule that are followed at once, over all interfaces. A further one is counted as
/// suppressed at each evaluation. Per rule, so that a spoofed flood cannot crowd out the scans.
pub const OPEN_INCIDENTS: usize = 10_000;

/// Closed incidents that are remembered, over all rules, so that their reopening can be muted. Beyond it the
/// ones that closed first are forgotten, which errs towards one alert too many.
pub const CLOSED_INCIDENTS: usize = 40_000;

/// Sources whose unanswered ports are remembered beyond the window, per interface.
pub const SLOW_SOURCES: usize = 32_768;

/// Ports remembered of each of them: more than ten times the default threshold, which local sources have.
pub const SLOW_PORTS: usize = 128;

/// Of them, ports on which somebody answered: more than a fifth, beyond which no share of closed ports is left that makes
/// a slow scan by default. Clients of many hours would fill the memory with them.
pub const SLOW_ANSWERED: usize = 32;

/// How long a source is remembered after its last try, in nanoseconds: 8 h.
pub const SLOW_RETENTION_NS: u64 = 8 * 3_600 * 1_000_000_000;

/// Destinations on which unanswered ports are remembered, per interface.
pub const SHARED_DESTS: usize = 256;

/// Ports remembered of each of them.
pub const SHARED_PORTS: usize = 1_024;

/// Sources remembered of each of them.
pub const SHARED_SOURCES: usize = 1_024;

/// Destinations whose usual rates are learned, per interface.
pub const LEARNED_DESTS: usize = 1_024;

/// Services of single destinations that are learned as known, per interface. Further ones are known of all destinations.
pub const LEARNED_SERVICES: usize = 16_384;

/// Destinations that are looked at closely in one evaluation: those that get most.
pub const FLOODED_DESTS: usize = 64;

/// Ports of each of them that are looked at, those with incidents included: those that get most SYNs.
pub const FLOODED_PORTS: usize = 64;

/// Ports of a source that are looked at by themselves, those with incidents included, and those with accepted connections
/// last.
pub const SCANNED_PORTS: usize = 64;

/// Sources that hints tell of before their slot ends, per interface. Of others the end of the slot tells.
pub const EARLY_SOURCES: usize = 65_536;

/// Targets of each of them.
pub const EARLY_TARGETS: usize = 64;

/// Targets from which on a source is looked at of which the window knows nothing notable, that is not more than half of
/// any threshold: with fewer it cannot have more than three ports, which is the least threshold there is by default.
pub const EARLY_LEAST: usize = 3;

/// Sources that are looked at again and again because they came near a threshold, per interface.
pub const EARLY_NEAR: usize = 64;

/// Sources that are evaluated before their slot ends, per interface and slot.
pub const EARLY_EVALUATIONS: usize = 2_000;

/// Floods that are told before their slot ends, per interface and slot: where there are more, the end of the slot
/// tells whether they are one flood of many sources.
pub const EARLY_FLOODS: usize = 16;

/// Addresses with what a feed or a signature says about them that are followed at once, per interface. Further ones are
/// lost, which `netwatch.degraded` says.
pub const EVENTS: usize = 4_096;

/// Hosts of ours of which it is told before a slot ends that one listed address talks to them.
pub const EARLY_HOSTS: usize = 64;
