//! Server-sent events, as they come in pieces from somebody who may send anything.

/// Bytes of the longest event; one that is longer is passed over, and counted.
const EVENT: usize = 256 << 10;
/// Letters of the longest identifier.
const ID: usize = 128;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What it is: `alert`, `stats` and so on.
    pub kind: String,
    /// Its data.
    pub data: String,
}

/// Puts events together.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    /// Whether the event has a line of data, if only an empty one.
    has_data: bool,
    /// Whether the event is longer than it may be.
    is_too_long: bool,
    /// Whether the last byte was a carriage return, which a line feed belongs to.
    after_return: bool,
    /// Whether anything was read: a mark of byte order may stand at the beginning alone.
    has_begun: bool,
    /// Identifier of the last event, to go on after it.
    id: String,
    /// Events that were passed over because they were too long.
    too_long: u64,
}

impl Parser {
    /// One that goes on after this event.
    #[must_use]
    pub fn after(id: String) -> Self {
        Self { id, ..Self::default() }
    }

    /// Identifier of the last event; empty where there was none.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Events that were passed over because they were too long.
    #[must_use]
    pub fn too_long(&self) -> u64 {
        self.too_long
    }

    /// Takes bytes in and gives the events that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) {
        for byte in bytes {
            let ends_pair = std::mem::replace(&mut self.after_return, *byte == b'\r') && *byte == b'\n';
            match byte {
                b'\n' if ends_pair => {}
                b'\n' | b'\r' => {
                    if let Some(event) = self.end_line() {
                        each(event);
                    }
                }
                _ if self.line.len() >= EVENT => self.is_too_long = true,
                byte => self.line.push(*byte),
            }
        }
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = match std::mem::replace(&mut self.has_begun, true) {
            false => line.strip_prefix('\u{feff}').unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" if value.len() <= ID => value.clone_into(&mut self.event.kind),
            "data" => {
                if self.event.data.len() + value.len() > EVENT {
                    self.is_too_long = true;
                } else {
                    if std::mem::replace(&mut self.has_data, true) {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
            }
            // It goes back in a header, where not everything can stand.
            "id" if value.len() <= ID && value.bytes().all(|byte| byte.is_ascii_graphic()) => {
                value.clone_into(&mut self.id);
            }
            // How long to wait before coming back is our own affair: somebody looks at it.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        let has_data = std::mem::take(&mut self.has_data);
        if std::mem::take(&mut self.is_too_long) {
            self.too_long += 1;
            return None;
        }
        has_data.then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &[u8], piece: usize) -> (Vec<(String, String)>, Parser) {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for part in text.chunks(piece) {
            parser.feed(part, |event| events.push((event.kind, event.data)));
        }
        (events, parser)
    }

    #[test]
    fn events_are_put_together_from_pieces_of_any_size() {
        let text = "\u{feff}retry: 3000\nid: run-1\n\nid: run-2\r\nevent: alert\r\ndata: {\"a\":1}\r\n\r\n:\n\ndata:x\ndata\ndata: y\n\n\
            event: none\n\nid: with space\rdata: z\r\rdata: unfinished";
        for piece in [1, 2, 3, 7, 1_000] {
            let (events, parser) = parse(text.as_bytes(), piece);
            let expect = [("alert", "{\"a\":1}"), ("", "x\n\ny"), ("", "z")];
            let expect = expect.map(|(kind, data)| (kind.to_owned(), data.to_owned()));
            assert_eq!(events, expect, "pieces of {piece}");
            assert_eq!(parser.id(), "run-2");
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_counted() {
        let long = "x".repeat(EVENT + 1);
        let lines = "data: 123456789\n".repeat(EVENT / 9);
        let text = format!("data: {long}\n\ndata: 1\n\n{lines}\n{long}\n\ndata: 2\n\n");
        let (events, parser) = parse(text.as_bytes(), 4_096);
        assert_eq!(events.iter().map(|(_, data)| &**data).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(parser.too_long(), 3);
        assert!(parser.line.len() <= EVENT);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fail_or_depend_on_where_it_was_cut(text in "([a-z:\n\r \u{feff}]|data: |id: |event: ){0,60}", piece in 1_usize..20) {
            let (whole, _) = parse(text.as_bytes(), usize::MAX >> 1);
            let (cut, _) = parse(text.as_bytes(), piece);
            prop_assert_eq!(whole, cut);
        }
    }
}
