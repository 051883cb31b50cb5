//! A member of a stream: what it hears in order, what it says until it is heard, and an account of
//! both.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use reactor_chat::protocol::stream::{Code, Completion, upstream};
use reactor_chat::stream::{Event, StreamReceiver, StreamSender};

use super::load::{new_histogram, record};

pub struct Listener {
    receiver: StreamReceiver,
    sender: StreamSender,
    /// What is to be sent, without the token.
    body: Vec<u8>,
    /// Datagrams with a message, those that were sent again among them.
    messages_sent: u64,
    messages_said: u64,
    /// Answers that a message was not taken for now (code 8).
    put_off: u64,
}

impl Listener {
    /// # Errors
    /// If the server has not told where the member is in the stream.
    pub fn new(completion: Option<Completion>, room: &str) -> io::Result<Self> {
        let unknown = || io::Error::other("the server does not know stream delivery");
        let Completion { member, tag, next, expected, keep_alive, .. } =
            completion.ok_or_else(unknown)?;
        let keep_alive = Duration::from_secs(keep_alive);
        Ok(Self {
            receiver: StreamReceiver::new(tag, next, keep_alive, Instant::now()),
            sender: StreamSender::new(member, expected, room),
            body: Vec::new(),
            messages_sent: 0,
            messages_said: 0,
            put_off: 0,
        })
    }

    /// What is answered at once, even where nothing has happened: what it has.
    pub fn introduction(&self) -> Vec<u8> {
        let mut have = Vec::new();
        upstream::encode_have(self.receiver.next(), &mut have);
        have
    }

    /// Takes a datagram, and gives whether it is of the stream. `take` gets the texts that are next.
    pub fn hear(&mut self, datagram: &[u8], now: Instant, mut take: impl FnMut(&[u8])) -> bool {
        let Self { receiver, sender, put_off, .. } = self;
        receiver.handle_datagram(datagram, now, |event| {
            sender.handle_event(&event, now);
            match event {
                Event::Message { text, .. } => take(text),
                Event::Aside { code, .. } => *put_off += u64::from(code == Code::RateLimited as u8),
                _ => {}
            }
        })
    }

    /// Returns how often the server has put off a message.
    pub fn put_off(&self) -> u64 {
        self.put_off
    }

    /// Says something, unless too much is under way already.
    pub fn say(&mut self, text: &[u8]) -> bool {
        let is_taken = self.sender.push(text).is_ok();
        self.messages_said += u64::from(is_taken);
        is_taken
    }

    /// Gives `send` every datagram that is due, behind `prefix`.
    pub fn send_due(&mut self, now: Instant, prefix: &[u8], mut send: impl FnMut(&[u8])) {
        let Self { receiver, sender, body, messages_sent, .. } = self;
        while receiver.poll_transmit(now, body) {
            send(&[prefix, body].concat());
        }
        sender.handle_timeout(now);
        while sender.poll_transmit(now, body) {
            send(&[prefix, body].concat());
            *messages_sent += 1;
        }
    }

    /// When something is due again.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.receiver.poll_timeout(), self.sender.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }
}

/// What members have heard and said up to now.
pub struct Account {
    /// Entries that came after they were asked for.
    pub repaired: u64,
    /// Entries that did not come any more.
    pub gone: u64,
    /// From when an entry was found missing to when it came. Told once.
    pub times: Histogram<u64>,
    /// By member.
    pub rtts: Histogram<u64>,
    /// Messages that were sent again.
    pub sent_again: u64,
}

impl Account {
    pub fn of(listeners: &[Mutex<Listener>]) -> Self {
        let (times, rtts) = (new_histogram(), new_histogram());
        let mut account = Self { repaired: 0, gone: 0, times, rtts, sent_again: 0 };
        for listener in listeners {
            let mut listener = listener.lock().expect("no panic");
            let receiver = &mut listener.receiver;
            account.repaired += receiver.repaired();
            account.gone += receiver.gone();
            receiver.take_repair_times(|time| record(&mut account.times, time));
            if let Some(rtt) = receiver.rtt() {
                record(&mut account.rtts, rtt);
            }
            account.sent_again += listener.messages_sent - listener.messages_said;
        }
        account
    }

    /// What has come about since an earlier one.
    pub fn since(self, earlier: &Self) -> Self {
        Self {
            repaired: self.repaired - earlier.repaired,
            gone: self.gone - earlier.gone,
            sent_again: self.sent_again - earlier.sent_again,
            ..self
        }
    }
}
