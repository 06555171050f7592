//! What netwatch has found and how it is, for everybody outside of the analysis: by public names, at wall-clock times.
//!
//! Plain data, which the one loop makes and everybody else only reads: outputs, the store, the server. Read it in this order:
//! [`time`], [`incident`] (one incident, as it is kept and served), [`told`] (one step of it), [`snapshot`] (how netwatch
//! is), [`health`] (whether that is well), [`history`] (what was), [`live`] (what can be asked between two slots).

pub mod health;
pub mod history;
pub mod incident;
pub mod live;
pub mod snapshot;
pub mod time;
pub mod told;

pub use health::{Verdict, verdict};
pub use history::{Ack, History, HistoryError, IncidentQuery, Network, Page, WindowQuery, WindowSummary};
pub use incident::{Incident, Life};
pub use live::{Listed, ListedBy, Meter, Packets, Passed, Reading};
pub use snapshot::Snapshot;
pub use time::Time;
pub use told::{Step, Told};
