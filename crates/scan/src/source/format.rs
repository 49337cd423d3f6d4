use crate::extract;

/// A format whose text a search of the raw bytes cannot see, or not as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format(pub(crate) &'static str);

/// How many bytes of a file's head [`Format::detect`] looks at: the first block of a tape archive.
pub(crate) const HEAD: usize = 512;

/// Leading bytes and the format's short name. A file that ends within its magic number is too short to hide anything.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\x01\0", "ico"),
    (b"\0\0\x02\0", "cur"),
    (b"icns", "icns"),
    (b"8BPS\0", "psd"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\0\0\0\x0cjP  ", "jpeg2000"),
    (b"%PDF-", "pdf"),
    (b"\xef\xbb\xbf%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9d", "compress"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"]\0\0", "lzma"),
    (b"LZIP", "lzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\xff\x06\0\0sNaPpY", "snappy"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"MSCF\0\0\0\0", "cab"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"wOFF", "woff"),
    (b"wOF2", "woff2"),
    (b"PAR1", "parquet"),
    (b"Obj\x01", "avro"),
    (b"ORC", "orc"),
    (b"hsqs", "squashfs"),
    (b"xar!", "xar"),
    (b"\xed\xab\xee\xdb", "rpm"),
    (b"!<arch>\ndebian", "deb"),
    (b"!<arch>\n", "ar"),
    (b"070701", "cpio"),
    (b"070702", "cpio"),
    (b"PACK\0\0\0", "git-pack"),
    (b"# v2 git bundle", "git-bundle"),
    (b"# v3 git bundle", "git-bundle"),
    (b"OggS\0", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
];

impl Format {
    /// The format of a file that begins with `head`, if it is one that hides text or holds other files. SQLite and
    /// executables are none: their text stands in the raw bytes.
    pub(crate) fn detect(head: &[u8]) -> Option<Format> {
        if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| head.len() > magic.len() && head.starts_with(magic)) {
            return plausible(name, head).then_some(Format(name));
        }
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format("webp")),
            [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(Format("bmp")),
            [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => Some(Format(match brand {
                [b'a', b'v', b'i', b'f' | b's', ..] => "avif",
                [b'h', b'e', b'i' | b'v', ..] | [b'm', b'i', b'f', b'1', ..] => "heif",
                _ => "mp4",
            })),
            _ if extract::is_tar(head) => Some(Format("tar")),
            _ => None,
        }
    }
}

/// Whether short magic numbers, which text could begin with too, are followed by what the format asks for.
fn plausible(name: &str, head: &[u8]) -> bool {
    match name {
        "bzip2" => {
            matches!(head, [_, _, _, b'1'..=b'9', b'1', b'A', b'Y', b'&', ..] | [_, _, _, b'1'..=b'9', 0x17, ..])
        }
        "gzip" => head[2] == 8,
        "mp3" => head[3] < 8,
        "orc" => head[3] < b' ',
        "lzip" => head[4] < b' ',
        "parquet" | "icns" | "xar" => head[4..].iter().take(4).any(|byte| !(b'\t'..=0x7e).contains(byte)),
        "lzma" => head.len() >= 13 && (head[5..13] == [0xff; 8] || head[10..13] == [0; 3]),
        "ico" | "cur" => head.len() >= 6 && head[4] != 0,
        "cpio" => head.len() >= 110 && head[6..110].iter().all(u8::is_ascii_hexdigit),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_magic_number() {
        for (head, name) in [
            (&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], "png"),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpeg"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
            (b"BM\x36\0\0\0\0\0\0\0\x36", "bmp"),
            (b"PK\x03\x04\x14\0", "zip"),
            (b"\x1f\x8b\x08\0\0\0\0\0", "gzip"),
            (b"BZh91AY&SY", "bzip2"),
            (b"%PDF-1.7\n", "pdf"),
            (b"\0\0\0\x20ftypavif\0\0", "avif"),
            (b"]\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", "lzma"),
        ] {
            assert_eq!(Format::detect(head), Some(Format(name)));
        }
    }

    #[test]
    fn text_and_plain_containers_are_no_such_format() {
        for head in [
            &b""[..],
            b"\x89PN",
            b"\x89PNG\r\n\x1a\n",
            b"BMW is a car maker",
            b"BZhang wrote this",
            b"ID3 is a tree learner",
            b"ORC, a file format",
            b"PAR1 and PAR2 files",
            b"SQLite format 3\0",
            b"\x7fELF\x02\x01\x01\0",
            b"{\"a\": 1}",
        ] {
            assert_eq!(Format::detect(head), None, "{head:?}");
        }
    }
}
