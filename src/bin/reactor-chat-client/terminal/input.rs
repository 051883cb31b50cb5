//! Decodes the bytes of a terminal: keys, pasted text, and the window's focus.

use vte::{Params, Parser, Perform};

/// Marks around pasted text (bracketed paste mode).
const PASTE_BEGIN: u16 = 200;
const PASTE_END: &[u8] = b"\x1b[201~";

/// The longest paste that is kept. Every key lays out the whole draft again, and a line may have 4
/// KiB only.
const LONGEST_PASTE: usize = 1024 * 1024;

/// Alt and backspace. `vte` drops the second byte.
const ALT_BACKSPACE: &[u8] = b"\x1b\x7f";

/// An event from the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InputEvent {
    Key(KeyPress),
    Paste(String),
    /// A paste of this many bytes, which was dropped.
    TooLong(usize),
    /// The window got the focus (true) or lost it (false).
    Focus(bool),
}

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPress {
    Char(char),
    Ctrl(char),
    Alt(char),
    Enter,
    Tab,
    BackTab,
    Backspace,
    AltBackspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Escape,
}

/// The decoder. A sequence may be split anywhere between two calls.
#[derive(Default)]
pub(super) struct InputDecoder {
    parser: Parser,
    keys: Keys,
    paste: Option<Paste>,
    /// The last byte, which may begin a sequence.
    last: Option<u8>,
    has_escape: bool,
}

impl InputDecoder {
    /// Returns the events in these bytes.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Vec<InputEvent> {
        self.last = bytes.last().copied();
        self.has_escape = bytes.contains(&0x1b);
        while !bytes.is_empty() {
            bytes = match self.paste.take() {
                Some(paste) => self.feed_paste(paste, bytes),
                None => self.feed_keys(bytes),
            };
        }
        std::mem::take(&mut self.keys.events)
    }

    fn feed_paste<'a>(&mut self, mut paste: Paste, bytes: &'a [u8]) -> &'a [u8] {
        match paste.take(bytes) {
            Some(rest) => {
                self.keys.events.push(paste.finish());
                rest
            }
            None => {
                self.paste = Some(paste);
                &[]
            }
        }
    }

    fn feed_keys<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if let Some(rest) = bytes.strip_prefix(ALT_BACKSPACE) {
            self.keys.events.push(InputEvent::Key(KeyPress::AltBackspace));
            return rest;
        }
        let next = find(&bytes[1..], ALT_BACKSPACE).map_or(bytes.len(), |at| at + 1);
        let read = self.parser.advance_until_terminated(&mut self.keys, &bytes[..next]);
        if std::mem::take(&mut self.keys.begins_paste) {
            self.paste = Some(Paste::default());
        }
        &bytes[read..]
    }

    /// Returns true if the bytes may end inside of a sequence.
    pub(super) fn is_incomplete(&self) -> bool {
        self.has_escape && self.paste.is_none()
    }

    /// Ends an incomplete sequence after a pause: its bytes were keys of their own. Without this,
    /// Alt and `]` would swallow the next keys.
    pub(super) fn give_up(&mut self) -> Option<InputEvent> {
        self.has_escape = false;
        self.parser = Parser::new();
        self.keys.is_ss3 = false;
        (self.last == Some(0x1b)).then_some(InputEvent::Key(KeyPress::Escape))
    }
}

#[derive(Default)]
struct Keys {
    events: Vec<InputEvent>,
    /// True after ESC O: one more character names the key.
    is_ss3: bool,
    begins_paste: bool,
}

impl Keys {
    fn press(&mut self, key: KeyPress) {
        self.events.push(InputEvent::Key(key));
    }
}

impl Perform for Keys {
    fn print(&mut self, c: char) {
        match (std::mem::take(&mut self.is_ss3), c) {
            (true, c) => self.events.extend(arrow(c, false).map(InputEvent::Key)),
            (false, '\x7f') => self.press(KeyPress::Backspace),
            (false, c) => self.press(KeyPress::Char(c)),
        }
    }

    fn execute(&mut self, byte: u8) {
        self.press(match byte {
            b'\r' | b'\n' => KeyPress::Enter,
            b'\t' => KeyPress::Tab,
            0x08 => KeyPress::Backspace,
            0x00..=0x1f => KeyPress::Ctrl(char::from(byte | 0x40)),
            _ => return,
        });
    }

    fn csi_dispatch(&mut self, params: &Params, _: &[u8], _: bool, last: char) {
        let mut numbers = params.iter().map(|param| param.first().copied().unwrap_or(0));
        let (first, second) = (numbers.next().unwrap_or(0), numbers.next());
        match (last, first) {
            ('~', PASTE_BEGIN) => self.begins_paste = true,
            ('~', 1 | 7) => self.press(KeyPress::Home),
            ('~', 3) => self.press(KeyPress::Delete),
            ('~', 4 | 8) => self.press(KeyPress::End),
            ('Z', _) => self.press(KeyPress::BackTab),
            ('I', _) => self.events.push(InputEvent::Focus(true)),
            ('O', _) => self.events.push(InputEvent::Focus(false)),
            (c, _) => self.events.extend(arrow(c, second.is_some()).map(InputEvent::Key)),
        }
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, byte: u8) {
        match byte {
            b'O' => self.is_ss3 = true,
            byte => self.press(KeyPress::Alt(char::from(byte))),
        }
    }

    fn terminated(&self) -> bool {
        self.begins_paste
    }
}

/// Returns the arrow key of this letter. With any modifier, arrows move by words; rxvt sends small
/// letters for that.
fn arrow(c: char, has_modifier: bool) -> Option<KeyPress> {
    Some(match c {
        'A' => KeyPress::Up,
        'B' => KeyPress::Down,
        'C' if has_modifier => KeyPress::WordRight,
        'D' if has_modifier => KeyPress::WordLeft,
        'C' => KeyPress::Right,
        'D' => KeyPress::Left,
        'c' => KeyPress::WordRight,
        'd' => KeyPress::WordLeft,
        'H' => KeyPress::Home,
        'F' => KeyPress::End,
        _ => return None,
    })
}

/// The paste so far. Nothing in it is a key.
#[derive(Default)]
struct Paste {
    bytes: Vec<u8>,
    dropped: usize,
}

impl Paste {
    /// Adds bytes up to the end mark. Returns the bytes behind the mark, if it has come.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let from = self.bytes.len().saturating_sub(PASTE_END.len() - 1);
        self.bytes.extend_from_slice(bytes);
        if let Some(at) = find(&self.bytes[from..], PASTE_END) {
            let rest = self.bytes.len() - (from + at + PASTE_END.len());
            self.bytes.truncate(from + at);
            return Some(&bytes[bytes.len() - rest..]);
        }
        if self.bytes.len() > LONGEST_PASTE {
            self.drop_most();
        }
        None
    }

    /// Keeps the last bytes, which may hold the beginning of the end mark.
    fn drop_most(&mut self) {
        let dropped = self.bytes.len() - (PASTE_END.len() - 1);
        self.bytes.drain(..dropped);
        self.dropped += dropped;
    }

    fn finish(self) -> InputEvent {
        match self.dropped {
            0 => {
                let text = String::from_utf8_lossy(&self.bytes);
                InputEvent::Paste(text.replace("\r\n", "\n").replace('\r', "\n"))
            }
            dropped => InputEvent::TooLong(dropped + self.bytes.len()),
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<InputEvent> {
        let mut input = InputDecoder::default();
        chunks.iter().flat_map(|chunk| input.feed(chunk)).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<KeyPress> {
        let key = |event| match event {
            InputEvent::Key(key) => key,
            other => panic!("{other:?}"),
        };
        events(&[bytes]).into_iter().map(key).collect()
    }

    #[test]
    fn split_input_gives_the_same_keys() {
        let bytes =
            "aé日\r\t\x7f\x08\x15\x1bb\x1b\x7f\x1b[A\x1bOB\x1b[1;5C\x1b[3~\x1b[Z\x1b[H".as_bytes();
        let whole = keys(bytes);
        let expected = [
            [
                KeyPress::Char('a'),
                KeyPress::Char('é'),
                KeyPress::Char('日'),
                KeyPress::Enter,
                KeyPress::Tab,
                KeyPress::Backspace,
            ],
            [
                KeyPress::Backspace,
                KeyPress::Ctrl('U'),
                KeyPress::Alt('b'),
                KeyPress::AltBackspace,
                KeyPress::Up,
                KeyPress::Down,
            ],
        ];
        assert_eq!(whole[..12], expected.concat());
        assert_eq!(
            whole[12..],
            [KeyPress::WordRight, KeyPress::Delete, KeyPress::BackTab, KeyPress::Home]
        );
        for split in 1..bytes.len() {
            // A keyboard sends Alt and backspace in one piece.
            if bytes[..split].ends_with(b"\x1b") && bytes[split] == 0x7f {
                continue;
            }
            let (front, back) = bytes.split_at(split);
            let events = events(&[front, back]).into_iter();
            assert!(events.eq(whole.iter().copied().map(InputEvent::Key)), "{split}");
        }
    }

    #[test]
    fn field_f_split_paste_is_text() {
        let bytes = b"x\x1b[200~a\x03\x1b[A\r\nb\rc\xff\x1b]0;\x1b[201~y";
        let expected = [
            InputEvent::Key(KeyPress::Char('x')),
            InputEvent::Paste("a\x03\x1b[A\nb\nc\u{fffd}\x1b]0;".into()),
            InputEvent::Key(KeyPress::Char('y')),
        ];
        assert_eq!(events(&[bytes]), expected);
        for split in 1..bytes.len() {
            let (front, back) = bytes.split_at(split);
            assert_eq!(events(&[front, back]), expected, "{split}");
        }
    }

    #[test]
    fn field_f_too_long_paste_is_dropped() {
        let mut input = InputDecoder::default();
        assert_eq!(input.feed(b"\x1b[200~"), []);
        for _ in 0..40 {
            assert_eq!(input.feed(&[b'x'; 65536]), []);
        }
        assert!(
            input.paste.as_ref().is_some_and(|paste| paste.bytes.capacity() < 4 * LONGEST_PASTE)
        );
        let events = input.feed(b"\x1b[201~y");
        assert_eq!(events, [InputEvent::TooLong(40 * 65536), InputEvent::Key(KeyPress::Char('y'))]);
    }

    #[test]
    fn lone_escape_is_a_key() {
        let mut input = InputDecoder::default();
        assert_eq!(input.feed(b"\x1b"), []);
        assert!(input.is_incomplete());
        assert_eq!(input.give_up(), Some(InputEvent::Key(KeyPress::Escape)));
        assert_eq!(input.feed(b"\x1b]"), []);
        assert_eq!(input.give_up(), None);
        assert_eq!(input.feed(b"a\x1b[I\x1b[O").len(), 3);
    }
}
