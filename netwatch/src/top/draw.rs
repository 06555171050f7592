//! Draws what the model knows, and nothing else: the same model gives the same screen.
//!
//! `board` is everything at a glance, `detail` one thing at length; here is what all have.

mod board;
mod detail;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::look::Look;
use super::model::{Link, Model, View};
use super::verdict::{State, verdict};
use super::words::{ascii, cut, short, width};

/// Columns and rows below which nothing can be read.
const LEAST: (u16, u16) = (40, 10);

/// Where is drawn, and with what.
pub(super) struct Canvas<'a> {
    buf: &'a mut Buffer,
    look: Look,
}

impl Canvas<'_> {
    /// Writes text in so many columns, and returns where it ends. What lies outside is not drawn.
    fn text(&mut self, x: u16, y: u16, most: u16, text: &str, style: Style) -> u16 {
        let area = self.buf.area;
        if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
            return x;
        }
        let most = most.min(area.right() - x);
        let short = cut(text, usize::from(most));
        let shown = if self.look.ascii { ascii(&short) } else { short };
        self.buf.set_stringn(x, y, shown, usize::from(most), style).0
    }

    /// The same, at the right end of the columns.
    fn right(&mut self, x: u16, y: u16, most: u16, text: &str, style: Style) {
        let short = cut(text, usize::from(most));
        let taken = u16::try_from(width(&short)).unwrap_or(most);
        self.text(x.saturating_add(most.saturating_sub(taken)), y, taken, &short, style);
    }

    /// A heading: a line with what it is, and on its right something about it.
    fn heading(&mut self, area: Rect, title: &str, about: &str, is_chosen: bool) {
        let line = self.look.line().repeat(usize::from(area.width));
        self.text(area.x, area.y, area.width, &line, self.look.muted());
        let style = if is_chosen { self.look.chosen() } else { self.look.strong() };
        let end = self.text(area.x + 1, area.y, area.width.saturating_sub(1), &format!(" {title} "), style);
        let room = area.right().saturating_sub(end + 1);
        if !about.is_empty() && usize::from(room) > width(about) + 2 {
            self.right(end + 1, area.y, room.saturating_sub(1), &format!(" {about} "), self.look.muted());
        }
    }

    fn style(&mut self, area: Rect, style: Style) {
        self.buf.set_style(area, style);
    }
}

/// Draws the screen.
pub fn draw(model: &Model, look: Look, buf: &mut Buffer) {
    let area = buf.area;
    let mut canvas = Canvas { buf, look };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let says = format!("too small: {}x{} at least", LEAST.0, LEAST.1);
        canvas.text(area.x, area.y, area.width, &says, look.strong());
        return;
    }
    header(model, &mut canvas, area);
    let body = Rect { y: area.y + 2, height: area.height - 3, ..area };
    match &model.view {
        View::Board => board::draw(model, &mut canvas, body),
        View::Incident(_) | View::Source(_) | View::Help => detail::draw(model, &mut canvas, body),
    }
    footer(model, &mut canvas, area);
}

/// The last line that a text can be scrolled to.
pub(super) fn last_line(model: &Model) -> usize {
    let (columns, rows) = model.size;
    // Two lines above, one below, and the heading.
    detail::lines(model, usize::from(columns))
        .len()
        .saturating_sub(usize::from(rows).saturating_sub(4).max(1))
}

/// Where, how, and whether all is well.
fn header(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let look = canvas.look;
    let (link, style) = match (&model.link, model.age_s()) {
        (Link::Connecting, _) => ("connecting".to_owned(), look.poor()),
        (Link::Lost(_), None) => ("reconnecting".to_owned(), look.chosen()),
        (Link::Lost(_), Some(age)) => (format!("reconnecting, {age} s old"), look.chosen()),
        (Link::Live, Some(age)) => (format!("silent, {age} s old"), look.chosen()),
        (Link::Live, None) => ("live".to_owned(), look.good()),
    };
    let link = format!(" {link} ");
    let pause = if model.paused.is_some() { " paused " } else { "" };
    let taken = u16::try_from(width(&link) + width(pause)).unwrap_or(area.width);
    let end = canvas.text(area.x, area.y, area.width, "netwatch", look.strong());
    let room = area.right().saturating_sub(taken + end + 2);
    canvas.text(end + 2, area.y, room, &place(model), Style::new());
    let pause_at = area.right().saturating_sub(taken);
    let link_at = canvas.text(pause_at, area.y, taken, pause, look.chosen());
    canvas.text(link_at, area.y, area.right().saturating_sub(link_at), &link, style);

    let point = model.data().points.back().copied().unwrap_or_default();
    let (state, sentence) = verdict(model);
    let mut facts = Vec::new();
    if !model.data().points.is_empty() {
        facts.push(format!("{} packets/s", short(point.packets_per_s)));
        facts.push(format!("{}bit/s", with_space(point.bytes_per_s * 8.0)));
    }
    if model.data().status.is_some() {
        facts.push(format!("lost {}", model.data().lost));
    }
    // Whether all is well matters most; where there is room, the first of the facts stays beside it.
    let least = usize::from(area.width >= 60);
    let is_too_much =
        |facts: &[String]| width(&sentence) + 2 + width(&facts.join("  ")) > usize::from(area.width);
    while facts.len() > least && is_too_much(&facts) {
        facts.pop();
    }
    let facts = facts.join("  ");
    let taken = if facts.is_empty() { 0 } else { width(&facts) + 2 };
    let room = area.width.saturating_sub(u16::try_from(taken).unwrap_or(area.width));
    let style = match state {
        State::Well => look.good(),
        State::Open => model.data().worst().map_or(look.poor(), |worst| look.severity(worst)),
        State::Degraded => look.poor(),
        State::Unknown => look.strong(),
    };
    canvas.text(area.x, area.y + 1, room, &sentence, style);
    canvas.right(area.x, area.y + 1, area.width, &facts, Style::new());
}

/// `12 k`, so that a unit can follow.
fn with_space(number: f64) -> String {
    let text = short(number);
    match text.strip_suffix(|letter: char| letter.is_ascii_alphabetic()) {
        Some(digits) => format!("{digits} {}", &text[digits.len()..]),
        None => format!("{text} "),
    }
}

fn place(model: &Model) -> String {
    let Some(status) = &model.data().status else { return model.place.clone() };
    let interfaces: Vec<_> = status
        .interfaces
        .iter()
        .map(|interface| format!("{} {}", interface.name, interface.mode.as_deref().unwrap_or("not watched")))
        .collect();
    format!("{}  {}", status.host, interfaces.join(", "))
}

fn footer(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let (look, y) = (canvas.look, area.bottom() - 1);
    if model.is_typing {
        let end = canvas.text(area.x, y, area.width - 1, &format!("/{}", model.filter), look.strong());
        canvas.text(end, y, 1, " ", look.chosen());
        return;
    }
    let trouble = match (&model.link, &model.unanswered) {
        (Link::Lost(why), _) => Some(format!("reconnecting: {why}")),
        (_, Some(why)) => Some(format!("not answered: {why}")),
        (_, None) => None,
    };
    if let Some(trouble) = trouble {
        canvas.text(area.x, y, area.width, &trouble, look.poor());
        return;
    }
    let keys = match &model.view {
        View::Board if !model.filter.is_empty() => {
            let says = format!("filter {:?} (Esc clears it)  ", model.filter);
            let end = canvas.text(area.x, y, area.width, &says, look.strong());
            canvas.text(end, y, area.right().saturating_sub(end), "q quit  ? help  / filter", look.muted());
            return;
        }
        View::Board => "q quit  ? help  Tab panel  Enter open  / filter  s sort  p pause",
        View::Incident(_) | View::Source(_) | View::Help => "Esc back  arrows scroll  Ctrl-C quit",
    };
    canvas.text(area.x, y, area.width, keys, look.muted());
}
