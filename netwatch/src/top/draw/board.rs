//! Everything at a glance: what passes, who sends it and where to, and what is open.

use netwatch_common::Class;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Canvas;
use crate::top::model::{Model, POINTS, Panel};
use crate::top::words::{age, count, short};

/// Columns from which on there are two panels side by side.
const TWO: u16 = 64;
/// Columns of the numbers beside the chart.
const AXIS: u16 = 6;
/// Letters of a source's mix of classes.
const MIX: usize = 8;

/// The letter of a class, where there is no room for its name.
pub(super) const fn letter(class: Class) -> char {
    match class {
        Class::Syn => 'S',
        Class::Stealth => 'X',
        Class::OutOfState => 'O',
        Class::Backscatter => 'B',
        Class::UdpNew => 'U',
        Class::IcmpProbe => 'I',
        Class::Fragment => 'F',
        Class::Malformed => 'M',
        Class::Known => 'k',
        Class::Other => '-',
    }
}

pub(super) fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 12 {
        // There is room for one list, and Tab leads to the others.
        return match model.panel {
            Panel::Incidents => incidents(model, canvas, area),
            Panel::Sources => sources(model, canvas, area),
            Panel::Ports => ports(model, canvas, area),
        };
    }
    let third = area.height * 3 / 10;
    let top = if area.height < 17 { 0 } else { third.clamp(6, 14) };
    let middle = third.clamp(5 + u16::from(top > 0), 16);
    let part = |y: u16, height: u16| Rect { y: area.y + y, height, ..area };
    if top > 0 {
        let (left, right) = split(part(0, top));
        chart(model, canvas, left);
        if let Some(right) = right {
            mix(model, canvas, right);
        }
    }
    match split(part(top, middle)) {
        (left, Some(right)) => {
            sources(model, canvas, left);
            ports(model, canvas, right);
        }
        (whole, None) if model.panel == Panel::Ports => ports(model, canvas, whole),
        (whole, None) => sources(model, canvas, whole),
    }
    incidents(model, canvas, part(top + middle, area.height - top - middle));
}

fn split(area: Rect) -> (Rect, Option<Rect>) {
    if area.width < TWO {
        return (area, None);
    }
    let right = (area.width * 2 / 5).clamp(26, 48);
    let left = area.width - right - 1;
    (Rect { width: left, ..area }, Some(Rect { x: area.x + left + 1, width: right, ..area }))
}

/// Packets a second of the last five minutes: the most of each column's seconds.
fn chart(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let points = &model.data().points;
    let peak = points.iter().map(|point| point.packets_per_s).fold(0.0, f64::max);
    canvas.heading(area, "packets/s, 5 min", &format!("most {}", short(peak)), false);
    let rows = area.height - 1;
    let columns = area.width.saturating_sub(AXIS);
    let (Some(newest), true) = (points.back(), columns > 0 && rows > 0) else {
        canvas.text(area.x + 1, area.y + 1, area.width, "nothing was measured yet", canvas.look.muted());
        return;
    };
    let scale = ceiling(peak);
    canvas.right(area.x, area.y + 1, AXIS - 1, &short(scale), canvas.look.muted());
    canvas.right(area.x, area.bottom() - 1, AXIS - 1, "0", canvas.look.muted());
    let step = i64::try_from(POINTS.div_ceil(usize::from(columns))).unwrap_or(1).max(1) * 1_000;
    let mut bars = vec![(0.0_f64, 0.0_f64); usize::from(columns)];
    for point in points {
        // By the clock, so that a column stays what it is while it moves.
        let back = newest.at_ms.div_euclid(step).saturating_sub(point.at_ms.div_euclid(step));
        let place = usize::try_from(back).ok().and_then(|back| usize::from(columns).checked_sub(back + 1));
        if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
            let unsolicited = Class::ALL.iter().filter(|class| class.is_unsolicited());
            let unsolicited: f64 = unsolicited.map(|class| point.classes[*class as usize]).sum();
            *bar = (bar.0.max(point.packets_per_s), bar.1.max(unsolicited));
        }
    }
    let look = canvas.look;
    for (x, (all, unsolicited)) in (area.x + AXIS..).zip(bars) {
        let eighths = |value: f64| whole(value / scale * f64::from(rows) * 8.0, usize::from(rows) * 8);
        // The least that there is can be seen.
        let height = if all > 0.0 { eighths(all).max(1) } else { 0 };
        for row in 0..rows {
            let below = usize::from(row) * 8;
            let filled = height.saturating_sub(below).min(8);
            if filled > 0 {
                let style = look.traffic(eighths(unsolicited) > below);
                canvas.text(x, area.bottom() - 1 - row, 1, look.eighths(filled), style);
            }
        }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less, and 10 at least.
fn ceiling(peak: f64) -> f64 {
    let mut power = 10.0;
    while power < 1e15 {
        for factor in [1.0, 2.0, 5.0] {
            if peak <= factor * power {
                return factor * power;
            }
        }
        power *= 10.0;
    }
    peak.max(1.0)
}

/// A part of a whole that is not larger than it.
fn whole(value: f64, most: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
    let rounded = value.clamp(0.0, most as f64).round() as usize;
    rounded.min(most)
}

/// What the packets are.
fn mix(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let mix = model.data().mix();
    let look = canvas.look;
    canvas.heading(area, "classes, packets/s", "", false);
    if mix.is_empty() {
        canvas.text(area.x + 1, area.y + 1, area.width, "no packets", look.muted());
    }
    let all: f64 = mix.iter().map(|(_, rate)| rate).sum();
    let room = usize::from(area.height - 1);
    for (y, (class, rate)) in (area.y + 1..).zip(mix.into_iter().take(room)) {
        canvas.text(area.x, y, 14, &format!("{} {}", letter(class), class.name()), Style::new());
        let columns = area.width.saturating_sub(14 + 6);
        let eighths = whole(rate / all * f64::from(columns) * 8.0, usize::from(columns) * 8).max(1);
        for column in 0..columns {
            let filled = eighths.saturating_sub(usize::from(column) * 8).min(8);
            if filled > 0 {
                canvas.text(
                    area.x + 14 + column,
                    y,
                    1,
                    look.lying(filled),
                    look.traffic(class.is_unsolicited()),
                );
            }
        }
        canvas.right(area.x + area.width.saturating_sub(6), y, 6, &short(rate), Style::new());
    }
}

/// The rows of a list that are seen: whole pages, so that little moves when the choice does.
fn page(chosen: Option<usize>, room: usize) -> usize {
    chosen.map_or(0, |chosen| chosen / room.max(1) * room.max(1))
}

/// `1-8 of 12`.
fn range(first: usize, room: usize, all: usize) -> String {
    if all <= room { String::new() } else { format!("{}-{} of {all}", first + 1, (first + room).min(all)) }
}

/// Marks the row that is chosen, in the panel that keys are for.
fn mark(model: &Model, canvas: &mut Canvas<'_>, panel: Panel, row: Rect, is_chosen: bool) {
    if is_chosen && model.panel == panel {
        canvas.text(row.x, row.y, 1, ">", canvas.look.strong());
        canvas.style(row, canvas.look.chosen());
    }
}

fn sources(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let rows = model.sources();
    let keys = model.keys(Panel::Sources);
    let chosen = model.chosen(Panel::Sources, &keys);
    let room = usize::from(area.height - 1);
    let first = page(chosen, room);
    let title = format!("sources by {}", model.sort(Panel::Sources));
    canvas.heading(area, &title, "packets   bytes  mix", model.panel == Panel::Sources);
    if rows.is_empty() {
        let says = if model.filter.is_empty() { "nobody sent anything" } else { "none matches the filter" };
        canvas.text(area.x + 1, area.y + 1, area.width, says, canvas.look.muted());
    }
    let name = area.width.saturating_sub(1 + 8 + 8 + 2 + 8 + 1);
    for (y, (index, source)) in (area.y + 1..).zip(rows.iter().enumerate().skip(first).take(room)) {
        canvas.text(area.x + 1, y, name, &source.source, Style::new());
        let x = area.x + 1 + name;
        canvas.right(x, y, 8, &count(source.packets), Style::new());
        canvas.right(x + 8, y, 8, &format!("{}B", count(source.bytes)), Style::new());
        canvas.text(x + 18, y, 8, &letters(&source.classes), canvas.look.traffic(source.unsolicited() > 0));
        mark(model, canvas, Panel::Sources, Rect::new(area.x, y, area.width, 1), chosen == Some(index));
    }
}

/// The mix of classes in letters, as many of each as is its part.
fn letters(classes: &[u64; Class::COUNT]) -> String {
    let all: f64 = classes.iter().map(|packets| *packets as f64).sum();
    if all <= 0.0 {
        return String::new();
    }
    let mut shares: Vec<_> =
        Class::ALL.into_iter().map(|class| (class, classes[class as usize] as f64 / all)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let of = |(class, share): (Class, f64)| {
        // What there is at all has a letter.
        let count = if share > 0.0 { whole(share * MIX as f64, MIX).max(1) } else { 0 };
        std::iter::repeat_n(letter(class), count)
    };
    shares.into_iter().flat_map(of).take(MIX).collect()
}

fn ports(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let rows = model.ports();
    let keys = model.keys(Panel::Ports);
    let chosen = model.chosen(Panel::Ports, &keys);
    let room = usize::from(area.height - 1);
    let first = page(chosen, room);
    let title = format!("ports by {}", model.sort(Panel::Ports));
    let about = if area.width > 36 { "packets sources" } else { "" };
    canvas.heading(area, &title, about, model.panel == Panel::Ports);
    if rows.is_empty() {
        canvas.text(area.x + 1, area.y + 1, area.width, "none was sent to", canvas.look.muted());
    }
    for (y, (index, port)) in (area.y + 1..).zip(rows.iter().enumerate().skip(first).take(room)) {
        canvas.text(area.x + 1, y, 10, &format!("{}/{}", port.proto, port.port), Style::new());
        let x = area.right().saturating_sub(15);
        canvas.right(x, y, 6, &count(port.packets), Style::new());
        let sources = format!("{} src", count(port.flows));
        canvas.right(x + 6, y, 9, &sources, canvas.look.muted());
        mark(model, canvas, Panel::Ports, Rect::new(area.x, y, area.width, 1), chosen == Some(index));
    }
}

fn incidents(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let rows = model.incidents();
    let keys = model.keys(Panel::Incidents);
    let chosen = model.chosen(Panel::Incidents, &keys);
    let room = usize::from(area.height - 1);
    let first = page(chosen, room);
    let title = format!("open incidents by {}", model.sort(Panel::Incidents));
    canvas.heading(area, &title, &range(first, room, rows.len()), model.panel == Panel::Incidents);
    if rows.is_empty() {
        let says = match (&model.data().status, model.filter.is_empty()) {
            (None, _) => "nothing is known yet",
            (Some(_), true) => "none: nothing stands out",
            (Some(_), false) => "none matches the filter",
        };
        canvas.text(area.x + 1, area.y + 1, area.width, says, canvas.look.muted());
    }
    let clock = model.clock_ms();
    for (y, (index, incident)) in (area.y + 1..).zip(rows.iter().enumerate().skip(first).take(room)) {
        let look = canvas.look;
        let style = if incident.is_told { look.severity(incident.severity) } else { Style::new() };
        canvas.text(area.x + 1, y, 8, incident.severity.name(), style);
        let since =
            clock.map_or(String::new(), |clock| age((clock.saturating_sub(incident.opened_ms)) / 1_000));
        canvas.right(area.x + 10, y, 6, &since, look.muted());
        canvas.text(area.x + 18, y, area.width.saturating_sub(18), &incident.text, Style::new());
        mark(model, canvas, Panel::Incidents, Rect::new(area.x, y, area.width, 1), chosen == Some(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round_and_large_enough() {
        for (peak, expect) in
            [(0.0, 10.0), (10.0, 10.0), (11.0, 20.0), (499.0, 500.0), (501.0, 1_000.0), (2e15, 2e15)]
        {
            assert!((ceiling(peak) - expect).abs() < 1e-6, "{peak}");
        }
    }

    #[test]
    fn a_mix_shows_each_class_by_its_part() {
        let mut classes = [0; Class::COUNT];
        assert_eq!(letters(&classes), "");
        classes[Class::Syn as usize] = 750;
        classes[Class::Known as usize] = 250;
        assert_eq!(letters(&classes), "SSSSSSkk");
        classes[Class::Fragment as usize] = 1;
        assert_eq!(letters(&classes), "SSSSSSkk", "there is no room for all");
        classes[Class::Known as usize] = u64::MAX;
        assert_eq!(letters(&classes), "kkkkkkkk");
    }
}
