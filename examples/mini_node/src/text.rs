//! Text as bytes, in the encodings that a Buffer knows.

/// The bytes of a text. What does not belong to the encoding ends hexadecimal digits, and is left
/// out of base64, as in Node. An encoding that is not known is UTF-8: JavaScript has checked it.
pub(crate) fn encode(text: String, encoding: &str) -> Vec<u8> {
    match encoding {
        "latin1" | "ascii" => text.encode_utf16().map(|unit| unit as u8).collect(),
        "utf16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "hex" => hex_to_bytes(&text),
        "base64" | "base64url" => base64_to_bytes(&text),
        _ => text.into_bytes(),
    }
}

/// The text of bytes. What is no UTF-8 comes as U+FFFD.
pub(crate) fn decode(bytes: &[u8], encoding: &str) -> String {
    match encoding {
        "latin1" => bytes.iter().map(|&byte| char::from(byte)).collect(),
        "ascii" => bytes.iter().map(|&byte| char::from(byte & 0x7f)).collect(),
        "hex" => bytes_to_hex(bytes),
        "base64" => bytes_to_base64(bytes, STANDARD, true),
        "base64url" => bytes_to_base64(bytes, URL_SAFE, false),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The units of UTF-16, which may be surrogates without a partner: no `String` has these.
pub(crate) fn utf16_units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn hex_to_bytes(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.map_while(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

fn bytes_to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn bytes_to_base64(bytes: &[u8], alphabet: &[u8; 64], pads: bool) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=group.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(char::from(alphabet[digit as usize]));
        }
        if pads {
            text.extend(std::iter::repeat_n('=', 3 - group.len()));
        }
    }
    text
}

/// Of both alphabets, up to the first `=`.
fn base64_to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.bytes().take_while(|&byte| byte != b'=').filter_map(base64_digit) {
        bits = bits << 6 | digit;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn base64_digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_text_and_the_same_bytes_again() {
        let bytes: Vec<u8> = (0..=255).collect();
        for encoding in ["latin1", "hex", "base64", "base64url"] {
            for length in [0, 1, 2, 3, 4, 255, 256] {
                let text = decode(&bytes[..length], encoding);
                assert_eq!(encode(text, encoding), bytes[..length], "{encoding}, {length} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_digit_ends_hexadecimal_and_is_left_out_of_base64() {
        assert_eq!(encode("616263zz64".into(), "hex"), b"abc");
        assert_eq!(encode("616".into(), "hex"), b"a");
        assert_eq!(encode("YW Jj\nZA==YQ".into(), "base64"), b"abcd");
        assert_eq!(encode("-_-_".into(), "base64"), encode("+/+/".into(), "base64url"));
    }
}
