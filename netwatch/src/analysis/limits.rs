//! Every bound of the analysis, by name.

/// Slots of a window unless configured otherwise: a minute of 5 s slots.
pub const WINDOW_SLOTS: usize = 12;

/// Most slots a window can have. Each holds up to a whole set of maps, so this bounds memory.
pub const WINDOW_SLOTS_MAX: usize = 60;

/// Ports of a source that an alert lists.
pub const FIRST_PORTS: usize = 16;

/// Incidents of one rule that are followed at once, over all interfaces. A further one is counted as
/// suppressed at each evaluation. Per rule, so that a spoofed flood cannot crowd out the scans.
pub const OPEN_INCIDENTS: usize = 10_000;

/// Closed incidents that are remembered, over all rules, so that their reopening can be muted. Beyond it the
/// ones that closed first are forgotten, which errs towards one alert too many.
pub const CLOSED_INCIDENTS: usize = 40_000;
