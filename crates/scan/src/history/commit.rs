//! The text in commits and tags, and what they refer to.

use std::ops::Range;

use gix::ObjectId;

/// A commit or tag, taken apart without judging it: any bytes have a reading.
pub(super) struct Headed<'a> {
    data: &'a [u8],
    /// Where the message starts.
    message: usize,
}

impl<'a> Headed<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let message = memchr::memmem::find(data, b"\n\n").map_or(data.len(), |at| at + 2);
        Headed { data, message }
    }

    /// The headers, each with where its value stands; continuation lines belong to the value.
    fn headers(&self) -> impl Iterator<Item = (&'a [u8], Range<usize>)> {
        let (data, end) = (self.data, self.message);
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
            let name = memchr::memchr(b' ', line).unwrap_or(line.len() - 1);
            let value_end = at - usize::from(line.ends_with(b"\n"));
            Some((&line[..name], (start + name + 1).min(value_end)..value_end))
        })
    }

    /// The hexadecimal ids that the object refers to, in order.
    pub(super) fn references(&self) -> impl Iterator<Item = &'a [u8]> {
        let data = self.data;
        self.headers()
            .take_while(|(name, _)| matches!(*name, b"tree" | b"parent" | b"object"))
            .map(move |(_, value)| &data[value])
    }

    /// The ids of a commit's parents.
    pub(super) fn parents(&self) -> impl Iterator<Item = ObjectId> {
        let data = self.data;
        self.headers()
            .filter(|(name, _)| *name == b"parent")
            .filter_map(move |(_, value)| ObjectId::from_hex(&data[value]).ok())
    }

    /// When it was committed, in seconds since 1970; 0 if it does not say.
    pub(super) fn time(&self) -> i64 {
        self.time_of(b"committer").unwrap_or(0)
    }

    /// When it was authored, in seconds since 1970; 0 if it does not say.
    pub(super) fn authored(&self) -> i64 {
        self.time_of(b"author").unwrap_or(0)
    }

    /// When a tag was made, if it says.
    pub(super) fn tagged(&self) -> Option<i64> {
        self.time_of(b"tagger")
    }

    fn time_of(&self, role: &[u8]) -> Option<i64> {
        let (_, value) = self.headers().find(|(name, _)| *name == role)?;
        let line = &self.data[value];
        let after = &line[memchr::memrchr(b'>', line)? + 1..];
        std::str::from_utf8(after).ok()?.split_whitespace().next()?.parse().ok()
    }

    /// What a person wrote: names, addresses and the message, each with what it is. Ids and signatures are left out.
    pub(super) fn texts(&self, what: &Words) -> Vec<(&'static str, Range<usize>)> {
        let mut texts = Vec::with_capacity(3);
        for (name, value) in self.headers() {
            match name {
                b"tree" | b"parent" | b"object" | b"type" | b"gpgsig" | b"gpgsig-sha256" => {}
                b"author" | b"committer" | b"tagger" => texts.push((what.person, value)),
                b"tag" => texts.push((what.name, value)),
                _ => texts.push((what.header, value)),
            }
        }
        // An author who commits is searched once.
        if let [(_, author), (_, committer), ..] = &texts[..]
            && person(&self.data[author.clone()]) == person(&self.data[committer.clone()])
        {
            texts.remove(1);
        }
        if self.message < self.data.len() {
            texts.push((what.message, self.message..self.data.len()));
        }
        texts
    }
}

/// A person's line up to the end of the address.
fn person(line: &[u8]) -> &[u8] {
    &line[..memchr::memrchr(b'>', line).unwrap_or(line.len())]
}

/// What the texts of one kind of object are called in reports.
pub(super) struct Words {
    person: &'static str,
    name: &'static str,
    header: &'static str,
    message: &'static str,
}

pub(super) const COMMIT: Words =
    Words { person: "commit author", name: "commit header", header: "commit header", message: "commit message" };

pub(super) const TAG: Words =
    Words { person: "tag author", name: "tag name", header: "tag header", message: "tag message" };

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &[u8] = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 1111111111111111111111111111111111111111\nauthor A U Thor <a@example.org> 1700000000 +0100\ncommitter C <c@example.org> 1700000001 +0000\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\nencoding ISO-8859-1\n\nsubject\n\nbody\n";

    #[test]
    fn a_commit_is_taken_apart() {
        let commit = Headed::new(RAW);
        let ids: Vec<_> = commit.references().map(|id| id[0]).collect();
        assert_eq!(ids, b"41");
        assert_eq!((commit.authored(), commit.time(), commit.tagged()), (1_700_000_000, 1_700_000_001, None));
        let texts: Vec<_> = commit.texts(&COMMIT).into_iter().map(|(what, at)| (what, &RAW[at])).collect();
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

    proptest::proptest! {
        #[test]
        fn any_bytes_have_a_reading(data in proptest::collection::vec(proptest::sample::select(b"\n >t1".to_vec()), 0..60)) {
            let headed = Headed::new(&data);
            headed.time();
            headed.references().count();
            for (_, at) in headed.texts(&TAG) {
                let _ = &data[at];
            }
        }
    }
}
