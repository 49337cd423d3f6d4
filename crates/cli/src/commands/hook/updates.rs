//! What git tells a hook about refs: one line each on standard input.

use custody_contract::Diagnostic;

use crate::arguments::HookKind;
use crate::failure::Failure;

/// A ref that a push changes. Names may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Id of what it is to point to; `None` where it is deleted.
    pub new: Option<String>,
    /// Id of what it points to on the receiving side; `None` where it is created.
    pub old: Option<String>,
    /// Its name on the receiving side.
    pub name: Vec<u8>,
}

/// Reads the lines of a hook: `<local ref> <local id> <remote ref> <remote id>` for pre-push,
/// `<old id> <new id> <ref>` for pre-receive. Anything else is an error: what is not understood is not let through.
pub fn parse(kind: HookKind, input: &[u8]) -> Result<Vec<Update>, Failure> {
    let lines = input.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let numbered = (1u32..).zip(lines).filter(|(_, line)| !line.is_empty());
    numbered.map(|(number, line)| update(kind, line).ok_or_else(|| malformed(kind, number))).collect()
}

fn update(kind: HookKind, line: &[u8]) -> Option<Update> {
    let (new, old, name) = match kind {
        HookKind::Receive => {
            let mut parts = line.splitn(3, |byte| *byte == b' ');
            let (old, new) = (parts.next()?, parts.next()?);
            (new, old, parts.next()?)
        }
        // A local ref may be an expression with spaces, such as `HEAD@{1 day ago}`; the rest cannot hold any.
        _ => {
            let mut parts = line.rsplitn(4, |byte| *byte == b' ');
            let (old, name, new) = (parts.next()?, parts.next()?, parts.next()?);
            parts.next()?;
            (new, old, name)
        }
    };
    (!name.is_empty()).then_some(())?;
    Some(Update { new: id(new)?, old: id(old)?, name: name.to_vec() })
}

/// An object id, `Some(None)` if it is all zeros.
fn id(hex: &[u8]) -> Option<Option<String>> {
    let hex = std::str::from_utf8(hex).ok()?;
    let valid = matches!(hex.len(), 40 | 64) && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    valid.then(|| hex.bytes().any(|byte| byte != b'0').then(|| hex.to_owned()))
}

fn malformed(kind: HookKind, line: u32) -> Failure {
    let form = match kind {
        HookKind::Receive => "<old id> <new id> <ref>",
        _ => "<local ref> <local id> <remote ref> <remote id>",
    };
    let diagnostic =
        Diagnostic::error("usage", format!("line {line} of the input is not what git gives {}", kind.name()));
    Failure::usage(diagnostic.why(format!("each line is {form}")).fix("run it as a hook of git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn push(text: &str) -> Option<Vec<Update>> {
        parse(HookKind::Push, text.as_bytes()).ok()
    }

    #[test]
    fn lines_of_a_push_are_read() {
        let updates = push(&format!("refs/heads/a {ONE} refs/heads/b {ZERO}\r\n(delete) {ZERO} refs/heads/c {ONE}\n"));
        let one = Some(ONE.to_owned());
        assert_eq!(
            updates.expect("sound"),
            [
                Update { new: one.clone(), old: None, name: b"refs/heads/b".to_vec() },
                Update { new: None, old: one, name: b"refs/heads/c".to_vec() },
            ]
        );
        assert_eq!(push("").expect("nothing").len(), 0);
        assert_eq!(push(&format!("HEAD@{{1 day ago}} {ONE} refs/heads/b {ZERO}")).expect("sound").len(), 1);
    }

    #[test]
    fn lines_of_a_receive_are_read_with_names_that_are_no_text() {
        let line = [ZERO.as_bytes(), b" ", ONE.as_bytes(), b" refs/heads/\xff\xfe\n"].concat();
        let updates = parse(HookKind::Receive, &line).expect("sound");
        assert_eq!(updates[0].name, b"refs/heads/\xff\xfe");
        assert_eq!((updates[0].old.is_none(), updates[0].new.is_some()), (true, true));
    }

    #[test]
    fn lines_that_are_not_gits_are_refused() {
        for text in
            ["x", "a b c d", &format!("a {ONE} b {}", &ONE[1..]), &format!("a {ONE} b --all"), &format!(" {ONE} ")]
        {
            assert!(push(text).is_none(), "{text}");
            assert!(parse(HookKind::Receive, text.as_bytes()).is_err(), "{text}");
        }
    }
}
