//! What stands inside of archives, compressed files and packages is searched as files of their own are.

mod support;

use std::io::{Cursor, Write as _};

use custody_contract::{SkipReason, Surface};
use custody_scan::history::HistorySource;
use custody_scan::source::{IndexExtent, IndexSource, ScanOutcome, StdinSource, TreeSource};
use proptest::prelude::*;
use support::{Sandbox, account, places, reason, scan, token};

const NAME: &str = "conf/app.env";

fn text(number: u32) -> Vec<u8> {
    format!("# settings\nKEY={}\n", token(number)).into_bytes()
}

fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("started");
    writer.write_all(content).expect("written");
    writer.finish().expect("finished").into_inner()
}

fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).expect("written");
    builder.into_inner().expect("finished")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).expect("started");
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn lzma(content: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::LzmaOptions::default();
    let mut encoder = lzma_rust2::LzmaWriter::new_use_header(Vec::new(), &options, None).expect("started");
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn lzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::LzipWriter::new(Vec::new(), lzma_rust2::LzipOptions::default());
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn lz4(content: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(content).expect("written");
    encoder.finish().expect("finished")
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).expect("encoded")
}

fn sevenz(name: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).expect("started");
    writer.push_archive_entry(sevenz_rust2::ArchiveEntry::new_file(name), Some(content)).expect("written");
    writer.finish().expect("finished").into_inner()
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, content) in members {
        let header = ar::Header::new(name.as_bytes().to_vec(), content.len() as u64);
        builder.append(&header, *content).expect("written");
    }
    builder.into_inner().expect("finished")
}

fn cpio(name: &str, content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len()).expect("short");
    let mut writer = cpio::NewcBuilder::new(name).mode(0o100_644).write(Vec::new(), size);
    writer.write_all(content).expect("written");
    cpio::newc::trailer(writer.finish().expect("finished")).expect("finished")
}

/// A package as `rpmbuild` writes it, with one tag in each header.
fn rpm(name: &str, content: &[u8]) -> Vec<u8> {
    let header = |text: &str| {
        let mut header = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        header.extend(u32::try_from(text.len() + 1).expect("short").to_be_bytes());
        for number in [1000u32, 6, 0, 1] {
            header.extend(number.to_be_bytes());
        }
        header.extend(text.bytes().chain([0]));
        header
    };
    let mut package = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
    package.resize(96, 0);
    package.extend(header("signature"));
    package.resize(package.len().next_multiple_of(8), 0);
    package.extend(header("description"));
    package.extend(zstd(&cpio(name, content)));
    package
}

fn tree(sandbox: &Sandbox) -> ScanOutcome {
    scan(&TreeSource::new(sandbox.at("repo")))
}

#[test]
fn each_format_is_opened() {
    let text = text(1);
    let deb = ar(&[("debian-binary", b"2.0\n"), ("data.tar.xz", &xz(&tar("etc/app.env", &text)))]);
    let containers: [(&str, Vec<u8>, &str); 18] = [
        ("a.zip", zip(NAME, &text), "a.zip!/conf/app.env"),
        ("a.jar", zip("META-INF/app.jar", &zip(NAME, &text)), "a.jar!/META-INF/app.jar!/conf/app.env"),
        ("a.tar", tar(NAME, &text), "a.tar!/conf/app.env"),
        ("a.tar.gz", gzip(&tar(NAME, &text)), "a.tar.gz!/a.tar!/conf/app.env"),
        ("a.tgz", gzip(&tar(NAME, &text)), "a.tgz!/a.tar!/conf/app.env"),
        ("a.log.gz", gzip(&text), "a.log.gz!/a.log"),
        ("two.gz", [gzip(b"first\n"), gzip(&text)].concat(), "two.gz!/two"),
        ("a.bz2", bzip2(&text), "a.bz2!/a"),
        ("a.xz", xz(&text), "a.xz!/a"),
        ("a.lzma", lzma(&text), "a.lzma!/a"),
        ("a.lz", lzip(&text), "a.lz!/a"),
        ("a.zst", zstd(&text), "a.zst!/a"),
        ("a.lz4", lz4(&text), "a.lz4!/a"),
        ("a.7z", sevenz(NAME, &text), "a.7z!/conf/app.env"),
        ("a.a", ar(&[("one.o", &text)]), "a.a!/one.o"),
        ("a.deb", deb, "a.deb!/data.tar.xz!/data.tar!/etc/app.env"),
        ("a.cpio", cpio(NAME, &text), "a.cpio!/conf/app.env"),
        ("a.rpm", rpm(NAME, &text), "a.rpm!/content!/content!/conf/app.env"),
    ];
    for (name, bytes, place) in containers {
        let sandbox = Sandbox::repository(&[]);
        sandbox.write(name, &bytes);
        let outcome = tree(&sandbox);
        assert_eq!(places(&outcome, &token(1)), [place]);
        let account = account(&outcome, Surface::WorkingTree);
        assert_eq!((account.opaque, account.skipped_total, account.read), (0, 0, 2), "{name}: {:?}", account.skipped);
        let occurrence = &outcome.findings[0].occurrences[0];
        let line = if name == "two.gz" { 3 } else { 2 };
        assert_eq!((occurrence.line, occurrence.column), (line, 5), "{name}");
    }
}

#[test]
fn containers_are_opened_wherever_files_are_read() {
    let sandbox = Sandbox::repository(&[]);
    sandbox.write("app.zip", zip(NAME, &text(1)));
    sandbox.write("layer.tar.gz", gzip(&tar(NAME, &text(2))));
    sandbox.git(&["add", "-A"]);
    let staged = scan(&IndexSource::new(sandbox.at("repo"), IndexExtent::Changed));
    assert_eq!(places(&staged, &token(1)), ["app.zip!/conf/app.env"]);
    let added = sandbox.commit("add");
    std::fs::remove_file(sandbox.at("repo/app.zip")).expect("removed");
    sandbox.commit("remove");
    let cache = sandbox.at("cache");
    for _ in 0..2 {
        let history = scan(&HistorySource::new(sandbox.at("repo")).cache(Some(cache.clone())));
        assert_eq!(places(&history, &token(1)), [format!("app.zip!/conf/app.env@{added}")]);
        assert_eq!(places(&history, &token(2)), [format!("layer.tar.gz!/content!/conf/app.env@{added}")]);
        assert_eq!(account(&history, Surface::History).opaque, 0);
    }
    let piped = scan(&StdinSource::new(Cursor::new(gzip(&tar(NAME, &text(3))))));
    assert_eq!(places(&piped, &token(3)), ["-!/content!/conf/app.env"]);
    assert!(!piped.is_incomplete());
}

#[test]
fn names_comments_and_links_are_searched() {
    let sandbox = Sandbox::repository(&[]);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_comment(format!("made with {}", token(1))).expect("short");
    writer.start_file(format!("{}.txt", token(2)), zip::write::SimpleFileOptions::default()).expect("started");
    sandbox.write("named.zip", writer.finish().expect("finished").into_inner());
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "link", format!("/run/{}", token(3))).expect("written");
    sandbox.write("links.tar", builder.into_inner().expect("finished"));
    let outcome = tree(&sandbox);
    assert_eq!(places(&outcome, &token(1)), ["named.zip"]);
    assert_eq!(places(&outcome, &token(2)), ["named.zip!/[redacted].txt"]);
    assert_eq!(places(&outcome, &token(3)), ["links.tar!/link"]);
}

#[test]
fn what_cannot_be_opened_is_told() {
    let sandbox = Sandbox::repository(&[]);
    let whole = zip(NAME, &text(1));
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and more";
    sandbox.write("cut.zip", &whole[..whole.len() - 30]);
    sandbox.write("cut.gz", &gzip(&text(2))[..20]);
    sandbox.write("pictures.tar", tar("a.png", png));
    sandbox.write("logs/cut.gz", &gzip(&text(2))[..20]);
    sandbox.write("logs/pictures.tar", tar("a.png", png));
    let classify = |path: &str| path.starts_with("logs/").then_some(Surface::Logs);
    let outcome = scan(&TreeSource::new(sandbox.at("repo")).classify(&classify));
    // What stands before the damage is read.
    assert_eq!(places(&outcome, &token(1)), ["cut.zip!/conf/app.env"]);
    let elsewhere = account(&outcome, Surface::WorkingTree);
    assert!(matches!(reason(elsewhere, "cut.zip"), Some(SkipReason::Unopened { .. })), "{:?}", elsewhere.skipped);
    assert!(matches!(reason(elsewhere, "cut.gz!/cut"), Some(SkipReason::Unopened { .. })), "{:?}", elsewhere.skipped);
    assert_eq!((elsewhere.opaque, elsewhere.is_incomplete()), (1, false));
    let logs = account(&outcome, Surface::Logs);
    assert!(matches!(reason(logs, "logs/cut.gz!/cut"), Some(SkipReason::Corrupt { .. })), "{:?}", logs.skipped);
    let format = "png".to_owned();
    assert_eq!(reason(logs, "logs/pictures.tar!/a.png"), Some(&SkipReason::UnsupportedFormat { format }));
    assert!(logs.is_incomplete());
}

#[test]
fn containers_in_one_another_end() {
    let sandbox = Sandbox::repository(&[]);
    let mut nested = text(1);
    for depth in 0..30 {
        nested = zip(&format!("{depth}.zip"), &nested);
    }
    sandbox.write("logs/deep.zip", nested);
    let classify = |path: &str| path.starts_with("logs/").then_some(Surface::Logs);
    let outcome = scan(&TreeSource::new(sandbox.at("repo")).classify(&classify));
    let logs = account(&outcome, Surface::Logs);
    assert!(matches!(&logs.skipped[0].reason, SkipReason::Interrupted { .. }), "{:?}", logs.skipped);
    assert_eq!((logs.read, logs.skipped_total), (0, 1));
    assert!(places(&outcome, &token(1)).is_empty());
}

#[test]
fn a_long_name_in_a_tape_archive_takes_no_memory() {
    let sandbox = Sandbox::repository(&[]);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").expect("short");
    header.set_size(64 << 20);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(65 << 20, b'n');
    sandbox.write("long.tar.gz", gzip(&bytes));
    let outcome = tree(&sandbox);
    let account = account(&outcome, Surface::WorkingTree);
    assert!(matches!(&account.skipped[0].reason, SkipReason::Unopened { .. }), "{:?}", account.skipped);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_no_harm(
        which in 0usize..12,
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let text = text(1);
        let mut bytes = match which {
            0 => zip(NAME, &zip(NAME, &text)),
            1 => tar(NAME, &gzip(&text)),
            2 => gzip(&tar(NAME, &text)),
            3 => bzip2(&text),
            4 => xz(&tar(NAME, &text)),
            5 => lzma(&text),
            6 => lzip(&text),
            7 => zstd(&cpio(NAME, &text)),
            8 => lz4(&text),
            9 => sevenz(NAME, &text),
            10 => ar(&[("data.tar.gz", &gzip(&tar(NAME, &text)))]),
            _ => rpm(NAME, &text),
        };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() - cut.index(bytes.len()) / 3);
        let sandbox = Sandbox::new();
        sandbox.write("damaged", &bytes);
        let _ = tree(&sandbox);
        let _ = scan(&StdinSource::new(Cursor::new(bytes)));
    }
}
