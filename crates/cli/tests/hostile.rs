//! Bad input is normal: no panic, bounded memory, a finding or a clear error, and never "clean".

mod common;

use std::io::Write;

use common::{clean, run, run_with, verdict};
use custody_testkit::{Fake, Repository};

#[test]
fn a_missing_object_makes_history_incomplete_and_never_clean() {
    let repository = clean();
    let blob = repository.git(["rev-parse", "HEAD:docs/rotation.md"]);
    let object = repository.path(&format!(".git/objects/{}/{}", &blob[..2], &blob[2..]));
    std::fs::remove_file(object).expect("a loose object");
    let scan = run(&repository, &["scan", "--history", "--format", "json"]);
    scan.expect_status(3);
    assert!(scan.stdout.contains("missing"));
    let check = run(&repository, &["check", "--format", "json"]);
    check.expect_status(3);
    assert_eq!(verdict(&check.json(), "ENV-5a"), ("fail".to_owned(), true));
}

#[test]
fn a_truncated_pack_is_incomplete() {
    let repository = clean();
    repository.git(["gc", "--quiet", "--aggressive", "--prune=now"]);
    let packs = std::fs::read_dir(repository.path(".git/objects/pack")).expect("packs");
    let pack =
        packs.map(|e| e.expect("entry").path()).find(|p| p.extension().is_some_and(|e| e == "pack")).expect("a pack");
    let content = std::fs::read(&pack).expect("readable");
    std::fs::remove_file(&pack).expect("removable");
    std::fs::write(&pack, &content[..content.len() / 2]).expect("writable");
    run(&repository, &["scan", "--history"]).expect_status(3);
    let check = run(&repository, &["check", "--no-incident"]);
    assert_ne!(check.status, 0, "{}", check.stdout);
    assert_ne!(check.status, 70, "{}", check.stderr);
}

#[test]
fn garbage_links_and_odd_names_are_survived() {
    let repository = Repository::new();
    let noise: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    repository.write("noise.bin", &noise);
    repository.write("nul.txt", b"a\0b\0c");
    repository.write("deep/a/b/c/d/e/f.json", "[".repeat(100_000));
    repository.write("broken.toml", "[[[[");
    repository.write(".env.example", b"\xff\xfe=\0\nA='unterminated\n");
    repository.write("docker-compose.yml", format!("a: &a [x]\nb: {}\n", "*a ".repeat(10)));
    repository.write("k8s/bomb.yaml", "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::os::unix::fs::symlink("loop", repository.path("loop")).expect("a link");
        std::os::unix::fs::symlink("..", repository.path("deep/up")).expect("a link");
        std::os::unix::fs::symlink("/etc/passwd", repository.path("outside.env")).expect("a link");
        let name = std::ffi::OsStr::from_bytes(b"bad\xff\x1b[31mname.txt");
        std::fs::write(repository.root().join(name), "text").expect("a file");
    }
    for arguments in [
        &["scan", "."][..],
        &["scan", ".", "--no-ignore"],
        &["check", "--no-incident"],
        &["env", "check"],
        &["env", "doc"],
        &["init", "--print"],
    ] {
        let run = run(&repository, arguments);
        assert!([0, 1, 3].contains(&run.status), "{arguments:?}: {} {}", run.status, run.stderr);
        assert!(!run.stdout.contains('\u{1b}'), "{arguments:?} lets a control sequence through");
    }
}

#[test]
fn absurd_contract_files_are_usage_errors_with_a_place() {
    let repository = clean();
    for (content, place) in [
        ("contract = ", "custody.toml:1"),
        ("contract = \"nope\"", "custody.toml:1:12"),
        ("\n\nkeyy = 1\n", "custody.toml:3:1"),
        (&"[a.".repeat(20_000), "custody.toml"),
        (&format!("x = {}", "[".repeat(200_000)), "custody.toml"),
    ] {
        repository.write("custody.toml", content);
        let run = run(&repository, &["check"]);
        run.expect_status(2);
        assert!(run.stderr.contains(place), "{}", run.stderr);
    }
    repository.write("custody.toml", b"contract = \"\xff\"");
    run(&repository, &["check"]).expect_status(2);
}

#[test]
fn absurd_requests_are_validation_errors() {
    let directory = Repository::without_git();
    for content in [
        "",
        "{",
        "null",
        "[]",
        "{\"a\": NaN}",
        "{\"a\": 1, \"a\": 2}",
        &"[".repeat(100_000),
        "\u{feff}{}",
        "{\"startDate\": \"\\ud800\"}",
    ] {
        let run =
            run_with(directory.root(), &["billing", "validate", "-", "--tool", "aws-billing"], &[], content.as_bytes());
        run.expect_status(1);
        assert!(run.stdout.contains("error"), "{content:.20}: {}", run.stdout);
    }
}

#[test]
fn a_long_line_is_scanned_in_bounded_memory() {
    let directory = Repository::without_git();
    let path = directory.path("line.txt");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let piece = "lorem ipsum password token secret ".repeat(1000);
    for _ in 0..3_000 {
        file.write_all(piece.as_bytes()).expect("written");
    }
    file.write_all(Fake::new(21).gitlab_token().as_bytes()).expect("written");
    file.into_inner().expect("flushed");
    let run = run_with(directory.root(), &["scan", "line.txt", "--format", "json"], &[], b"");
    run.expect_status(1);
    let occurrence = &run.json()["findings"][0]["occurrences"][0];
    assert_eq!(occurrence["line"], 1);
    assert_eq!(occurrence["offset"], 3_000 * piece.len());
    #[cfg(target_os = "linux")]
    {
        // The file is 100 MB; the process must not hold it.
        let limited = std::process::Command::new("bash")
            .args(["-c", "ulimit -v 600000; exec \"$0\" scan line.txt --threads 1", env!("CARGO_BIN_EXE_custody")])
            .current_dir(directory.root())
            .output()
            .expect("bash runs");
        assert_eq!(limited.status.code(), Some(1), "{}", String::from_utf8_lossy(&limited.stderr));
    }
}

#[test]
fn wrong_use_is_told_apart_from_violations() {
    let directory = Repository::without_git();
    for arguments in [
        &["scan", "missing"][..],
        &["scan", "--history"],
        &["scan", "--staged"],
        &["check", "missing"],
        &["check", "--base", "main"],
        &["check", "--format", "xml"],
        &["billing", "validate", "missing.json"],
        &["billing", "validate", "--packs", "."],
        &["explain", "NOPE-1"],
        &["incident", "show", "INC-20260101-00000000"],
        &["nonsense"],
    ] {
        let run = run_with(directory.root(), arguments, &[], b"");
        assert_eq!(run.status, 2, "{arguments:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("error"), "{arguments:?}");
    }
}

#[test]
fn an_unwritable_output_is_an_error() {
    let repository = clean();
    run(&repository, &["scan", "docs", "-o", "no/such/directory/report.json"]).expect_status(2);
}
