//! A member of a stream: both ends of its stream, and statistics of them.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use reactor_chat::protocol::reply::Admission;
use reactor_chat::protocol::stream::{Code, Completion, upstream};
use reactor_chat::stream::{Event, StreamReceiver, StreamSender};

use super::sample::{new_histogram, record};

pub struct Listener {
    receiver: StreamReceiver,
    sender: StreamSender,
    /// The datagram that is sent next, without the token.
    body: Vec<u8>,
    /// Datagrams with a message, those that were sent again among them.
    messages_sent: u64,
    messages_said: u64,
    /// Number of answers with code 8: the message was not taken for now.
    put_off: u64,
}

impl Listener {
    /// # Errors
    /// If the server does not know stream delivery.
    pub fn new(admission: Admission, room: &str) -> io::Result<Self> {
        let Admission::Stream(completion) = admission else {
            return Err(io::Error::other("the server does not know stream delivery"));
        };
        let Completion { member, tag, next, expected, keep_alive, .. } = completion;
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

    /// Goes on over a connection that loses nothing.
    pub fn carry(&mut self) {
        self.receiver.carry();
        self.sender.carry();
    }

    /// Returns a datagram that the server answers at once: a `have`.
    pub fn introduction(&self) -> Vec<u8> {
        let mut have = Vec::new();
        upstream::encode_have(self.receiver.next(), &mut have);
        have
    }

    /// Passes the texts that are next to `take`. Returns true if the datagram is of the stream.
    pub fn handle_datagram(
        &mut self,
        datagram: &[u8],
        now: Instant,
        mut take: impl FnMut(&[u8]),
    ) -> bool {
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

    /// Queues a message. Returns false if too much is under way already.
    pub fn say(&mut self, text: &[u8]) -> bool {
        let is_taken = self.sender.push(text).is_ok();
        self.messages_said += u64::from(is_taken);
        is_taken
    }

    /// Passes the content of every datagram that is due to `send`.
    pub fn send_due(&mut self, now: Instant, mut send: impl FnMut(&[u8])) {
        let Self { receiver, sender, body, messages_sent, .. } = self;
        while receiver.poll_transmit(now, body) {
            send(body);
        }
        sender.handle_timeout(now);
        while sender.poll_transmit(now, body) {
            send(body);
            *messages_sent += 1;
        }
    }

    /// Returns the time at which a datagram is due again.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [self.receiver.poll_timeout(), self.sender.poll_timeout()];
        deadlines.into_iter().flatten().min()
    }
}

/// Statistics of some members up to now.
pub struct Account {
    /// Entries that came after they were asked for.
    pub repaired: u64,
    /// Entries that did not come any more.
    pub gone: u64,
    /// Times from the discovery of a gap to its repair. Each is in one account only.
    pub times: Histogram<u64>,
    /// Round-trip times, one of each member.
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

    /// Returns the difference to an earlier account.
    pub fn since(self, earlier: &Self) -> Self {
        Self {
            repaired: self.repaired - earlier.repaired,
            gone: self.gone - earlier.gone,
            sent_again: self.sent_again - earlier.sent_again,
            ..self
        }
    }
}
