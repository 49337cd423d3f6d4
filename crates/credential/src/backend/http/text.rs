//! Words about exchanges: what failed, in a clean line.

use std::io;

use ureq::Timeout;
use zeroize::Zeroizing;

use super::super::{ErrorKind, Fault};

/// One line of at most `limit` characters: no control characters, nothing that turns the direction of text.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut blank = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() || is_invisible(character) {
            blank = !out.is_empty();
            continue;
        }
        if count >= limit {
            out.push('…');
            break;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
            count += 1;
        }
        out.push(character);
        count += 1;
    }
    out
}

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// `application/x-www-form-urlencoded` (WHATWG URL, section 5.2).
pub(super) fn form_encode(out: &mut Zeroizing<Vec<u8>>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
}

/// What a failed exchange means.
pub(super) fn transport_fault(error: &ureq::Error, place: &str) -> Fault {
    match error {
        ureq::Error::Other(inner) => match inner.downcast_ref::<Fault>() {
            Some(fault) => fault.clone(),
            None => unreachable(place, "the connection failed"),
        },
        ureq::Error::Timeout(timeout) => timed_out(*timeout, place),
        ureq::Error::HostNotFound => {
            let mut fault = unreachable(place, "its name is not known");
            fault.fix = "check the host name, and the name server".into();
            fault
        }
        ureq::Error::Io(error) => io_fault(error, place),
        ureq::Error::Protocol(_) | ureq::Error::BodyStalled | ureq::Error::Http(_) => {
            Fault::malformed(format!("{place} does not answer as HTTP/1.1 prescribes"))
        }
        ureq::Error::LargeResponseHeader(..) => {
            Fault::malformed(format!("{place} answered with a head that is too large"))
        }
        ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => {
            Fault::configuration("the address is not a URL", "set the address as `https://host[:port]`")
        }
        ureq::Error::ConnectProxyFailed(_) => unreachable(place, "the proxy does not connect to it"),
        _ => unreachable(place, "the connection failed"),
    }
}

/// What a failure while reading the body means.
pub(super) fn body_fault(error: io::Error, place: &str) -> Fault {
    transport_fault(&ureq::Error::from(error), place)
}

fn io_fault(error: &io::Error, place: &str) -> Fault {
    if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
        return fault.clone();
    }
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return super::tls::fault(tls, place);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => unreachable(place, "nobody listens there"),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => unreachable(place, "it did not answer in time"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            unreachable(place, "it closed the connection before its answer was complete")
        }
        io::ErrorKind::NotFound => unreachable(place, "the socket does not exist"),
        io::ErrorKind::PermissionDenied => {
            Fault::configuration("the socket may not be opened by this user", "check the owner and mode of the socket")
        }
        kind => unreachable(place, &kind.to_string()),
    }
}

fn timed_out(timeout: Timeout, place: &str) -> Fault {
    match timeout {
        Timeout::Connect => unreachable(place, "no connection in time"),
        Timeout::Resolve => unreachable(place, "its name was not found in time"),
        _ => unreachable(place, "it did not answer in time"),
    }
}

fn unreachable(place: &str, why: &str) -> Fault {
    Fault::new(
        ErrorKind::Unreachable,
        format!("{place} cannot be reached: {why}"),
        "check the address, the network and that the service runs",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_become_one_clean_line() {
        assert_eq!(clean("  a\r\n\tb \u{1b}[31mred\u{202e}x", 100), "a b [31mred x");
        assert_eq!(clean("abcdef", 3), "abc…");
        assert_eq!(clean("", 3), "");
    }

    proptest! {
        #[test]
        fn no_line_break_or_control_survives(text in any::<String>(), limit in 0_usize..50) {
            let line = clean(&text, limit);
            prop_assert!(line.chars().count() <= limit + 2);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
