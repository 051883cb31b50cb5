//! The line editor, in a thread of its own: reads keys, draws the line that is being typed, and
//! prints the room's lines above it.
//!
//! A terminal may block for as long as it likes, but the event loop must not. So the loop puts
//! lines into a shared state, and this thread prints them when it can, a thousand lines as fast as
//! one.

mod desk;

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use mio::Waker;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGCONT, SIGINT, SIGWINCH};
use signal_hook::low_level::{self, pipe};

use super::guard::TerminalGuard;
use super::input::{InputDecoder, InputEvent};
use super::keys::{KeyAction, Keyboard, locked};
use super::lines::{Label, RoomLine, Scrollback};
use super::prompt::{Prompt, PromptView};
use super::style::Style;
use reactor_chat::protocol::command::EXIT;

use crate::sanitize::visible;
use crate::stdin::{InputLine, Stdin};
use crate::tty::{self, TerminalSize};
use desk::{EditorDesk, told};

pub(super) use desk::Update;

/// BEL: the terminal rings or flashes, as it is configured.
const BELL: char = '\x07';

type Typed = Sender<io::Result<InputLine>>;

/// The longest time for the end.
const PATIENCE: Duration = Duration::from_millis(500);

/// The longest pause between two bytes of one key.
const KEY_PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Bytes of one read.
const READ_SIZE: usize = 64 * 1024;

/// Marks around output that the terminal shows at once (synchronized output).
const HOLD: &str = "\x1b[?2026h";
const SHOW: &str = "\x1b[?2026l";

/// The event loop's side.
pub(super) struct Editor {
    desk: Arc<EditorDesk>,
}

impl Editor {
    /// Starts the thread, which takes over the terminal. The second value receives the typed lines.
    ///
    /// # Errors
    /// There is no terminal, or the thread can't be started.
    pub(super) fn start(
        waker: Arc<Waker>,
        names: Arc<Mutex<BTreeSet<String>>>,
        guard: Arc<TerminalGuard>,
        style: Arc<Style>,
    ) -> io::Result<(Self, Stdin)> {
        let (typed, receiver) = channel();
        let (bell, rings) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rings.set_nonblocking(true)?;
        for signal in [SIGWINCH, SIGCONT] {
            pipe::register(signal, bell.try_clone()?)?;
        }
        let desk = Arc::new(EditorDesk { state: Mutex::default(), changed: Condvar::new(), bell });
        guard.take()?;
        let front = Front {
            desk: Arc::clone(&desk),
            rings,
            guard,
            style,
            typed,
            said: VecDeque::new(),
            leaves_behind: 0,
            waker,
            input: InputDecoder::default(),
            keyboard: Keyboard::new(names),
            drawing: Prompt::default(),
            drawn: Scrollback::default(),
            size: tty::size(),
        };
        thread::Builder::new().name("editor".into()).spawn(move || front.run_to_the_end())?;
        Ok((Self { desk }, Stdin::from(receiver)))
    }

    /// Shows an update, if there is one.
    pub(super) fn update(&self, update: Update) {
        let is_new = {
            let state = locked(&self.desk.state);
            !update.lines.is_empty() || update.taken > 0 || update.waiting != state.waiting
        };
        if is_new {
            self.desk.set(|state| state.note(update));
        }
    }

    /// Returns true if the next message is the first one since the window lost the focus.
    pub(super) fn takes_mark(&self) -> bool {
        let mut state = locked(&self.desk.state);
        state.is_away && !std::mem::replace(&mut state.is_marked, true)
    }

    /// Prints what is left and erases the prompt. Returns false if that takes too long.
    pub(super) fn close(&self) -> bool {
        self.desk.set(|state| state.is_closing = true);
        let state = locked(&self.desk.state);
        let waited = self.desk.changed.wait_timeout_while(state, PATIENCE, |state| !state.is_over);
        waited.is_ok_and(|(state, _)| state.is_over)
    }
}

/// The thread's side.
struct Front {
    desk: Arc<EditorDesk>,
    rings: UnixStream,
    guard: Arc<TerminalGuard>,
    style: Arc<Style>,
    typed: Typed,
    /// The typed lines in the channel, as far as they should be shown.
    said: VecDeque<Option<String>>,
    /// The number of them up to the last one that leaves.
    leaves_behind: usize,
    waker: Arc<Waker>,
    input: InputDecoder,
    keyboard: Keyboard,
    drawing: Prompt,
    drawn: Scrollback,
    size: TerminalSize,
}

impl Front {
    /// Runs until the end of the input or the chat.
    fn run_to_the_end(mut self) {
        if let Err(error) = self.run()
            && !is_end(&error)
        {
            // If the receiver is gone, the loop has ended.
            let _ = self.typed.send(Err(error));
        }
        let Self { desk, typed, waker, .. } = self;
        // Dropping the sender ends the input.
        drop(typed);
        desk.set(|state| state.is_over = true);
        // If the poll is gone, the loop has ended.
        let _ = waker.wake();
    }

    fn run(&mut self) -> io::Result<()> {
        let mut is_closing = false;
        while !is_closing {
            is_closing = self.draw()?;
            if !is_closing && self.wait()? {
                self.read()?;
            }
        }
        Ok(())
    }

    /// Waits for the terminal or the loop. Returns true if the terminal is readable.
    fn wait(&mut self) -> io::Result<bool> {
        let stdin = io::stdin();
        let mut polled =
            [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.rings, PollFlags::IN)];
        let patience = self.input.is_incomplete().then_some(KEY_PATIENCE);
        let ready = match poll(&mut polled, patience.as_ref()) {
            Err(Errno::INTR) => return Ok(false),
            ready => ready?,
        };
        let [can_read, is_rung] = polled.map(|polled| !polled.revents().is_empty());
        if is_rung {
            // The bytes only wake us.
            let _ = self.rings.read(&mut [0; 1024]);
        }
        if ready == 0
            && let Some(event) = self.input.give_up()
        {
            self.handle(event)?;
        }
        Ok(can_read)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; READ_SIZE];
        let size = match rustix::io::read(io::stdin(), &mut buffer[..]) {
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            size => size?,
        };
        for event in self.input.feed(&buffer[..size]) {
            self.handle(event)?;
        }
        Ok(())
    }

    fn handle(&mut self, event: InputEvent) -> io::Result<()> {
        match event {
            InputEvent::Paste(text) => self.keyboard.paste(&text),
            InputEvent::TooLong(size) => {
                let why = format!("the pasted text is too long, {size} bytes");
                self.desk.set(|state| state.add(told(&why)));
            }
            InputEvent::Focus(has_focus) => self.desk.set(|state| {
                (state.is_away, state.is_marked) = (!has_focus, false);
            }),
            InputEvent::Key(key) => match self.keyboard.press(key) {
                KeyAction::Draw => {}
                KeyAction::Send(lines) => lines.into_iter().for_each(|line| self.say(line)),
                KeyAction::Leave => self.leave()?,
                KeyAction::Stop => self.stop()?,
                KeyAction::ClearScreen => self.clear_screen()?,
            },
        }
        Ok(())
    }

    fn say(&mut self, line: InputLine) {
        let shown = visible(&String::from_utf8_lossy(&line.bytes));
        self.send(line, Some(shown).filter(|shown| !shown.is_empty()));
    }

    fn send(&mut self, line: InputLine, shown: Option<String>) {
        self.said.push_back(shown);
        // If the receiver or the poll is gone, the loop has ended.
        let _ = self.typed.send(Ok(line));
        let _ = self.waker.wake();
    }

    /// Sends an exit after the waiting lines. If an exit waits already, raises SIGINT, as Ctrl-C does in a pipe:
    /// on a full connection the exit can wait without end.
    fn leave(&mut self) -> io::Result<()> {
        if self.leaves_behind > 0 {
            return low_level::raise(SIGINT);
        }
        self.send(InputLine { bytes: EXIT.into(), may_command: true }, None);
        self.leaves_behind = self.said.len();
        Ok(())
    }

    fn stop(&mut self) -> io::Result<()> {
        let mut out = String::new();
        self.drawing.erase(&mut out);
        write(&out)?;
        self.guard.stop()
    }

    fn clear_screen(&mut self) -> io::Result<()> {
        self.drawing.forget();
        self.drawn.clear();
        write("\x1b[H\x1b[2J")
    }

    /// Prints the new lines and draws the prompt below them. Returns true if it was the last time.
    fn draw(&mut self) -> io::Result<bool> {
        let (lines, waiting, rings, is_closing) = {
            let mut state = locked(&self.desk.state);
            let taken = std::mem::take(&mut state.taken).min(self.said.len());
            self.said.drain(..taken);
            self.leaves_behind = self.leaves_behind.saturating_sub(taken);
            let rings = std::mem::take(&mut state.rings);
            (state.take_lines(), state.waiting.clone(), rings, state.is_closing)
        };
        let mut out = HOLD.to_owned();
        if self.guard.takes_again() {
            self.drawing.forget();
        }
        self.erase(&mut out);
        for line in lines {
            print(&line, &self.style, self.size, &mut out);
            self.drawn.push(line);
        }
        if !is_closing {
            self.draw_prompt(&waiting, &mut out);
        }
        out.push_str(SHOW);
        if rings {
            out.push(BELL);
        }
        write(&out)?;
        Ok(is_closing)
    }

    fn draw_prompt(&mut self, waiting: &[String], out: &mut String) {
        let above = self.waiting_rows(waiting);
        let (text, cursor) = self.keyboard.text();
        let prompt = self.keyboard.prompt();
        let view = PromptView { above: &above, prompt: &prompt, text, cursor };
        self.drawing.draw(&view, self.size, out);
    }

    /// Returns the last rows of our own lines that the server has not accepted yet. They take half
    /// of the screen at most.
    fn waiting_rows(&self, waiting: &[String]) -> Vec<String> {
        let most = self.size.rows / 2;
        let mut rows = VecDeque::new();
        for text in waiting.iter().chain(self.said.iter().flatten()).rev() {
            let label = Label::Waiting(self.style.me().into());
            let line = RoomLine { time: String::new(), label, text: text.clone() };
            for row in line.rows(&self.style, self.size.columns).into_iter().rev() {
                rows.push_front(row);
                if rows.len() >= most {
                    return rows.into();
                }
            }
        }
        rows.into()
    }

    /// Erases the prompt. After a change of width its place is unknown, because some terminals
    /// reflow rows and others cut them. Then the whole screen is drawn again.
    fn erase(&mut self, out: &mut String) {
        let before = std::mem::replace(&mut self.size, tty::size());
        if before.columns == self.size.columns {
            self.drawing.erase(out);
            return;
        }
        self.drawing.forget();
        // Row by row: terminals move a screen that is cleared at once into the scrollback, and the
        // prompt with it.
        for row in 1..=self.size.rows {
            out.push_str(&format!("\x1b[{row}H\x1b[2K"));
        }
        out.push_str("\x1b[H");
        for line in self.drawn.visible_in([before, self.size], &self.style) {
            print(line, &self.style, self.size, out);
        }
    }
}

fn print(line: &RoomLine, style: &Style, size: TerminalSize, out: &mut String) {
    for row in line.rows(style, size.columns) {
        out.push_str(&row);
        out.push('\n');
    }
}

/// Writes to the terminal, which another program may have made non-blocking.
fn write(text: &str) -> io::Result<()> {
    let stdout = io::stdout();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(&stdout, rest) {
            Ok(size) => rest = &rest[size..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut polled = [PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT)];
                // A signal only cuts the wait short.
                let _ = poll(&mut polled, None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Returns true if the error means that the terminal is gone.
fn is_end(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO) || error.kind() == ErrorKind::UnexpectedEof
}
