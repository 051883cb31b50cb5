//! The first bytes from a server that was offered TLS.

use reactor_chat::protocol::frame::STATE_ACKNOWLEDGEMENT;
use reactor_chat::protocol::{Decoded, decode};

/// The kind of a server's first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    TooFew,
    Tls,
    /// An acknowledgement with this status byte.
    Acknowledgement(u8),
    Foreign,
}

/// Bytes of the payload of an acknowledgement: the status.
const STATUS_SIZE: usize = 1;

/// Bytes of the header of a record (RFC 8446, section 5.1).
const RECORD_HEADER: usize = 5;

/// Returns the kind of the first bytes. A record of TLS is never empty. Read as a header of this
/// protocol, its bytes would announce more than 2^200 bytes.
pub(crate) fn classify(input: &[u8]) -> FirstBytes {
    let Some([kind, 3, 0..=4, high, low]) = input.first_chunk::<RECORD_HEADER>() else {
        return classify_frame(input);
    };
    match (kind, high | low) {
        // Change of ciphers, alert, handshake and data.
        (20..=23, 1..) => FirstBytes::Tls,
        _ => classify_frame(input),
    }
}

fn classify_frame(input: &[u8]) -> FirstBytes {
    match decode(input, STATUS_SIZE) {
        Decoded::Incomplete => FirstBytes::TooFew,
        Decoded::Whole(frame) => match (frame.state, frame.payload) {
            (STATE_ACKNOWLEDGEMENT, &[status]) => FirstBytes::Acknowledgement(status),
            _ => FirstBytes::Foreign,
        },
        Decoded::TooLarge { .. } => FirstBytes::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor_chat::protocol::Status;
    use reactor_chat::protocol::reply::acknowledgement;

    /// Returns the kind of an input that arrives byte by byte, and the number of bytes that showed
    /// it.
    fn told(input: &[u8]) -> (FirstBytes, usize) {
        let kinds = (0..=input.len()).map(|size| (classify(&input[..size]), size));
        kinds.into_iter().find(|(kind, _)| *kind != FirstBytes::TooFew).expect("enough bytes")
    }

    #[test]
    fn e13_acknowledgement_is_no_tls() {
        // The server may echo the operation and the room that it has read from the handshake: the
        // bytes of a record's header at most.
        for operation in 0..=255 {
            for room in [0, 1, 20, 21, 22, 23, 255].map(|size| vec![3; size]) {
                let reply = acknowledgement(operation, &room, Status::Malformed);
                let status = Status::Malformed as u8;
                assert_eq!(told(&reply), (FirstBytes::Acknowledgement(status), reply.len()));
            }
        }
    }

    #[test]
    fn e13_record_is_tls() {
        for version in 0..=4 {
            assert_eq!(told(&[22, 3, version, 0, 122]), (FirstBytes::Tls, 5));
            assert_eq!(told(&[21, 3, version, 0, 2]), (FirstBytes::Tls, 5));
        }
    }

    #[test]
    fn e13_other_bytes_are_foreign() {
        let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
        let completion = [&[0, 1, 2][..], &[0; 28], &[1, 0]].concat();
        for input in [&http[..], &completion, &[22; 40], &[22, 3, 5, 1, 1].repeat(9)] {
            assert_eq!(told(input).0, FirstBytes::Foreign, "{input:?}");
        }
    }
}
