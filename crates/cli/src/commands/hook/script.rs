//! The shell scripts that git runs as hooks: POSIX, and closed where custody is missing.

use std::path::Path;

use crate::arguments::HookKind;

/// Marks a script as custody's; the hook's name follows.
const MARK: &str = "# custody:hook 1 ";

/// Marks a script that only passes on to the repository's own hook.
const PASS: &str = "# custody:hook 1 pass ";

/// Hooks that a repository's own directory may hold and that git no longer looks for there once all repositories share
/// one. Those that git runs many times in one command (reference-transaction, post-index-change) are not among them.
pub const PASSED_ON: [&str; 18] = [
    "applypatch-msg",
    "commit-msg",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "update",
];

/// What a hook runs before custody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The hook that was there, kept beside it.
    Kept,
    /// The hook in the repository's own directory: this one serves all repositories.
    Own,
}

/// The script of a hook that runs `custody`.
pub fn hook(kind: HookKind, custody: &Path, before: Before) -> Vec<u8> {
    let name = kind.name();
    let (what, skip) = match kind {
        HookKind::Commit => ("the commit", "to skip this hook once: git commit --no-verify"),
        HookKind::Push => ("the push", "to skip this hook once: git push --no-verify"),
        HookKind::Receive => ("the push", "ask the administrator of this repository"),
    };
    let before = match before {
        Before::Nothing => "set -- -- \"$@\"\n".to_owned(),
        Before::Kept => "set -- --before \"$0.custody-before\" -- \"$@\"\n".to_owned(),
        Before::Own => format!(
            "own=$(git rev-parse --git-common-dir)/hooks/{name}\n\
             if [ -x \"$own\" ]; then\n    set -- --before \"$own\" -- \"$@\"\nelse\n    set -- -- \"$@\"\nfi\n"
        ),
    };
    let mut script = format!(
        "#!/bin/sh\n{MARK}{name}\n\
         # Written by `custody hook install`; `custody hook uninstall` removes it. See docs/hooks.md.\n\
         custody="
    )
    .into_bytes();
    script.extend(quoted(custody));
    script.extend(
        format!(
            "\nif [ ! -x \"$custody\" ]; then\n    \
                 missing=$custody\n    \
                 custody=$(command -v custody) || {{\n        \
                     printf '%s\\n' \"custody: nothing was checked, so {what} is refused: custody is neither at $missing nor on the PATH.\" >&2\n        \
                     printf '%s\\n' 'custody: install it; {skip}.' >&2\n        \
                     exit 3\n    \
                 }}\n\
             fi\n\
             {before}exec \"$custody\" hook run {name} \"$@\"\n"
        )
        .into_bytes(),
    );
    script
}

/// A script that runs the repository's own hook and nothing else.
pub fn pass(name: &str) -> Vec<u8> {
    format!(
        "#!/bin/sh\n{PASS}{name}\n\
         # Git looks for hooks here only (core.hooksPath); this runs the repository's own. See docs/hooks.md.\n\
         own=$(git rev-parse --git-common-dir)/hooks/{name}\n\
         if [ -x \"$own\" ]; then\n    exec \"$own\" \"$@\"\nfi\n"
    )
    .into_bytes()
}

/// What a file in a directory of hooks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// It runs custody.
    Ours,
    /// It passes on to the repository's own.
    Pass,
    /// Somebody else's.
    Foreign,
}

/// Tells whose a script is.
pub fn whose(script: &[u8]) -> Whose {
    let mut lines = script.split(|byte| *byte == b'\n');
    let second = lines.nth(1).unwrap_or_default();
    if second.starts_with(PASS.as_bytes()) {
        Whose::Pass
    } else if second.starts_with(MARK.as_bytes()) {
        Whose::Ours
    } else {
        Whose::Foreign
    }
}

/// Whether one of our scripts runs the hook that was kept beside it.
pub fn runs_kept(script: &[u8]) -> bool {
    String::from_utf8_lossy(script).contains("\"$0.custody-before\"")
}

/// The path of custody that one of our scripts names.
pub fn custody_in(script: &[u8]) -> Option<Vec<u8>> {
    const START: &[u8] = b"\ncustody='";
    let at = script.windows(START.len()).position(|window| window == START)? + START.len();
    let mut path = Vec::new();
    let mut rest = &script[at..];
    loop {
        let end = rest.iter().position(|byte| *byte == b'\'')?;
        path.extend_from_slice(&rest[..end]);
        match rest[end..].strip_prefix(b"'\\''") {
            Some(after) => {
                path.push(b'\'');
                rest = after;
            }
            None => return Some(path),
        }
    }
}

/// A path in single quotes.
fn quoted(path: &Path) -> Vec<u8> {
    let mut word = vec![b'\''];
    for &byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            byte => word.push(byte),
        }
    }
    word.push(b'\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_again_and_name_their_program() {
        for path in ["/usr/bin/custody", "/a b/it's/\"$x\"\n/custody"] {
            for before in [Before::Nothing, Before::Kept, Before::Own] {
                let script = hook(HookKind::Push, Path::new(path), before);
                assert_eq!(whose(&script), Whose::Ours);
                assert_eq!(custody_in(&script).as_deref(), Some(path.as_bytes()));
                assert_eq!(runs_kept(&script), before == Before::Kept);
            }
        }
        assert_eq!(whose(&pass("commit-msg")), Whose::Pass);
        for other in [&b""[..], b"#!/bin/sh\necho custody\n", b"\n\n# custody:hook 1 pre-commit", b"\xff\n\xff"] {
            assert_eq!(whose(other), Whose::Foreign);
            assert_eq!(custody_in(other), None);
        }
    }
}
