//! Tests of field sections, with examples of RFC 9204 and RFC 7541.

use proptest::prelude::*;

use super::*;

fn read(section: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut fields = Vec::new();
    read_section(section, |name, value| {
        fields.push((text(name), text(value)));
        Ok(())
    })?;
    Ok(fields)
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

/// RFC 9204, appendix B.1.
#[test]
fn h8_literal_with_a_static_name() {
    let section = [&[0, 0, 0x51, 0x0b][..], b"/index.html"].concat();
    assert_eq!(read(&section).unwrap(), [pair(":path", "/index.html")]);
}

#[test]
fn h8_static_fields() {
    let expected = [pair(":authority", ""), pair(":status", "503"), pair("origin", "x")];
    assert_eq!(read(&[0, 0, 0xc0, 0xdc, 0x5f, 75, 1, b'x']).unwrap(), expected);
    assert_eq!(read(&[0, 0, 0xff, 35]).unwrap(), [pair("x-frame-options", "sameorigin")]);
    assert_eq!(read(&[0, 0, 0xff, 36]), Err(FAILED), "an index beyond the table");
}

/// RFC 7541, appendix C.4.1: `www.example.com`.
#[test]
fn h8_huffman() {
    let code = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
    let section = [&[0, 0, 0x50, 0x80 | 12][..], &code].concat();
    assert_eq!(read(&section).unwrap(), [pair(":authority", "www.example.com")]);
}

#[test]
fn h8_huffman_padding() {
    // The letter `a` is 00011. Ones follow, less than a byte.
    assert_eq!(expand(&[0b0001_1111]).unwrap(), b"a");
    assert_eq!(expand(&[0b0001_1000]), Err(FAILED));
    assert_eq!(expand(&[0b0001_1111, 0xff]), Err(FAILED));
    assert_eq!(expand(&[0xff; 4]), Err(FAILED), "the end of a string");
}

#[test]
fn h8_wrong_sections() {
    let wrong: [&[u8]; 10] = [
        &[],
        &[0],
        &[1, 0],
        &[0, 0x80],
        &[0, 0, 0x80],
        &[0, 0, 0x40, 0],
        &[0, 0, 0x10],
        &[0, 0, 0x00, 0],
        &[0, 0, 0x23, b'a', b'b'],
        &[0, 0, 0x27, 0xff, 0xff, 0xff, 0x01],
    ];
    for section in wrong {
        assert_eq!(read(section), Err(FAILED), "{section:x?}");
    }
}

#[test]
fn h8_long_section_costs_its_stream() {
    let mut section = vec![0, 0];
    section.extend([0xc0 | 25; 60]);
    assert_eq!(read(&section), Err(Fault::Stream(code::EXCESSIVE_LOAD)));
}

proptest! {
    #[test]
    fn h8_sections_come_back(fields in prop::collection::vec(("[a-z:-]{1,300}", "[ -~]{0,300}"), 0..4)) {
        let borrowed: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut section = Vec::new();
        put_section(&mut section, &borrowed);
        match read(&section) {
            Ok(read) => prop_assert_eq!(read, fields),
            Err(fault) => {
                prop_assert_eq!(fault, Fault::Stream(code::EXCESSIVE_LOAD));
                prop_assert!(section.len() as u64 > MAX_FIELD_SECTION / 2);
            }
        }
    }

    #[test]
    fn h8_random_sections_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[&[0, 0], &bytes[..]].concat());
    }

    #[test]
    fn h8_random_huffman_is_exact(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = expand(&bytes);
        let mut code = Vec::new();
        httlib_huffman::encode(&bytes, &mut code).unwrap();
        prop_assert_eq!(expand(&code).unwrap(), bytes);
    }
}
