//! The text in commits and tags, and what they refer to. Any bytes have a reading; nothing is judged.

use std::ops::Range;

use gix::ObjectId;
use gix::objs::Kind;

/// What a commit or tag says.
#[derive(Debug, Default)]
pub(super) struct Headers {
    /// A commit's tree or a tag's object.
    pub(super) target: Option<ObjectId>,
    pub(super) parents: Vec<ObjectId>,
    /// When it was committed, in seconds since 1970; 0 if it does not say.
    pub(super) time: i64,
    /// What a person wrote, each with what it is. Ids and signatures are left out.
    pub(super) texts: Vec<(&'static str, Range<usize>)>,
}

/// Takes a commit or tag apart.
pub(super) fn headers(data: &[u8], kind: Kind) -> Headers {
    let tag = kind == Kind::Tag;
    let message = memchr::memmem::find(data, b"\n\n").map_or(data.len(), |at| at + 2);
    let mut headers = Headers::default();
    let mut author = None;
    for (name, value) in lines(data, message) {
        let text = &data[value.clone()];
        match name {
            b"tree" if !tag && headers.target.is_none() => headers.target = ObjectId::from_hex(text).ok(),
            b"object" if tag && headers.target.is_none() => headers.target = ObjectId::from_hex(text).ok(),
            b"parent" if !tag => headers.parents.extend(ObjectId::from_hex(text).ok()),
            b"type" | b"gpgsig" | b"gpgsig-sha256" => {}
            b"committer" => {
                headers.time = time(text);
                // An author who commits is searched once.
                if author.as_deref() != Some(person(text)) {
                    headers.texts.push(("commit author", value));
                }
            }
            b"author" => {
                author = Some(person(text).to_vec());
                headers.texts.push(("commit author", value));
            }
            b"tagger" => headers.texts.push(("tag author", value)),
            b"tag" if tag => headers.texts.push(("tag name", value)),
            _ => headers.texts.push((if tag { "tag header" } else { "commit header" }, value)),
        }
    }
    if message < data.len() {
        headers.texts.push((if tag { "tag message" } else { "commit message" }, message..data.len()));
    }
    headers
}

/// The headers, each with where its value stands; continuation lines belong to the value.
fn lines(data: &[u8], end: usize) -> impl Iterator<Item = (&[u8], Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= end || data[at] == b'\n' {
            return None;
        }
        let start = at;
        loop {
            at = memchr::memchr(b'\n', &data[at..end]).map_or(end, |newline| at + newline + 1);
            if at >= end || data[at] != b' ' {
                break;
            }
        }
        let line = &data[start..at];
        let value_end = at - usize::from(line.ends_with(b"\n"));
        let name = memchr::memchr(b' ', line).unwrap_or(value_end - start);
        Some((&line[..name], (start + name + 1).min(value_end)..value_end))
    })
}

/// A person's line up to the end of the address.
fn person(line: &[u8]) -> &[u8] {
    &line[..memchr::memrchr(b'>', line).unwrap_or(line.len())]
}

fn time(line: &[u8]) -> i64 {
    let after = memchr::memrchr(b'>', line).map_or(&b""[..], |at| &line[at + 1..]);
    let seconds = std::str::from_utf8(after).ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    seconds.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 1111111111111111111111111111111111111111\nauthor A U Thor <a@example.org> 1700000000 +0100\ncommitter C <c@example.org> 1700000001 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\nencoding ISO-8859-1\n\nsubject\n\nbody\n";

    #[test]
    fn a_commit_is_taken_apart() {
        let commit = headers(RAW, Kind::Commit);
        assert_eq!((commit.target.is_some(), commit.parents.len(), commit.time), (true, 1, 1_700_000_001));
        let texts: Vec<_> = commit.texts.into_iter().map(|(what, at)| (what, &RAW[at])).collect();
        assert_eq!(
            texts,
            [
                ("commit author", &b"A U Thor <a@example.org> 1700000000 +0100"[..]),
                ("commit author", b"C <c@example.org> 1700000001 +0000"),
                ("commit header", b"ISO-8859-1"),
                ("commit message", b"subject\n\nbody\n"),
            ]
        );
    }

    #[test]
    fn a_tag_is_taken_apart() {
        let raw = b"object 1111111111111111111111111111111111111111\ntype commit\ntag v1\ntagger A <a@example.org> 1 +0000\n\ntext\n";
        let tag = headers(raw, Kind::Tag);
        assert!(tag.target.is_some() && tag.parents.is_empty());
        let texts: Vec<_> = tag.texts.iter().map(|(what, _)| *what).collect();
        assert_eq!(texts, ["tag name", "tag author", "tag message"]);
    }

    #[test]
    fn a_commit_signed_twice_over_a_merged_tag_keeps_the_tags_text() {
        let raw = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nmergetag object 1\n type commit\n tag v1\n\nm\n";
        let commit = headers(raw, Kind::Commit);
        assert_eq!(commit.texts[0].0, "commit header");
        assert!(raw[commit.texts[0].1.clone()].ends_with(b"tag v1"));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_reading(data in proptest::collection::vec(proptest::sample::select(b"\n >t1".to_vec()), 0..60)) {
            for kind in [Kind::Commit, Kind::Tag] {
                for (_, at) in headers(&data, kind).texts {
                    let _ = &data[at];
                }
            }
        }
    }
}
