use super::*;
use crate::{Colour, Explain, Links, sample};

fn shown(report: &Report, options: &RenderOptions) -> String {
    let mut out = Vec::new();
    render(report, options, &mut out).expect("renders");
    String::from_utf8(out).expect("UTF-8")
}

fn plain(width: u16) -> RenderOptions {
    RenderOptions { width, ..RenderOptions::default() }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot is as long as what it shows")]
fn a_blocked_check_reads_well_at_80_columns() {
    insta::assert_snapshot!(shown(&sample::blocked(), &plain(80)), @r#"
    custody check .: 2 of 4 files, 542 of 543 objects, 8.5 MB, 211 rules
      environment  prod (from --env)
      contract     ficecal with custody.toml, as of base 1a2b3c4d5e6f

    CRED  credentials by reference
      ✔ CRED-1  pass            4 requests hold no secret material
      ✘ CRED-3  fail            Tier-1 ingest: authMode is read-only
                                1 of 4 requests asks for more than read-only
                                looked at the repository: 4 files, with 211 rules

    ENV  environment keys and surfaces
      ✔ ENV-1   pass            3 of 3 keys are set in 2 templates
      ! ENV-2   warn            Optional secret-indirection keys
                                1 unknown key, waived (waived by W-7)
                                looked at the repository: 4 files, with 211 rules
      ✘ ENV-5b  fail            No secrets in fixtures
                                1 finding of severity critical
                                looked at the repository: 4 files, with 211 rules
      ? ENV-5c  incomplete      No secrets in screenshots
                                1 of 1 files could not be read, so none is known to
                                be clean
                                looked at the repository: 4 files, with 211 rules
      – ENV-5d  not-applicable  the contract names no logs and there are none

    ROT  rotation, incidents, scans
      ✘ ROT-1   fail            Rotation windows and ownership are documented
                                1 of 2 credentials is overdue
                                looked at the repository: 4 files, with 211 rules

    BILL  billing requests
      ✔ BILL-2  pass            2 requests leave it out and are given it

    VAL  validation commands
      ✔ VAL-1   pass            4 fixture packs are valid

    Findings (1 critical, 1 medium open; 3 settled)

      ✘ critical  AWS secret access key [aws-secret-access-key], confidence 92
        secret       AK[redacted, 40 bytes]
        fingerprint  fc57b9e8d1fbe83445143e06bddb89f7
        at           fixtures/aws.json:1:5  fixtures
                     old name.env:2:5@cdcdcdcdcdcd  history, base64 in gzip, 2026-01-31, still in main, origin/x and 2 more
                     fixtures/aws.json:3:5
                     fixtures/aws.json:4:5
                     fixtures/aws.json:5:5
                     fixtures/aws.json:6:5
                     fixtures/aws.json:7:5
                     fixtures/aws.json:8:5
                     fixtures/aws.json:9:5
                     fixtures/aws.json:10:5
                     … and 2 more
        status       open
        fix          Revoke it at the provider, then remove it from every place
                     below. It is still in main, origin/x and 2 more: take it out
                     there, then rewrite the history, for earlier commits keep it.
        see          https://docs.example.com/keys#rotate

      ! medium    Password in an assignment [generic-password], confidence 41
        secret       [redacted, 40 bytes]
        fingerprint  4b333d2df87bbd4a8f443e41abfe0b0c
        at           src/config.ts:14:5
        status       open
        fix          Revoke it at the provider, then remove it from every place
                     below.

      – high      Slack token [slack-token], confidence 88
        at           src/config.ts:14:5
        status       in the baseline: revoked 2025-11-02
      – critical  GCP service account key [gcp-key], confidence 95
        at           src/config.ts:14:5
        status       waived by W-3
      – high      JSON Web Token [jwt], confidence 70
        at           src/config.ts:14:5  allowed: a documented example
        status       allowed inline: a documented example

    Problems

    error[CRED-3]: unsupported auth mode
      --> billing/aws.json:4:15#/authMode
      why: the adapter aws-billing supports read-only and nothing else
      fix: set authMode to read-only, or leave it out

    warning[env-drift]: unknown key FICECAL_SECRET_RESOLVER_URL
      --> .env.example:9:1
      why: the contract does not name it
      fix: did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?

    error[ROT-1]: cred://aws/production/readonly was last rotated 120 days ago, its
                  window is 90 days
      --> custody.toml:31:1
      fix: rotate it and enter the day as last-rotation

    warning[baseline-stale]: 2 entries of the baseline match nothing any more
      --> .custody/baseline
      fix: remove them: custody baseline prune

    Incidents
      ✘ INC-2026-0001 critical, opened by this run: AWS secret access key in
                      fixtures/aws.json
        .custody/incidents/INC-2026-0001.toml

    Looked at
      working-tree  2 of 3 files, 3.1 MB; 1 not read; 1 searched as raw bytes only
      history       542 of 543 objects, 5.4 MB; 1 left out, none of which had to be
                    read
      screenshots   0 of 1 file, 0 B; 1 not read

    Not read (3)
      ? data/huge.bin: larger than 1000000 bytes
      ? docs/shot 1.png: png content cannot be read yet
      – vendor/lib: submodule

    4 pass, 3 fail, 1 incomplete, 1 warn, 1 not-applicable
    Release blocked: CRED-3, ENV-5b, ROT-1 fail; ENV-5c is incomplete.
    "#);
}

#[test]
fn a_check_that_may_release_reads_well_when_wide() {
    insta::assert_snapshot!(shown(&sample::may_release(), &plain(140)), @r#"
    custody check .: 542 of 543 objects, 5.4 MB, 211 rules
      environment  prod (the strictest, since nothing names one)
      contract     ficecal, as of the working tree

    CRED  credentials by reference
      ✔ CRED-1  pass            Runtime requests never embed raw provider secrets       4 requests hold no secret material

    ENV  environment keys and surfaces
      ✔ ENV-1   pass            Required baseline keys                                  3 of 3 keys are set in 2 templates
      ! ENV-2   warn            Optional secret-indirection keys                        1 unknown key, waived (waived by W-7)
                                looked at the repository: 4 files, with 211 rules
      – ENV-5d  not-applicable  No secrets in logs                                      the contract names no logs and there are none

    BILL  billing requests
      ✔ BILL-2  pass            authMode defaults to read-only when omitted             2 requests leave it out and are given it

    VAL  validation commands
      ✔ VAL-1   pass            python3 scripts/validate-billing-canonical-handoff.py   4 fixture packs are valid

    Findings (3 settled)

      – high      Slack token [slack-token], confidence 88
        at           src/config.ts:14:5
        status       in the baseline: revoked 2025-11-02
      – critical  GCP service account key [gcp-key], confidence 95
        at           src/config.ts:14:5
        status       waived by W-3
      – high      JSON Web Token [jwt], confidence 70
        at           src/config.ts:14:5  allowed: a documented example
        status       allowed inline: a documented example

    Problems

    warning[env-drift]: unknown key FICECAL_SECRET_RESOLVER_URL
      --> .env.example:9:1
      why: the contract does not name it
      fix: did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?

    warning[baseline-stale]: 2 entries of the baseline match nothing any more
      --> .custody/baseline
      fix: remove them: custody baseline prune

    Looked at
      history  542 of 543 objects, 5.4 MB; 1 left out, none of which had to be read

    Not read (1)
      – vendor/lib: submodule

    4 pass, 1 warn, 1 not-applicable
    May release.
    "#);
}

#[test]
fn an_incomplete_check_says_what_was_not_read() {
    insta::assert_snapshot!(shown(&sample::incomplete(), &plain(80)), @r#"
    custody check .: 2 of 4 files, 542 of 543 objects, 8.5 MB, 211 rules
      environment  prod (from --env)
      contract     ficecal with custody.toml, as of base 1a2b3c4d5e6f

    CRED  credentials by reference
      ✔ CRED-1  pass            4 requests hold no secret material

    ENV  environment keys and surfaces
      ✔ ENV-1   pass            3 of 3 keys are set in 2 templates
      ! ENV-2   warn            Optional secret-indirection keys
                                1 unknown key, waived (waived by W-7)
                                looked at the repository: 4 files, with 211 rules
      ? ENV-5c  incomplete      No secrets in screenshots
                                1 of 1 files could not be read, so none is known to
                                be clean
                                looked at the repository: 4 files, with 211 rules
      – ENV-5d  not-applicable  the contract names no logs and there are none

    BILL  billing requests
      ✔ BILL-2  pass            2 requests leave it out and are given it

    VAL  validation commands
      ✔ VAL-1   pass            4 fixture packs are valid

    Problems

    warning[env-drift]: unknown key FICECAL_SECRET_RESOLVER_URL
      --> .env.example:9:1
      why: the contract does not name it
      fix: did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?

    Looked at
      working-tree  2 of 3 files, 3.1 MB; 1 not read; 1 searched as raw bytes only
      history       542 of 543 objects, 5.4 MB; 1 left out, none of which had to be
                    read
      screenshots   0 of 1 file, 0 B; 1 not read

    Not read (3)
      ? data/huge.bin: larger than 1000000 bytes
      ? docs/shot 1.png: png content cannot be read yet
      – vendor/lib: submodule

    4 pass, 1 incomplete, 1 warn, 1 not-applicable
    Incomplete: ENV-5c is incomplete.
    "#);
}

#[test]
fn a_clean_scan_is_two_lines() {
    insta::assert_snapshot!(shown(&sample::clean_scan(), &plain(80)), @r#"
    custody scan .: 3 files, 3.1 MB, 211 rules
    Clean: no findings.
    "#);
}

#[test]
fn a_scan_explains_its_findings_when_asked() {
    let options = RenderOptions { explain: Explain::Yes, ..plain(80) };
    insta::assert_snapshot!(shown(&sample::blocked_scan(), &options), @r#"
    custody scan .: 2 files, 3.1 MB, 211 rules (0123456789abcdef)

    Findings (1 critical, 1 medium open; 3 settled)

      ✘ critical  AWS secret access key [aws-secret-access-key], confidence 92
        secret       AK[redacted, 40 bytes]
        fingerprint  fc57b9e8d1fbe83445143e06bddb89f7
        at           fixtures/aws.json:1:5  fixtures
                     old name.env:2:5@cdcdcdcdcdcd  history, base64 in gzip, 2026-01-31, still in main, origin/x and 2 more
                     fixtures/aws.json:3:5
                     fixtures/aws.json:4:5
                     fixtures/aws.json:5:5
                     fixtures/aws.json:6:5
                     fixtures/aws.json:7:5
                     fixtures/aws.json:8:5
                     fixtures/aws.json:9:5
                     fixtures/aws.json:10:5
                     … and 2 more
        status       open
        fix          Revoke it at the provider, then remove it from every place
                     below. It is still in main, origin/x and 2 more: take it out
                     there, then rewrite the history, for earlier commits keep it.
        see          https://docs.example.com/keys#rotate
        why          +50  matches the format
                     -8   stands in a test

      ! medium    Password in an assignment [generic-password], confidence 41
        secret       [redacted, 40 bytes]
        fingerprint  4b333d2df87bbd4a8f443e41abfe0b0c
        at           src/config.ts:14:5
        status       open
        fix          Revoke it at the provider, then remove it from every place
                     below.
        why          +50  matches the format
                     -8   stands in a test

      – high      Slack token [slack-token], confidence 88
        secret       AK[redacted, 40 bytes]
        fingerprint  d509d71ee28745392a8a4383585810e5
        at           src/config.ts:14:5
        status       in the baseline: revoked 2025-11-02
        fix          Revoke it at the provider, then remove it from every place
                     below.
        see          https://docs.example.com/keys#rotate
        why          +50  matches the format
                     -8   stands in a test

      – critical  GCP service account key [gcp-key], confidence 95
        secret       AK[redacted, 40 bytes]
        fingerprint  9736a122ac6369f62cece2ef062483c4
        at           src/config.ts:14:5
        status       waived by W-3
        fix          Revoke it at the provider, then remove it from every place
                     below.
        see          https://docs.example.com/keys#rotate
        why          +50  matches the format
                     -8   stands in a test

      – high      JSON Web Token [jwt], confidence 70
        secret       AK[redacted, 40 bytes]
        fingerprint  f465102a16118772e97b2bcb22f2e46a
        at           src/config.ts:14:5  allowed: a documented example
        status       allowed inline: a documented example
        fix          Revoke it at the provider, then remove it from every place
                     below.
        see          https://docs.example.com/keys#rotate
        why          +50  matches the format
                     -8   stands in a test

    Looked at
      working-tree  2 files, 3.1 MB; 1 searched as raw bytes only

    Blocked: 1 open finding high or above, 1 open finding below high.
    "#);
}

#[test]
fn a_billing_validation_shows_problems_only() {
    insta::assert_snapshot!(shown(&sample::billing(), &plain(80)), @r#"
    custody billing validate packs/aws.json
      environment  local (from NODE_ENV)

    Problems

    error[CRED-2]: field apiKey is not allowed in a request
      --> packs/aws.json:7:5#/auth/apiKey
      why: a request authenticates by credentialRef only
      fix: remove the field and set credentialRef to a reference, such as
           cred://aws/production/readonly

    warning[BILL-1]: credentialRef is missing
      --> packs/aws.json
      why: it is optional in local and required in stage and prod

    Blocked: 1 error, 1 warning.
    "#);
}

#[test]
fn colour_and_links_change_nothing_but_themselves() {
    let rich = RenderOptions {
        colour: Colour::Always,
        links: Links::Always,
        root: Some("/srv/repo".into()),
        ..RenderOptions::default()
    };
    for report in sample::all() {
        let rich = shown(&report, &rich);
        assert!(rich.contains("\u{1b}["), "{rich}");
        assert_eq!(without_sequences(&rich), shown(&report, &plain(80)));
    }
    let scan = shown(&sample::blocked_scan(), &rich);
    assert!(scan.contains("\u{1b}]8;;file:///srv/repo/fixtures/aws.json\u{1b}\\"), "{scan}");
    assert!(scan.contains("\u{1b}]8;;https://docs.example.com/keys#rotate\u{1b}\\"), "{scan}");
    assert!(!scan.contains("old%20name.env"), "a place in the history is no file to link to");
}

#[test]
fn what_is_not_listed_is_counted() {
    let mut report = sample::incomplete_scan();
    for n in 0..2_000 {
        report.coverage[0].record_skipped(format!("f{n}"), custody_contract::SkipReason::Missing);
    }
    let shown = shown(&report, &plain(80));
    assert!(shown.contains("Not read (2,001)"), "{shown}");
    assert!(shown.contains("… and 1,981 more"), "{shown}");
    assert_eq!(shown.lines().last(), Some("Incomplete: 2,001 of 2,003 files not read (working-tree)."));
}

/// The text without CSI and OSC sequences.
pub(crate) fn without_sequences(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 1..];
        let end = match sequence.as_bytes().first() {
            Some(b'[') => sequence.find('m').map(|end| end + 1),
            Some(b']') => sequence.find("\u{1b}\\").map(|end| end + 2),
            _ => None,
        };
        rest = &sequence[end.expect("a sequence that ends")..];
    }
    plain + rest
}
