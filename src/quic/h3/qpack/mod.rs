//! QPACK (RFC 9204) without a dynamic table. Our SETTINGS leave its capacity at zero, so a section that
//! refers to a dynamic entry is an error of the peer.

mod static_table;

use std::borrow::Cow;

use httlib_huffman::DecoderSpeed;

use self::static_table::STATIC_TABLE;
use super::error::{Fault, code};
use super::settings::MAX_FIELD_SECTION;

/// Cost of a field besides its name and value (RFC 9114, section 4.2.2).
const FIELD_OVERHEAD: usize = 32;

const FAILED: Fault = Fault::connection(code::QPACK_DECOMPRESSION_FAILED, "invalid field section");

/// Appends a field section, all fields as literals. Names are shorter than 2^16 bytes.
pub fn put_section(out: &mut Vec<u8>, fields: &[(&str, &str)]) {
    // Required insert count and base: no dynamic entries.
    out.extend_from_slice(&[0, 0]);
    for (name, value) in fields {
        put_integer(out, 0x20, 3, name.len());
        out.extend_from_slice(name.as_bytes());
        put_integer(out, 0, 7, value.len());
        out.extend_from_slice(value.as_bytes());
    }
}

/// Appends an integer whose first byte has `bits` bits of it behind `flags` (RFC 7541, section 5.1).
fn put_integer(out: &mut Vec<u8>, flags: u8, bits: u8, value: usize) {
    let mask = (1_usize << bits) - 1;
    let Some(mut rest) = value.checked_sub(mask) else {
        out.push(flags | value as u8);
        return;
    };
    out.push(flags | mask as u8);
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Passes each field of a section to `note`, as name and value.
pub(super) fn read_section(
    mut section: &[u8],
    mut note: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let bytes = &mut section;
    let inserts = take_integer(bytes, 8)?;
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    take_integer(bytes, 7)?;
    if inserts != 0 || is_negative {
        return Err(FAILED);
    }
    let mut size = 0;
    while let Some(first) = bytes.first() {
        let (name, value) = take_field(*first, bytes)?;
        size += name.len() + value.len() + FIELD_OVERHEAD;
        if size as u64 > MAX_FIELD_SECTION {
            return Err(Fault::Stream(code::EXCESSIVE_LOAD));
        }
        note(&name, &value)?;
    }
    Ok(())
}

type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Takes a field line (RFC 9204, section 4.5), whose first byte tells its form.
fn take_field<'a>(first: u8, bytes: &mut &'a [u8]) -> Result<Field<'a>, Fault> {
    match first {
        // An index into the static table.
        0b1100_0000.. => {
            let (name, value) = static_entry(take_integer(bytes, 6)?)?;
            Ok((name.as_bytes().into(), value.as_bytes().into()))
        }
        // The name by its index in the static table.
        0b0101_0000..=0b0101_1111 | 0b0111_0000..=0b0111_1111 => {
            let (name, _) = static_entry(take_integer(bytes, 4)?)?;
            Ok((name.as_bytes().into(), take_string(bytes, 7)?))
        }
        // Both as literals.
        0b0010_0000..=0b0011_1111 => Ok((take_string(bytes, 3)?, take_string(bytes, 7)?)),
        // A dynamic entry.
        _ => Err(FAILED),
    }
}

fn static_entry(index: usize) -> Result<(&'static str, &'static str), Fault> {
    STATIC_TABLE.get(index).copied().ok_or(FAILED)
}

/// Takes an integer of at most two continuation bytes, which is more than any valid size or index needs.
fn take_integer(bytes: &mut &[u8], bits: u8) -> Result<usize, Fault> {
    let mask = 0xff >> (8 - bits);
    let mut value = usize::from(take_byte(bytes)? & mask);
    if value < usize::from(mask) {
        return Ok(value);
    }
    for shift in [0, 7] {
        let byte = take_byte(bytes)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(FAILED)
}

fn take_byte(bytes: &mut &[u8]) -> Result<u8, Fault> {
    let (byte, rest) = bytes.split_first().ok_or(FAILED)?;
    *bytes = rest;
    Ok(*byte)
}

/// Takes a string: a bit for Huffman, the size in `bits` bits, the bytes.
fn take_string<'a>(bytes: &mut &'a [u8], bits: u8) -> Result<Cow<'a, [u8]>, Fault> {
    let is_huffman = bytes.first().is_some_and(|first| first & (1 << bits) != 0);
    let size = take_integer(bytes, bits)?;
    let (string, rest) = bytes.split_at_checked(size).ok_or(FAILED)?;
    *bytes = rest;
    if is_huffman { expand(string).map(Cow::from) } else { Ok(string.into()) }
}

/// Decodes Huffman. The shortest code has five bits, so the output has at most 8/5 of the input's size.
fn expand(string: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::with_capacity(string.len() * 8 / 5);
    httlib_huffman::decode(string, &mut text, DecoderSpeed::FourBits).map_err(|_| FAILED)?;
    // The library takes any padding. Only ones are allowed, and less than a byte (RFC 7541, section 5.2).
    let mut again = Vec::with_capacity(string.len());
    httlib_huffman::encode(&text, &mut again).map_err(|_| FAILED)?;
    if again == string { Ok(text) } else { Err(FAILED) }
}

#[cfg(test)]
mod tests;
