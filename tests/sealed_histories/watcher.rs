//! Watches everything that travels: numbers, plaintext, and the bytes to addresses that are not proved.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use reactor_chat::protocol::{SealTerms, Token};
use reactor_chat::seal::{CONTROL, Header, OVERHEAD};

use crate::server::Verdict;
use crate::tally::Tally;

/// The largest datagram of a stream, with its seal (S2, E7).
const LARGEST_DOWN: usize = 1_150 + OVERHEAD;

/// The direction of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Up,
    Down,
}

/// A sealed datagram, by its direction, its id and its number.
type Name = (Direction, u32, u64);

/// Bytes from and to one address.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    received: usize,
    sent: usize,
    is_proved: bool,
}

#[derive(Default)]
pub struct Watcher {
    /// Byte strings that may not be seen.
    secrets: Vec<Vec<u8>>,
    /// True for the first bytes of secrets.
    first_bytes: Vec<bool>,
    ids: BTreeSet<u32>,
    /// The next number of each direction and id.
    next: BTreeMap<(Direction, u32), u64>,
    /// Hashes of the datagrams that were sealed, until they are opened.
    unopened: HashMap<Name, u64>,
    balances: HashMap<SocketAddr, Balance>,
    /// Addresses of members in the clear.
    in_clear: BTreeSet<SocketAddr>,
}

impl Watcher {
    pub fn add_secret(&mut self, secret: &[u8]) {
        self.first_bytes.resize(256, false);
        self.first_bytes[usize::from(secret[0])] = true;
        self.secrets.push(secret.into());
    }

    pub fn add_token(&mut self, token: Token) {
        let wire = token.to_wire();
        self.add_secret(&wire);
        let digits = str::from_utf8(&wire).expect("hex digits");
        self.add_secret(&u128::from_str_radix(digits, 16).expect("hex digits").to_be_bytes());
    }

    pub fn add_terms(&mut self, terms: &SealTerms) {
        assert!(self.ids.insert(terms.id), "an id is used once while its member lives");
        self.add_secret(terms.up.as_bits());
        self.add_secret(terms.down.as_bits());
    }

    /// Notes the address of a member whose datagrams everybody may read.
    pub fn note_in_clear(&mut self, at: SocketAddr) {
        self.in_clear.insert(at);
    }

    // Datagrams that are sent.

    /// Checks a datagram that a sealed member sends.
    pub fn note_up(&mut self, bytes: &[u8], epoch_bits: u8, tally: &mut Tally) {
        self.note_sealed(Direction::Up, bytes, epoch_bits, tally);
    }

    /// Checks a datagram that the server sends.
    pub fn note_down(
        &mut self,
        (to, bytes): (SocketAddr, &[u8]),
        is_sealed: bool,
        epoch_bits: u8,
        tally: &mut Tally,
    ) {
        let balance = self.balances.entry(to).or_default();
        balance.sent += bytes.len();
        if !balance.is_proved {
            tally.note("bytes to an unproved address");
            let Balance { sent, received, .. } = *balance;
            assert!(sent <= received, "{sent} bytes to {to}, {received} from there");
        }
        if !is_sealed {
            return assert!(self.in_clear.contains(&to), "cleartext to {to}");
        }
        assert!(bytes.len() <= LARGEST_DOWN, "{} bytes", bytes.len());
        self.note_sealed(Direction::Down, bytes, epoch_bits, tally);
    }

    fn note_sealed(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        epoch_bits: u8,
        tally: &mut Tally,
    ) {
        let Header { flags, id, number } = Header::parse(bytes).expect("a sealed datagram");
        assert!(self.ids.contains(&id), "an id without terms");
        assert!(!self.reveals(bytes), "plaintext: {}", bytes.escape_ascii());
        let next = self.next.entry((direction, id)).or_default();
        assert_eq!(number, *next, "each number once, in order");
        *next += 1;
        self.unopened.insert((direction, id, number), hash(bytes));
        tally.note(match (flags, direction) {
            (CONTROL, Direction::Up) => "control up",
            (CONTROL, Direction::Down) => "control down",
            (_, Direction::Up) => "sealed up",
            (_, Direction::Down) => "sealed down",
        });
        if number > 0 && number.is_multiple_of(1 << epoch_bits) {
            tally.note(if direction == Direction::Up { "epoch up" } else { "epoch down" });
        }
    }

    /// Returns true if a secret can be read in these bytes.
    fn reveals(&self, bytes: &[u8]) -> bool {
        let starts =
            bytes.iter().enumerate().filter(|(_, byte)| self.first_bytes[usize::from(**byte)]);
        starts
            .into_iter()
            .any(|(at, _)| self.secrets.iter().any(|secret| bytes[at..].starts_with(secret)))
    }

    // Datagrams that arrive.

    /// Returns true if a sealed datagram is genuine, byte by byte, and was not opened yet.
    pub fn is_new(&self, direction: Direction, bytes: &[u8]) -> bool {
        Header::parse(bytes).is_some_and(|Header { id, number, .. }| {
            self.unopened.get(&(direction, id, number)) == Some(&hash(bytes))
        })
    }

    /// Notes that a datagram has opened: it must be genuine, and it opens once.
    pub fn note_opened(&mut self, direction: Direction, bytes: &[u8]) {
        assert!(self.is_new(direction, bytes), "a datagram that is not new was opened");
        let Header { id, number, .. } = Header::parse(bytes).expect("a sealed datagram");
        self.unopened.remove(&(direction, id, number));
    }

    /// Notes a datagram that arrives at the server.
    pub fn note_arrival(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.balances.entry(from).or_default().received += bytes.len();
    }

    /// Notes what the server makes of it.
    pub fn note_verdict(
        &mut self,
        (from, bytes): (SocketAddr, &[u8]),
        verdict: Verdict,
        tally: &mut Tally,
    ) {
        match verdict {
            Verdict::Opened { proves, has_moved } => {
                self.note_opened(Direction::Up, bytes);
                if proves {
                    self.note_proved(from);
                }
                if has_moved {
                    tally.note("route moved");
                }
            }
            Verdict::Rejected(reason) => {
                assert!(bytes[0] == 0);
                tally.note(&format!("rejected {reason:?}"));
            }
            Verdict::Clear(_) => self.note_proved(from),
            Verdict::Dropped => {}
        }
    }

    /// Notes that a member has proved an address.
    fn note_proved(&mut self, at: SocketAddr) {
        self.balances.entry(at).or_default().is_proved = true;
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
