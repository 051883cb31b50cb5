//! The envelope of a member's datagrams: room and token in the clear, or a seal.

use std::cell::RefCell;
use std::io;
use std::sync::Mutex;

use reactor_chat::protocol::datagram;
use reactor_chat::protocol::reply::Admission;
use reactor_chat::seal::{ClientOpener, Sealer};

use super::scenario::Path;

pub enum Envelope {
    /// The bytes before the content of each datagram to the target. Datagrams to the member have none.
    Prefix(Vec<u8>),
    /// Both directions of a seal. Different threads send and receive.
    Seal(Box<(Mutex<Sealer>, Mutex<ClientOpener>)>),
}

thread_local! {
    /// Content of the last datagram that was opened.
    static CONTENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Envelope {
    /// # Errors
    /// If the server has not sealed what should be.
    pub fn new(room: &str, admission: &Admission, path: Path) -> io::Result<Self> {
        let terms = match admission {
            Admission::Plain { seal, .. } => *seal,
            Admission::Stream(completion) => completion.seal,
        };
        match (path, terms) {
            // Nothing is around the content: its connection names the member.
            (
                Path::Carried
                | Path::CarriedInTls
                | Path::CarriedOnUnix
                | Path::WebSocket
                | Path::Quic,
                _,
            ) => Ok(Self::Prefix(Vec::new())),
            (Path::Clear, _) => {
                let mut bytes = Vec::new();
                datagram::encode_sender_key(room, &admission.token().to_wire(), &mut bytes);
                Ok(Self::Prefix(bytes))
            }
            (Path::Sealed, Some(terms)) => {
                let sealer = Sealer::new(terms.id, terms.cipher, terms.up);
                let opener = ClientOpener::new(terms.id, terms.cipher, terms.down);
                Ok(Self::Seal(Box::new((sealer.into(), opener.into()))))
            }
            (Path::Sealed, None) => Err(io::Error::other("the server does not seal datagrams")),
        }
    }

    /// Returns a datagram to the target with this content.
    pub fn wrap(&self, content: &[u8]) -> Vec<u8> {
        match self {
            Self::Prefix(prefix) => [prefix, content].concat(),
            Self::Seal(seal) => {
                let mut datagram = Vec::new();
                let sealed = seal.0.lock().expect("no panic").seal(0, content, &mut datagram);
                sealed.expect("fewer than 2^64 datagrams");
                datagram
            }
        }
    }

    /// Returns the id of the seal.
    pub fn id(&self) -> Option<u32> {
        let Self::Seal(seal) = self else { return None };
        Some(seal.0.lock().expect("no panic").id())
    }

    /// Passes the content of a datagram from the target to `take`, unless it does not open.
    pub fn open(&self, datagram: &[u8], take: impl FnOnce(&[u8])) {
        let Self::Seal(seal) = self else { return take(datagram) };
        CONTENT.with_borrow_mut(|content| {
            let opened = seal.1.lock().expect("no panic").open(datagram, content);
            if opened.is_ok_and(|opened| !opened.is_control()) {
                take(content);
            }
        });
    }

    /// Returns true if a datagram opens and its content is the one that `is_meant` tells.
    pub fn is(&self, datagram: &[u8], is_meant: impl FnOnce(&[u8]) -> bool) -> bool {
        let mut is = false;
        self.open(datagram, |content| is = is_meant(content));
        is
    }
}
