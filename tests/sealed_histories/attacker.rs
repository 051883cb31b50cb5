//! An attacker on the path. It sees every datagram, and sends datagrams of its own from any address to
//! any other. It has no keys.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reactor_chat::protocol::Token;
use reactor_chat::seal::{CONTROL, Header};

use crate::client::in_the_clear;
use crate::support::random::Random;
use crate::watcher::Direction;

/// Limit for the datagrams that it remembers: the first ones, and the last ones.
const REMEMBERED: usize = 128;

/// Its own ports. Others are the clients'.
const OWN_PORTS: u16 = 3_000;

/// A datagram that it has seen.
#[derive(Clone, Debug)]
struct Seen {
    direction: Direction,
    /// The client's address.
    at: SocketAddr,
    bytes: Vec<u8>,
}

/// A datagram that it sends.
#[derive(Debug)]
pub struct Attack {
    pub direction: Direction,
    /// The address that it comes from, or the client's that it goes to.
    pub at: SocketAddr,
    pub bytes: Vec<u8>,
    /// True if it may be genuine.
    pub is_copy: bool,
}

#[derive(Default)]
pub struct Attacker {
    seen: Vec<Seen>,
    count: usize,
}

impl Attacker {
    pub fn see(&mut self, direction: Direction, at: SocketAddr, bytes: &[u8]) {
        let seen = Seen { direction, at, bytes: bytes.into() };
        if self.seen.len() < 2 * REMEMBERED {
            self.seen.push(seen);
        } else {
            self.seen[REMEMBERED + self.count % REMEMBERED] = seen;
        }
        self.count += 1;
    }

    /// Returns the next attack, if it has seen enough. `tokens` are those of sealed members: it has them
    /// from somewhere.
    pub fn attack(&self, tokens: &[Token], random: &mut Random) -> Option<Attack> {
        if self.seen.is_empty() {
            return None;
        }
        if random.chance(5) && !tokens.is_empty() {
            let bytes = in_the_clear(random.pick(tokens), &random.bytes());
            let at = self.any_address(random);
            return Some(Attack { direction: Direction::Up, at, bytes, is_copy: false });
        }
        let Seen { direction, at, bytes } = &self.seen[random.size_below(self.seen.len())];
        let direction = if random.chance(10) { other(*direction) } else { *direction };
        let at = if random.chance(60) { *at } else { self.any_address(random) };
        let (bytes, is_copy) = match random.chance(40) {
            true => (bytes.clone(), true),
            false => (self.alter(bytes, random), false),
        };
        Some(Attack { direction, at, bytes, is_copy })
    }

    /// Returns an address of its own, of a client, or of a neighbour of a client.
    fn any_address(&self, random: &mut Random) -> SocketAddr {
        let of_client = self.seen[random.size_below(self.seen.len())].at;
        match random.below(3) {
            0 => of_client,
            1 => SocketAddr::new(of_client.ip(), 2000 + random.below(9) as u16),
            _ => address(random),
        }
    }

    /// Returns a datagram that nobody has sealed.
    fn alter(&self, bytes: &[u8], random: &mut Random) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match random.below(8) {
            0 => bytes.truncate(random.size_below(bytes.len())),
            1 => bytes.extend(std::iter::repeat_n(0, 1 + random.size_below(20))),
            2 => {
                let size = 30 + random.size_below(40);
                bytes.resize(14, 0);
                bytes.resize_with(size, || random.next() as u8);
            }
            3 => self.change_header(&mut bytes, random, |header, random, _| {
                header.number = match random.below(3) {
                    0 => header.number.wrapping_add(1 + random.below(200)),
                    1 => header.number.wrapping_sub(1 + random.below(200)),
                    _ => random.next(),
                };
            }),
            4 => self.change_header(&mut bytes, random, |header, _, other| {
                header.id = if other.id == header.id { !header.id } else { other.id };
            }),
            5 => self.change_header(&mut bytes, random, |header, _, _| header.flags ^= CONTROL),
            _ => {
                let bit = random.size_below(8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
        bytes
    }

    /// Changes a header; `change` gets that of another datagram too.
    fn change_header(
        &self,
        bytes: &mut [u8],
        random: &mut Random,
        change: impl Fn(&mut Header, &mut Random, Header),
    ) {
        let other = &self.seen[random.size_below(self.seen.len())].bytes;
        let (Some(mut header), Some(other)) = (Header::parse(bytes), Header::parse(other)) else {
            // One in the clear.
            bytes[0] ^= 1;
            return;
        };
        change(&mut header, random, other);
        let header = header.encode();
        bytes[..header.len()].copy_from_slice(&header);
    }
}

/// Returns one of the attacker's own addresses.
pub fn address(random: &mut Random) -> SocketAddr {
    let ip = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1 + random.below(3) as u8));
    SocketAddr::new(ip, OWN_PORTS + random.below(4) as u16)
}

/// Returns true for an address of the attacker.
pub fn is_own(address: SocketAddr) -> bool {
    address.port() >= OWN_PORTS
}

fn other(direction: Direction) -> Direction {
    match direction {
        Direction::Up => Direction::Down,
        Direction::Down => Direction::Up,
    }
}
