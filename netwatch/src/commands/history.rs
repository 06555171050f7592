//! Where the history is, and of when somebody wants to know.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cli::{PlaceArgs, SettingArgs};
use crate::config::Config;
use crate::exit::Usage;
use crate::report::Time;
use crate::units;

/// Where the history is looked for where nobody says.
const STATE_DIR: &str = "/var/lib/netwatch";

/// Where the history is.
pub(super) fn dir(state_dir: Option<&Path>, config: Option<&Path>) -> anyhow::Result<PathBuf> {
    let dir = match (state_dir, config) {
        (Some(dir), _) => Some(dir.to_owned()),
        (None, None) => None,
        (None, Some(file)) => {
            let settings = SettingArgs { config: Some(file.to_owned()), ..SettingArgs::default() };
            let config = Config::from_settings(&settings, &PlaceArgs::default()).map_err(Usage)?;
            if config.state_dir.is_none() {
                return Err(Usage(format!(
                    "{}: names no state_dir, so that netwatch keeps no history",
                    file.display()
                ))
                .into());
            }
            config.state_dir
        }
    };
    Ok(dir.unwrap_or_else(|| Path::new(STATE_DIR).to_owned()))
}

/// A time, or how long ago it was.
pub(super) fn time(text: &str, now: Timestamp) -> Result<Time, String> {
    if let Ok(time) = text.parse() {
        return Ok(Time(time));
    }
    let wrong =
        || format!("{text:?} is no time; write how long ago it was, like 1h or 7d, or 2026-12-31T18:00:00Z");
    let ago = units::duration(text).map_err(|_| wrong())?;
    now.checked_sub(ago).map(Time).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_or_times() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1h", Some("2026-11-21T11:00:00.000000Z")),
            ("2d", Some("2026-11-19T12:00:00.000000Z")),
            ("2026-11-20T00:00:00Z", Some("2026-11-20T00:00:00.000000Z")),
            ("2026-11-20T00:00:00+01:00", Some("2026-11-19T23:00:00.000000Z")),
            ("yesterday", None),
            ("99999999999d", None),
            ("-1h", None),
        ] {
            let found = time(text, now).ok().map(|time| time.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
