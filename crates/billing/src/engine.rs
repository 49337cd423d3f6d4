//! The scan engine as the detector of billing documents.

use std::sync::Arc;

use custody_contract::{Finding, FindingStatus, Redacted, Surface};
use custody_scan::engine::{Decoding, Engine, Examples, Input, Scratch};

use crate::detect::{Detection, SecretDetector};

impl SecretDetector for Engine {
    fn detect(&self, text: &[u8]) -> Vec<Detection> {
        // No path: a request is what it is, wherever its fixture lies.
        let input = Input::new(text, None, Surface::Request).decoding(Decoding::Full);
        let mut scratch = Scratch::default();
        let (mut all, mut real) = (Vec::new(), Vec::new());
        self.scan(&mut scratch, &input.examples(Examples::Keep), &mut all);
        if !all.is_empty() {
            self.scan(&mut scratch, &input.examples(Examples::Drop), &mut real);
        }
        let rules = self.rules();
        all.into_iter()
            .map(|found| {
                let rule = rules.rule(found.rule);
                let example = !real.iter().any(|r| r.fingerprint == found.fingerprint);
                let finding = Finding {
                    rule: Arc::from(&*rule.id),
                    title: Arc::from(&*rule.name),
                    severity: rule.severity,
                    confidence: found.confidence,
                    fingerprint: found.fingerprint,
                    redacted: Redacted { prefix: rule.prefix.clone(), length: found.length },
                    occurrences: Vec::new(),
                    status: FindingStatus::Open,
                    references: rule.references.to_vec(),
                    remedy: rule.remedy.to_string(),
                };
                let encoding = found.encoding.iter().map(|e| (*e).to_owned()).collect();
                Detection { start: found.start, end: found.end, encoding, finding, example }
            })
            .collect()
    }

    fn describe(&self) -> String {
        format!("{} rules", self.rules().len())
    }
}
