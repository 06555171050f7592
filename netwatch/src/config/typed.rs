//! What was typed, as a layer of settings.

use std::path::PathBuf;

use super::layer::{Layer, Origin, Said, SignatureFile};
use super::{LOCAL_MAX, interfaces, map_memory, outputs, value, web};
use crate::cli::{PlaceArgs, SettingArgs};
use crate::{guide, units};

/// What was typed.
pub(super) fn command_line(typed: &SettingArgs, place: &PlaceArgs) -> Result<Layer, String> {
    fn said<T>(value: T) -> Option<Said<T>> {
        Some(Said { value, origin: Origin::CommandLine })
    }
    let duration = |name: &str, text: &Option<String>| {
        let read = |text: &String| units::duration(text).map_err(|wrong| format!("{name}: {wrong}"));
        text.as_ref().map(read).transpose().map(|value| value.and_then(said))
    };
    let mut layer = Layer {
        profile: typed.profile.and_then(said),
        window: duration("--window", &typed.window)?,
        slot: duration("--slot", &typed.slot)?,
        map_memory: typed.map_memory.as_deref().map(map_memory).transpose()?.and_then(said),
        xdp_mode: place.xdp_mode.and_then(said),
        mode: typed.mode.and_then(said),
        format: typed.format.and_then(said),
        state_dir: place.state_dir.clone().and_then(said),
        min_severity: typed.min_severity.map(value::severity).and_then(said),
        ..Layer::default()
    };
    if !place.interfaces.is_empty() {
        layer.interfaces = said(interfaces(&place.interfaces)?);
    }
    layer.evidence.dir = place.evidence.clone().and_then(said);
    if let Some(text) = &place.listen {
        layer.web.listen = said(web::listen(text).map_err(|wrong| format!("--listen: {wrong}"))?);
    }
    if !typed.signatures.is_empty() {
        let file = |path: &PathBuf| SignatureFile { text: path.display().to_string(), path: path.clone() };
        layer.signatures.files = said(typed.signatures.iter().map(file).collect());
    }
    if !typed.local.is_empty() {
        let network = |text: &String| value::network(text).map_err(|wrong| format!("--local: {wrong}"));
        layer.local = said(typed.local.iter().map(network).collect::<Result<_, _>>()?);
        if typed.local.len() > LOCAL_MAX {
            return Err(format!("--local: at most {LOCAL_MAX} networks, not {}", typed.local.len()));
        }
    }
    for text in &typed.feeds {
        let value = value::feed(text).map_err(|wrong| format!("--feed: {wrong}"))?;
        if layer.feeds.iter().any(|feed| feed.value.name == value.name) {
            return Err(format!("--feed: there are two called {:?}", value.name));
        }
        layer.feeds.push(Said { value, origin: Origin::CommandLine });
    }
    for text in &place.outputs {
        let value = outputs::typed(text).map_err(|wrong| format!("--output: {wrong}"))?;
        layer.outputs.push(Said { value, origin: Origin::CommandLine });
    }
    for pair in &typed.thresholds {
        let option = |wrong| format!("--threshold: {wrong}");
        let Some((name, number)) = pair.split_once('=') else {
            return Err(option(format!("{pair:?} lacks a number; write it like scan.vertical=10")));
        };
        let rule = guide::find(name).map_err(option)?;
        layer.rules[rule as usize].threshold = said(value::threshold(number, rule.rule()).map_err(option)?);
    }
    Ok(layer)
}
