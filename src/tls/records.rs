//! The records in a stream of TLS bytes, without a look inside.
//!
//! rustls holds the bytes of a record until it is whole, and does not say how many it holds. They count
//! towards the memory of the connection, and towards the time of a frame that has begun.

/// Bytes before the content of a record: type, version and length (RFC 8446, section 5.1).
const HEADER: usize = 5;

/// The record that has begun and is not whole.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER],
    /// Bytes of it that have come.
    count: usize,
}

impl Records {
    /// Returns the number of bytes of the incomplete record.
    pub(super) fn incomplete(&self) -> usize {
        self.count
    }

    /// Notes the next bytes of the stream.
    pub(super) fn note(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = self.size().unwrap_or(HEADER);
            let (now, later) = bytes.split_at(bytes.len().min(wanted - self.count));
            if self.count < HEADER {
                self.header[self.count..self.count + now.len()].copy_from_slice(now);
            }
            self.count += now.len();
            if self.size() == Some(self.count) {
                self.count = 0;
            }
            bytes = later;
        }
    }

    /// Returns the size of the record, once its header is whole.
    fn size(&self) -> Option<usize> {
        let [_, _, _, high, low] = self.header;
        (self.count >= HEADER).then(|| HEADER + usize::from(u16::from_be_bytes([high, low])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e4_incomplete_record_is_counted() {
        let stream =
            [&[23, 3, 3, 0, 2, 9, 9][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        let ends = [0, 7, 12, 273];
        for step in 1..=stream.len() {
            let (mut records, mut end) = (Records::default(), 0);
            for bytes in stream.chunks(step) {
                records.note(bytes);
                end += bytes.len();
                let begun = ends.iter().filter(|begin| **begin <= end).max().expect("the first");
                assert_eq!(records.incomplete(), end - begun, "{end} bytes in steps of {step}");
            }
        }
    }
}
