//! Names on a host are bytes. As text, a byte that is no part of a character is held as a character of its own, so that a path
//! can be made of it again; what leaves the agent shows it as U+FFFD.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The private character that stands for the byte 0x80; the others follow.
const FIRST: u32 = 0xf780;
const LAST: u32 = FIRST + 0x7f;

/// Bytes as text; nothing is lost.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let stand_ins = chunk.invalid().iter();
        text.extend(stand_ins.filter_map(|byte| char::from_u32(FIRST + u32::from(*byte) - 0x80)));
    }
    Cow::Owned(text)
}

/// The byte that a character stands for.
fn byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    (FIRST..=LAST)
        .contains(&code)
        .then(|| u8::try_from(code - FIRST + 0x80).ok())
        .flatten()
}

/// As it is shown.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| byte(c).is_some()) {
        let repaired = text
            .chars()
            .map(|c| if byte(c).is_some() { '\u{fffd}' } else { c });
        return Cow::Owned(repaired.collect());
    }
    Cow::Borrowed(text)
}

/// The path that the kernel knows, from one made of such text.
pub(crate) fn path(path: &Path) -> Cow<'_, Path> {
    let Some(text) = path
        .to_str()
        .filter(|text| text.chars().any(|c| byte(c).is_some()))
    else {
        return Cow::Borrowed(path);
    };
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(Path::new(OsStr::from_bytes(&bytes)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_are_shown_repaired() {
        for bytes in [
            &b"plain"[..],
            b"caf\xe9",
            "caf\u{e9}".as_bytes(),
            b"\x80\xff\xc3",
            b"",
        ] {
            let text = text(bytes);
            assert_eq!(path(Path::new(&*text)).as_os_str().as_bytes(), bytes);
            assert_eq!(shown(&text), String::from_utf8_lossy(bytes));
        }
        assert_eq!(text(b"a\xe9b\xe8"), text(b"a\xe9b\xe8"));
        assert_ne!(text(b"a\xe9"), text(b"a\xe8"));
    }
}
