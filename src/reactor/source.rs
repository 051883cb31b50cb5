//! Meaning of a `mio::Token`: a token is a typed address.

use mio::Token;

use crate::ids::{ConnId, GENERATIONS, Key};

/// Everything that is registered in the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The TCP listener of a `--bind`.
    Listener(usize),
    /// The UDP socket of a `--bind`.
    Datagrams(usize),
    /// The signals.
    Signals,
    /// Stdout or stderr.
    Output(usize),
    /// An accepted TCP stream. The id carries a generation, so an event for a closed connection does
    /// not reach the one that uses its slot now.
    Connection(ConnId),
}

// The highest bit marks a connection, whose id takes 62 bits: 30 of generation, 32 of slot. Without that
// bit the upper half holds the kind of the source, and the lower half its index.
const _: () = assert!(usize::BITS == 64 && GENERATIONS == 1 << 30);
const CONNECTION: usize = 1 << 63;
const LISTENER: usize = 0;
const DATAGRAMS: usize = 1;
const SIGNALS: usize = 2;
const OUTPUT: usize = 3;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        let (high, low) = match source {
            Source::Listener(index) => (LISTENER, index),
            Source::Datagrams(index) => (DATAGRAMS, index),
            Source::Signals => (SIGNALS, 0),
            Source::Output(index) => (OUTPUT, index),
            Source::Connection(ConnId(Key { slot, generation })) => {
                let id = (generation as usize) << u32::BITS | slot as usize;
                return Token(CONNECTION | id);
            }
        };
        Token(high << u32::BITS | low)
    }
}

impl From<Token> for Source {
    fn from(Token(token): Token) -> Self {
        let (high, low) = (token >> u32::BITS, token as u32);
        match high {
            LISTENER => Self::Listener(low as usize),
            DATAGRAMS => Self::Datagrams(low as usize),
            SIGNALS => Self::Signals,
            OUTPUT => Self::Output(low as usize),
            _ => {
                let generation = high as u32 & (GENERATIONS - 1);
                Self::Connection(ConnId(Key { slot: low, generation }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l7_token_round_trip_keeps_generation() {
        let ids = [(0, 0), (u32::MAX, GENERATIONS - 1), (7, 1), (0, GENERATIONS - 1)];
        let connections =
            ids.map(|(slot, generation)| Source::Connection(ConnId(Key { slot, generation })));
        let others = [
            Source::Listener(0),
            Source::Listener(9),
            Source::Datagrams(0),
            Source::Datagrams(9),
            Source::Signals,
            Source::Output(0),
            Source::Output(1),
        ];
        for source in connections.into_iter().chain(others) {
            assert_eq!(Source::from(Token::from(source)), source);
        }
    }
}
