//! The client on a terminal: a pseudo-terminal to type at, and a screen that shows what a person
//! would see.

use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use pty_process::blocking::{Command as PtyCommand, Pts, Pty, open};
use rustix::termios::{LocalModes, tcgetattr};

use super::program::client;
use super::{DEADLINE, Member, Server, text, wait_for};

/// Columns and rows.
pub type Size = (u16, u16);

pub const USUAL: Size = (80, 24);
pub const SMALL: Size = (40, 10);
pub const WIDE: Size = (160, 24);

/// The first row of a conversation.
pub const TODAY: &str = "              -- DATE";

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_L: &str = "\x0c";

/// Her room is at hand, and she is in it.
pub fn ann(server: &Server) -> Member {
    Member::create(server, "r1", &text("ann"))
}

/// Bob at a terminal in ann's room, which he has entered; the screen shows that, and no more.
pub fn bob(server: &Server, ann: &Member, size: Size) -> Terminal {
    let mut bob = Terminal::start(server, size, &["join", "r1", "bob"]);
    ann.expect("bob joined");
    bob.expect_row(">");
    bob
}

/// Puts away what is on the screen.
pub fn clear(terminal: &mut Terminal) {
    terminal.expect_where("bob joined", |rows| rows.iter().any(|row| row.contains("bob joined")));
    terminal.keys(CTRL_L);
    terminal.expect(&[">"]);
}

/// A client on a terminal; killed when it goes out of scope.
pub struct Terminal {
    child: Child,
    pty: Option<Pty>,
    /// Kept open, so that its mode can be looked at when the client has ended.
    pts: Pts,
    screen: vt100::Parser<Window>,
}

/// State of a window that is not on its screen.
#[derive(Default)]
pub struct Window {
    pub title: String,
    stack: Vec<String>,
    /// It is to wait with showing what is drawn.
    is_held: bool,
    /// It is to tell when it gets and loses the focus.
    pub tells_focus: bool,
    /// Number of times that the bell was rung.
    pub bells: usize,
    /// It is not to wrap rows.
    is_unwrapped: bool,
    /// All other escape sequences.
    pub others: Vec<String>,
}

impl vt100::Callbacks for Window {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.title = String::from_utf8_lossy(title).into();
    }

    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.bells += 1;
    }

    fn unhandled_control(&mut self, _: &mut vt100::Screen, control: u8) {
        self.others.push(format!("control {control}"));
    }

    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        mark: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        match (params.first(), last) {
            (Some([2026]), 'h' | 'l') if mark == Some(b'?') => self.is_held = last == 'h',
            (Some([1004]), 'h' | 'l') if mark == Some(b'?') => self.tells_focus = last == 'h',
            // No row is so long that it would wrap.
            (Some([7]), 'h' | 'l') if mark == Some(b'?') => self.is_unwrapped = last == 'l',
            (Some([22]), 't') => self.stack.push(self.title.clone()),
            (Some([23]), 't') => self.title = self.stack.pop().expect("a title on the stack"),
            _ => self.others.push(format!("{params:?}{last}")),
        }
    }
}

impl Terminal {
    pub fn start(server: &Server, size: Size, args: &[&str]) -> Self {
        Self::spawn(&client(server.tcp, server.udp, args), size, &[])
    }

    pub fn spawn(command: &Command, size: Size, environment: &[(&str, &str)]) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(pty_process::Size::new(size.1, size.0)).expect("a size");
        rustix::io::ioctl_fionbio(&pty, true).expect("an option");
        let mut command = PtyCommand::new(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("TERM_PROGRAM")
            .envs(environment.iter().copied());
        let child = command.spawn_borrowed(&pts).expect("the built client");
        let [columns, rows] = [size.0, size.1].map(|size| NonZeroU16::new(size).expect("a size"));
        let window = Window { title: "before".into(), ..Window::default() };
        let screen = vt100::Parser::new_with_callbacks(rows, columns, 0, window);
        Self { child, pty: Some(pty), pts, screen }
    }

    /// Types these keys.
    pub fn keys(&mut self, keys: &str) {
        self.bytes(keys.as_bytes());
    }

    /// Sends these bytes, as a keyboard with other settings does.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.pty().write_all(bytes).expect("a terminal takes some keys");
    }

    /// Pastes this text, which the client takes while it draws.
    pub fn paste(&mut self, text: &str) {
        let paste = format!("\x1b[200~{text}\x1b[201~");
        let mut rest = paste.as_bytes();
        while !rest.is_empty() {
            self.look();
            match self.pty().write(rest) {
                Ok(size) => rest = &rest[size..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("the terminal: {error}"),
            }
        }
    }

    fn pty(&self) -> &Pty {
        self.pty.as_ref().expect("a terminal that was not closed")
    }

    /// The rows down to the last that is not empty, with HH:MM for a time and DATE for a date.
    pub fn rows(&mut self) -> Vec<String> {
        self.look();
        let columns = self.screen.screen().size().1.get();
        let mut rows: Vec<String> =
            self.screen.screen().rows(0, columns).map(|row| timeless(row.trim_end())).collect();
        while rows.pop_if(|row| row.is_empty()).is_some() {}
        rows
    }

    /// Returns the cell at which this text begins, if a row holds it.
    pub fn find(&mut self, part: &str) -> Option<vt100::Cell> {
        self.look();
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        for row in 0..rows.get() {
            for column in 0..columns.get() {
                let rest = screen.contents_between(row, column, row, columns.get());
                let cell = screen.cell(row, column)?;
                if rest.starts_with(part) && cell.has_contents() {
                    return Some(cell.clone());
                }
            }
        }
        None
    }

    pub fn cursor(&mut self) -> (u16, u16) {
        self.look();
        self.screen.screen().cursor_position()
    }

    pub fn window(&mut self) -> &Window {
        self.look();
        self.screen.callbacks()
    }

    /// Takes what the client has written up to now.
    fn look(&mut self) {
        let Some(mut pty) = self.pty.as_ref() else { return };
        let mut buffer = [0; 65536];
        loop {
            match pty.read(&mut buffer) {
                Ok(0) => return,
                Ok(size) => self.screen.process(&buffer[..size]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the terminal: {error}"),
            }
        }
    }

    /// Waits until the screen shows these rows and nothing else.
    #[track_caller]
    pub fn expect(&mut self, rows: &[&str]) {
        self.expect_where(&format!("{rows:#?}"), |shown| shown == rows);
    }

    /// Waits for this row, or the beginning of one.
    #[track_caller]
    pub fn expect_row(&mut self, row: &str) {
        self.expect_where(row, |shown| shown.iter().any(|shown| shown.starts_with(row)));
    }

    #[track_caller]
    pub fn expect_where(&mut self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_there(&self.rows()) {
            if Instant::now() > end {
                panic!("not {what} but {:#?}", self.rows());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn resize(&mut self, size: Size) {
        self.look();
        self.pty().resize(pty_process::Size::new(size.1, size.0)).expect("a size");
        let [columns, rows] = [size.0, size.1].map(|size| NonZeroU16::new(size).expect("a size"));
        self.screen.set_size(rows, columns);
    }

    /// The window is closed.
    pub fn hang_up(&mut self) {
        self.pty = None;
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }

    /// Waits for the end, and makes sure that the terminal is as it was.
    #[track_caller]
    pub fn expect_end(&mut self, status: i32) {
        let ended = self.wait();
        assert_eq!((ended.code(), ended.signal()), (Some(status), None), "{:#?}", self.rows());
        assert!(self.is_cooked());
        assert_eq!(self.window().title, "before");
        assert!(!self.screen.screen().bracketed_paste() && !self.window().is_held);
        assert!(!self.window().tells_focus && !self.window().is_unwrapped);
        assert_eq!(self.window().others, Vec::<String>::new());
    }

    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        loop {
            // A program does not end before its terminal has taken everything.
            self.look();
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < end, "the client does not end: {:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end and takes nothing of what is written.
    #[track_caller]
    pub fn wait_unseen(&mut self) -> ExitStatus {
        wait_for("the client to end", || self.ended())
    }

    /// Returns the exit status of the client if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Returns true if the terminal echoes what is typed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.pts).expect("a terminal").local_modes.contains(LocalModes::ECHO)
    }

    /// Returns true if the terminal is in its usual mode: echo, whole lines, and signals from keys.
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.pts).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The row with `HH:MM` in place of its time, and `DATE` in place of a date that is all of it.
fn timeless(row: &str) -> String {
    let is_like = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(c, shape)| match shape {
                b'0' => c.is_ascii_digit(),
                shape => c == shape,
            })
    };
    let (mark, day) = row.split_once(", ").unwrap_or_default();
    if let Some((before, _)) = mark.split_once("-- ")
        && is_like(day.as_bytes(), b"0000-00-00")
    {
        return format!("{before}-- DATE");
    }
    match row.as_bytes().get(..5).is_some_and(|time| is_like(time, b"00:00")) {
        true => format!("HH:MM{}", &row[5..]),
        false => row.into(),
    }
}
