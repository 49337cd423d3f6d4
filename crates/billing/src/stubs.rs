//! The figures that the first user's deterministic stubs give: a note where a fixture has others.
//!
//! The stubs compute figures from the scopes and the mapping profile alone. Real ingests have real figures, so a
//! difference is worth knowing and nothing more.

use custody_contract::Level;

use crate::check::DocumentKind;
use crate::handoff::{BillingHandoff, Canonical, MappingConfidence};
use crate::pack::Pack;
use crate::problem::Problem;
use crate::request::{IngestMode, NormalisedRequest};

/// One provider's stub.
struct Stub {
    adapter: &'static str,
    scope_field: &'static str,
    default_scope: &'static str,
    base: u32,
    spread: u32,
    /// Weight of each service, and whether a commitment covers it.
    services: &'static [(f64, bool)],
    head_room: f64,
    /// Highest coverage, coverage of none, coverage of each row.
    coverage: (f64, f64, f64),
    /// More rows than this, or more scopes, make the confidence high.
    sure_above: Sure,
}

enum Sure {
    Rows(usize),
    Scopes(usize),
}

const STUBS: [Stub; 4] = [
    Stub {
        adapter: "openops-billing",
        scope_field: "workspaceScope",
        default_scope: "workspace-default",
        base: 800,
        spread: 700,
        services: &[(0.44, true), (0.18, false), (0.16, false), (0.22, true)],
        head_room: 1.15,
        coverage: (98.0, 82.0, 1.5),
        sure_above: Sure::Scopes(1),
    },
    Stub {
        adapter: "aws-billing",
        scope_field: "accountScope",
        default_scope: "000000000000",
        base: 1100,
        spread: 900,
        services: &[(0.46, true), (0.19, false), (0.17, false), (0.18, true)],
        head_room: 1.12,
        coverage: (97.0, 83.0, 1.4),
        sure_above: Sure::Rows(4),
    },
    Stub {
        adapter: "azure-billing",
        scope_field: "subscriptionScope",
        default_scope: "sub-default",
        base: 950,
        spread: 850,
        services: &[(0.41, true), (0.21, false), (0.14, false), (0.24, true)],
        head_room: 1.11,
        coverage: (97.0, 84.0, 1.3),
        sure_above: Sure::Rows(4),
    },
    Stub {
        adapter: "gcp-billing",
        scope_field: "billingAccountScope",
        default_scope: "000000-000000-000000",
        base: 980,
        spread: 1020,
        services: &[(0.43, true), (0.14, false), (0.23, true), (0.12, false), (0.08, false)],
        head_room: 1.09,
        coverage: (98.0, 85.0, 1.25),
        sure_above: Sure::Rows(5),
    },
];

/// Notes where the expected response of a deterministic request is not what the stub gives.
pub(crate) fn compare(pack: &mut Pack) {
    let request =
        pack.documents.iter().find_map(|d| d.request.as_ref().filter(|_| d.name.ends_with("/request.valid.json")));
    let response =
        pack.documents.iter().find(|d| d.kind == DocumentKind::Handoff && d.name.ends_with("/response.expected.json"));
    let (Some(request), Some(response)) = (request, response) else { return };
    let (Some(handoff), IngestMode::Deterministic) = (&response.handoff, request.ingest_mode) else { return };
    let Some(stub) = STUBS.iter().find(|s| s.adapter == request.adapter_id) else { return };
    if stub.agrees(request, handoff) {
        return;
    }
    let what = "the figures are not those of the deterministic stub".to_owned();
    let fix = "nothing, if they come from a real ingest; else run the stub again";
    let mut note = Problem::of_file(&response.name, Some(stub.adapter), "differs_from_stub", what, fix);
    note.level = Level::Note;
    pack.problems.push(note);
}

impl Stub {
    fn agrees(&self, request: &NormalisedRequest, handoff: &BillingHandoff) -> bool {
        let (canonical, coverage, confidence) = self.figures(request);
        let near = |a: f64, b: f64| (a - b).abs() < 0.005;
        near(canonical.infra_total, handoff.canonical.infra_total)
            && near(canonical.cud_pct, handoff.canonical.cud_pct)
            && near(canonical.budget_cap, handoff.canonical.budget_cap)
            && canonical.n_ref == handoff.canonical.n_ref
            && near(coverage, handoff.provenance.coverage_pct)
            && confidence == handoff.provenance.mapping_confidence
    }

    fn figures(&self, request: &NormalisedRequest) -> (Canonical, f64, MappingConfidence) {
        let default = vec![self.default_scope.to_owned()];
        let scopes = request.scopes.get(self.scope_field).filter(|s| !s.is_empty()).unwrap_or(&default);
        let (mut total, mut eligible, mut rows) = (0.0, 0.0, 0_usize);
        for scope in scopes {
            let spend = self.base + hash(&format!("{scope}:{}", request.mapping_profile)) % self.spread;
            for (weight, committed) in self.services {
                let amount = round2(f64::from(spend) * weight);
                total += amount;
                eligible += if *committed { amount } else { 0.0 };
                rows += 1;
            }
        }
        let (total, eligible) = (round2(total), round2(eligible));
        let (most, none, each) = self.coverage;
        let sure = match self.sure_above {
            Sure::Rows(n) => rows > n,
            Sure::Scopes(n) => scopes.len() > n,
        };
        let canonical = Canonical {
            infra_total: total,
            cud_pct: if total > 0.0 { round2(eligible / total * 100.0) } else { 0.0 },
            budget_cap: round2(total * self.head_room),
            n_ref: rows as u64,
        };
        let confidence = if sure { MappingConfidence::High } else { MappingConfidence::Medium };
        (canonical, round2((none + rows as f64 * each).min(most)), confidence)
    }
}

/// The stubs' hash: multiplier 31 over UTF-16 code units, modulo 2³².
fn hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

fn round2(value: f64) -> f64 {
    (value * 100.0 + 0.5).floor() / 100.0
}
