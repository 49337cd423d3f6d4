//! Reports for the tests: one of each decision and command, with something of everything in them.

use custody_contract::{
    ClauseVerdict, Confidence, ContractOrigin, Coverage, Decision, Diagnostic, Environment, EnvironmentSource,
    Evidence, Finding, FindingStatus, Fingerprint, IncidentSummary, Occurrence, Place, Reach, ReachedFrom, Reason,
    Redacted, Report, ReportKind, Severity, SkipReason, Surface, Tool, Verdict,
};

/// Every sample.
pub(crate) fn all() -> Vec<Report> {
    vec![blocked(), may_release(), incomplete(), clean_scan(), blocked_scan(), incomplete_scan(), billing()]
}

/// `custody check` that blocks, with findings of every status.
pub(crate) fn blocked() -> Report {
    let mut report = empty(ReportKind::Check);
    report.environment = Some(Environment::Prod);
    report.environment_source = Some(EnvironmentSource::Flag);
    report.contract = Some(ContractOrigin {
        profile: "ficecal".to_owned(),
        file: Some("custody.toml".to_owned()),
        base: Some("1a2b3c4d5e6f".to_owned() + &"0".repeat(28)),
    });
    report.decision = Decision::Blocked;
    report.findings = findings();
    report.clauses = blocked_clauses(&report.findings);
    report.diagnostics = vec![
        Diagnostic::warning("baseline-stale", "2 entries of the baseline match nothing any more")
            .at(Place::file(".custody/baseline"))
            .fix("remove them: custody baseline prune"),
    ];
    report.coverage = vec![working_tree(), history(), screenshots()];
    report.incidents = vec![IncidentSummary {
        id: "INC-2026-0001".to_owned(),
        severity: Severity::Critical,
        open: true,
        opened_now: true,
        title: "AWS secret access key in fixtures/aws.json".to_owned(),
        fingerprint: report.findings[0].fingerprint,
        record: ".custody/incidents/INC-2026-0001.toml".to_owned(),
    }];
    report
}

fn blocked_clauses(findings: &[Finding]) -> Vec<ClauseVerdict> {
    let mut cred = clause(
        "CRED-3",
        "Tier-1 ingest: authMode is read-only",
        Verdict::Fail,
        "1 of 4 requests asks for more than read-only",
    );
    cred.problems.push(
        Diagnostic::error("CRED-3", "unsupported auth mode")
            .at(Place { pointer: Some("/authMode".to_owned()), ..Place::at("billing/aws.json", 4, 15) })
            .why("the adapter aws-billing supports read-only and nothing else")
            .fix("set authMode to read-only, or leave it out"),
    );
    let mut fixtures = clause("ENV-5b", "No secrets in fixtures", Verdict::Fail, "1 finding of severity critical");
    fixtures.findings.push(findings[0].fingerprint);
    let mut screenshots = clause(
        "ENV-5c",
        "No secrets in screenshots",
        Verdict::Fail,
        "1 of 1 files could not be read, so none is known to be clean",
    );
    screenshots.incomplete = true;
    let mut keys = clause("ENV-2", "Optional secret-indirection keys", Verdict::Warn, "1 unknown key, waived");
    keys.waivers.push("W-7".to_owned());
    keys.problems.push(
        Diagnostic::warning("env-drift", "unknown key FICECAL_SECRET_RESOLVER_URL")
            .at(Place::at(".env.example", 9, 1))
            .why("the contract does not name it")
            .fix("did you mean FICECAL_SECRET_RESOLVER_ENDPOINT?"),
    );
    let mut rotation = clause(
        "ROT-1",
        "Rotation windows and ownership are documented",
        Verdict::Fail,
        "1 of 2 credentials is overdue",
    );
    rotation.problems.push(
        Diagnostic::error(
            "ROT-1",
            "cred://aws/production/readonly was last rotated 120 days ago, its window is 90 days",
        )
        .at(Place::at("custody.toml", 31, 1))
        .fix("rotate it and enter the day as last-rotation"),
    );
    vec![
        clause(
            "CRED-1",
            "Runtime requests never embed raw provider secrets",
            Verdict::Pass,
            "4 requests hold no secret material",
        ),
        cred,
        clause("ENV-1", "Required baseline keys", Verdict::Pass, "3 of 3 keys are set in 2 templates"),
        keys,
        fixtures,
        screenshots,
        clause("ENV-5d", "No secrets in logs", Verdict::NotApplicable, "the contract names no logs and there are none"),
        rotation,
        clause(
            "BILL-2",
            "authMode defaults to read-only when omitted",
            Verdict::Pass,
            "2 requests leave it out and are given it",
        ),
        clause(
            "VAL-1",
            "python3 scripts/validate-billing-canonical-handoff.py",
            Verdict::Pass,
            "4 fixture packs are valid",
        ),
    ]
}

/// `custody check` that lets the release go on.
pub(crate) fn may_release() -> Report {
    let mut report = blocked();
    report.decision = Decision::MayRelease;
    report.environment_source = Some(EnvironmentSource::Strictest);
    report.contract = Some(ContractOrigin { profile: "ficecal".to_owned(), file: None, base: None });
    report.clauses.retain(|c| c.verdict != Verdict::Fail);
    report.findings.retain(|f| f.status != FindingStatus::Open);
    report.coverage = vec![history()];
    report.incidents.clear();
    report
}

/// `custody check` in which something was not read and nothing else is wrong.
pub(crate) fn incomplete() -> Report {
    let mut report = blocked();
    report.decision = Decision::Incomplete;
    report.clauses.retain(|c| c.verdict != Verdict::Fail || c.incomplete);
    report.findings.clear();
    report.diagnostics.clear();
    report.incidents.clear();
    report
}

/// `custody scan` that finds nothing.
pub(crate) fn clean_scan() -> Report {
    let mut report = empty(ReportKind::Scan);
    let mut account = Coverage::new(Surface::WorkingTree, "files");
    for bytes in [40_000, 2_900_000, 200_000] {
        account.record_read(bytes);
    }
    report.coverage = vec![account];
    report
}

/// `custody scan` with findings.
pub(crate) fn blocked_scan() -> Report {
    let mut report = empty(ReportKind::Scan);
    report.decision = Decision::Blocked;
    report.findings = findings();
    report.coverage = vec![working_tree()];
    report.coverage[0].skipped.clear();
    report.coverage[0].skipped_total = 0;
    report.coverage[0].incomplete_total = 0;
    report.coverage[0].expected = report.coverage[0].read;
    report
}

/// `custody scan` that could not read a file.
pub(crate) fn incomplete_scan() -> Report {
    let mut report = empty(ReportKind::Scan);
    report.decision = Decision::Incomplete;
    report.coverage = vec![working_tree()];
    report
}

/// `custody billing validate` of a bad handoff.
pub(crate) fn billing() -> Report {
    let mut report = empty(ReportKind::BillingValidate);
    report.tool.rules = 0;
    report.tool.rules_digest = "".into();
    report.target = "packs/aws.json".to_owned();
    report.environment = Some(Environment::Local);
    report.environment_source = Some(EnvironmentSource::NodeEnv);
    report.decision = Decision::Blocked;
    report.diagnostics = vec![
        Diagnostic::error("CRED-2", "field apiKey is not allowed in a request")
            .at(Place { pointer: Some("/auth/apiKey".to_owned()), ..Place::at("packs/aws.json", 7, 5) })
            .why("a request authenticates by credentialRef only")
            .fix("remove the field and set credentialRef to a reference, such as cred://aws/production/readonly"),
        Diagnostic::warning("BILL-1", "credentialRef is missing")
            .at(Place::file("packs/aws.json"))
            .why("it is optional in local and required in stage and prod"),
    ];
    report
}

fn empty(kind: ReportKind) -> Report {
    Report {
        schema: Report::SCHEMA.into(),
        kind,
        tool: Tool {
            name: "custody".into(),
            version: "0.1.0".into(),
            rules: 211,
            rules_digest: "0123456789abcdef".into(),
        },
        started: "2026-03-01T12:00:00Z".parse().expect("a timestamp"),
        duration_ms: 187,
        target: ".".to_owned(),
        environment: None,
        environment_source: None,
        contract: None,
        decision: Decision::MayRelease,
        block_at: Severity::High,
        clauses: Vec::new(),
        findings: Vec::new(),
        diagnostics: Vec::new(),
        coverage: Vec::new(),
        incidents: Vec::new(),
    }
}

fn clause(id: &str, title: &str, verdict: Verdict, summary: &str) -> ClauseVerdict {
    ClauseVerdict {
        clause: id.parse().expect("a clause id"),
        title: title.to_owned(),
        verdict,
        blocking: verdict != Verdict::Warn,
        incomplete: false,
        summary: summary.to_owned(),
        evidence: vec![Evidence {
            what: "the repository".to_owned(),
            amount: "4 files".to_owned(),
            with: Some("211 rules".to_owned()),
        }],
        problems: Vec::new(),
        findings: Vec::new(),
        waivers: Vec::new(),
    }
}

fn findings() -> Vec<Finding> {
    let open = finding("aws-secret-access-key", "AWS secret access key", Severity::Critical, 92, FindingStatus::Open);
    let mut open =
        Finding { occurrences: (1..=12).map(|line| occurrence("fixtures/aws.json", line)).collect(), ..open };
    open.occurrences[0].surface = Surface::Fixtures;
    open.occurrences[1] = Occurrence {
        surface: Surface::History,
        object: Some("ab".repeat(20)),
        commit: Some("cd".repeat(20)),
        encoding: vec!["base64".to_owned(), "gzip".to_owned()],
        authored: Some("2026-01-31T23:59:59Z".parse().expect("a timestamp")),
        committed: Some("2026-02-01T08:00:00Z".parse().expect("a timestamp")),
        reach: Some(
            Reach { from: ReachedFrom::BranchTip, refs: vec!["main".to_owned(), "origin/x".to_owned()], branches: 4 }
                .into(),
        ),
        ..occurrence("old name.env", 2)
    };
    let mut mild = finding("generic-password", "Password in an assignment", Severity::Medium, 41, FindingStatus::Open);
    mild.redacted.prefix = "".into();
    mild.references.clear();
    let baselined = FindingStatus::Baselined { reason: "revoked 2025-11-02".to_owned() };
    let allowed = FindingStatus::Allowed { reason: "a documented example".to_owned() };
    let mut inline = finding("jwt", "JSON Web Token", Severity::High, 70, allowed);
    inline.occurrences[0].allowed = Some("a documented example".to_owned());
    vec![
        open,
        mild,
        finding("slack-token", "Slack token", Severity::High, 88, baselined),
        finding(
            "gcp-key",
            "GCP service account key",
            Severity::Critical,
            95,
            FindingStatus::Waived { waiver: "W-3".to_owned() },
        ),
        inline,
    ]
}

fn finding(rule: &str, title: &str, severity: Severity, score: u8, status: FindingStatus) -> Finding {
    Finding {
        rule: rule.into(),
        title: title.into(),
        severity,
        confidence: Confidence {
            score,
            reasons: vec![
                Reason { what: "matches the format".into(), weight: 50 },
                Reason { what: "stands in a test".into(), weight: -8 },
            ],
        },
        fingerprint: Fingerprint::of(rule.as_bytes()),
        redacted: Redacted { prefix: "AK".into(), length: 40 },
        occurrences: vec![occurrence("src/config.ts", 14)],
        status,
        references: vec!["https://docs.example.com/keys#rotate".into()],
        remedy: "Revoke it at the provider, then remove it from every place below.".to_owned(),
    }
}

fn occurrence(path: &str, line: u32) -> Occurrence {
    Occurrence {
        surface: Surface::WorkingTree,
        path: path.to_owned(),
        line,
        column: 5,
        end_column: 45,
        offset: u64::from(line) * 100,
        object: None,
        commit: None,
        encoding: Vec::new(),
        allowed: None,
        authored: None,
        committed: None,
        reach: None,
    }
}

fn working_tree() -> Coverage {
    let mut account = Coverage::new(Surface::WorkingTree, "files");
    account.record_read(3_000_000);
    account.record_read(140_000);
    account.record_skipped("data/huge.bin", SkipReason::TooLarge { limit: 1_000_000 });
    account.opaque = 1;
    account
}

fn history() -> Coverage {
    let mut account = Coverage::new(Surface::History, "objects");
    for _ in 0..542 {
        account.record_read(10_000);
    }
    account.record_skipped("vendor/lib", SkipReason::Submodule);
    account
}

fn screenshots() -> Coverage {
    let mut account = Coverage::new(Surface::Screenshots, "files");
    account.record_skipped("docs/shot 1.png", SkipReason::UnsupportedFormat { format: "png".to_owned() });
    account
}
