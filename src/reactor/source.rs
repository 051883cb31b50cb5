//! What a `mio::Token` means: a token is a typed address.

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
    /// An accepted TCP stream. The id carries a generation, so an event for a connection that is
    /// gone does not reach the one that has its slot now.
    Connection(ConnId),
}

// The two highest bits hold the kind, the rest an id: 30 bits of generation, 32 of slot. Sources
// that exist only once or twice share a kind.
const _: () = assert!(usize::BITS == 64 && GENERATIONS == 1 << 30);
const KIND_SHIFT: u32 = 62;
const LISTENER: usize = 0;
const DATAGRAMS: usize = 1;
const OTHERS: usize = 2;
const CONNECTION: usize = 3;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        let (kind, rest) = match source {
            Source::Listener(index) => (LISTENER, index),
            Source::Datagrams(index) => (DATAGRAMS, index),
            Source::Signals => (OTHERS, 0),
            Source::Output(index) => (OTHERS, 1 + index),
            Source::Connection(ConnId(Key { slot, generation })) => {
                (CONNECTION, (generation as usize) << u32::BITS | slot as usize)
            }
        };
        Token(kind << KIND_SHIFT | rest)
    }
}

impl From<Token> for Source {
    fn from(Token(token): Token) -> Self {
        let rest = token & !(CONNECTION << KIND_SHIFT);
        match token >> KIND_SHIFT {
            LISTENER => Self::Listener(rest),
            DATAGRAMS => Self::Datagrams(rest),
            OTHERS => rest.checked_sub(1).map_or(Self::Signals, Self::Output),
            _ => {
                let [generation, slot] = [(rest >> u32::BITS) as u32, rest as u32];
                Self::Connection(ConnId(Key { slot, generation }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l7_a_token_goes_there_and_back_with_its_generation() {
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
