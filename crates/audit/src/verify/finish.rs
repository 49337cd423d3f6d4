//! What the chain is compared with once it was read: head, pin, witness, expected heads, statements about removed files.

use super::chain::Chain;
use super::problem::{Problem, ProblemKind};
use super::snapshot::Snapshot;
use super::{Verdict, VerifyReport};
use crate::format::Hash;
use crate::format::file::file_name;
use crate::format::head::Head;

impl Chain<'_> {
    pub(super) fn finish(mut self, snapshot: &Snapshot) -> VerifyReport {
        self.beginning();
        self.head(snapshot);
        self.first_key();
        self.kept_elsewhere();
        self.report.first_key = self.keys.first;
        self.report.key = self.keys.current;
        self.report.key_certificates = std::mem::take(&mut self.keys.certificates);
        let unreadable = |problem: &Problem| problem.kind == ProblemKind::Unreadable;
        self.report.verdict = match self.report.problem_count {
            0 => Verdict::Intact,
            _ if self.report.problems.iter().all(unreadable) => Verdict::Incomplete,
            _ => Verdict::Violated,
        };
        self.report
    }

    /// The chain begins with record 1, or with what a signed statement says.
    fn beginning(&mut self) {
        let Some((first, previous)) = self.start else { return };
        // Removing may have stopped half-way: then the last record to go is still there, and must be the one that is named.
        let is_there = |through: u64, hash: Hash| {
            through >= first && self.report.files.iter().any(|file| file.last == through && file.hash == Some(hash))
        };
        let covers = |through: u64, hash: Hash| through + 1 == first && hash == previous || is_there(through, hash);
        let found = self.statements.iter().rev().find(|(_, s)| covers(s.through, s.hash));
        let Some((_, statement)) = found.cloned() else {
            let what = "no signed statement says that they were removed on purpose";
            self.problem(Problem::new(ProblemKind::Missing, what).records(1, first - 1));
            return;
        };
        let Some(log) = self.report.log else { return };
        if !self.keys.connect(log, &statement, first) {
            let what = "the statement about removed records does not lead to the key that signs after them";
            self.problem(Problem::new(ProblemKind::Signature, what).record(first));
        }
    }

    fn head(&mut self, snapshot: &Snapshot) {
        let last = self.expected.saturating_sub(1);
        let Some(file) = snapshot.head else {
            if snapshot.files.is_empty() && self.pin.is_none() {
                self.problem(Problem::new(ProblemKind::Head, "there is no audit log in this directory"));
            } else {
                self.problem(Problem::new(ProblemKind::Head, "the head is gone; where the log ends cannot be told"));
            }
            return;
        };
        if !file.is_whole {
            self.problem(Problem::new(ProblemKind::Head, "the head is damaged, or not as a writer leaves it"));
        }
        let Some(head) = file.newest else { return };
        if self.report.log.is_some_and(|log| log != head.log) || self.pin.is_some_and(|pin| pin.log != head.log) {
            self.problem(Problem::new(ProblemKind::Head, format!("the head belongs to log {}", head.log)));
            return;
        }
        if head.has_failed {
            let what = "the disk has failed to flush; run `custody audit repair`";
            self.problem(Problem::new(ProblemKind::SyncFailed, what));
        }
        self.reaches_head(snapshot, &head, last);
        if self.keys.current.is_some_and(|key| key != head.key) && last <= head.sequence {
            self.problem(Problem::new(
                ProblemKind::Head,
                format!("it is signed with {}, which does not sign", head.key),
            ));
        }
    }

    fn reaches_head(&mut self, snapshot: &Snapshot, head: &Head, last: u64) {
        if last < head.sequence {
            let newest = file_name(head.file);
            let what = if snapshot.files.iter().any(|file| file.file.first == head.file) {
                format!("the head says that the log goes on to record {}", head.sequence)
            } else {
                format!("the file {newest}, which the head names, is gone")
            };
            let truncated = Problem::new(ProblemKind::Truncated, what).records(last + 1, head.sequence);
            return self.problem(truncated.in_file(&newest));
        }
        if self.found(head.sequence).is_some_and(|hash| hash != head.hash) {
            let what = "it is not the one that the head names";
            self.problem(Problem::new(ProblemKind::Replaced, what).record(head.sequence));
        }
        if last > head.sequence && snapshot.is_consistent {
            let what = "a writer died before it signed these records; the next one takes them over, and says so";
            self.note(Some(head.sequence + 1), what);
        }
    }

    fn first_key(&mut self) {
        let pinned = self.key.or(self.pin.map(|pin| pin.key));
        match (pinned, self.keys.first) {
            (Some(pinned), Some(first)) if pinned != first => {
                let what = format!("the log's first key is {first}, the pinned one is {pinned}");
                self.problem(Problem::new(ProblemKind::Pin, what));
            }
            (_, None) if self.report.records > 0 && self.start.is_none() => {
                self.problem(Problem::new(ProblemKind::Pin, "the log's first key cannot be told"));
            }
            (None, Some(_)) => {
                let what = "no key was pinned: the log's own first record was believed; see --key and --expect-head";
                self.note(None, what);
            }
            _ => {}
        }
    }

    /// Heads and checkpoints that were kept apart from the log.
    fn kept_elsewhere(&mut self) {
        if let Some(witness) = self.witness
            && Some(witness.log) == self.report.log
        {
            let is_lost =
                self.lost.iter().any(|(_, lost)| lost.after < witness.sequence && witness.sequence <= lost.through);
            if !is_lost && !self.stands(witness.sequence, witness.hash) {
                let what = "the checkpoint that is kept beside the keys does not stand in the log: it was put back to an earlier state, or rewritten";
                self.problem(Problem::new(ProblemKind::ExpectedHead, what).record(witness.sequence));
            }
        }
        for head in self.expected_heads {
            if Some(head.log) == self.report.log && self.stands(head.sequence, head.hash) {
                self.report.expected_heads += 1;
                continue;
            }
            let what = match self.report.log {
                Some(log) if log != head.log => format!("the expected head is of log {}, this is log {log}", head.log),
                _ => "the expected head does not stand in the log".to_owned(),
            };
            self.problem(Problem::new(ProblemKind::ExpectedHead, what).record(head.sequence));
        }
    }

    /// Whether this record stands in the log, or stood there before it was pruned.
    fn stands(&self, sequence: u64, hash: Hash) -> bool {
        let before_start = self.start.is_some_and(|(first, _)| sequence < first);
        before_start || self.found(sequence) == Some(hash)
    }

    fn found(&self, sequence: u64) -> Option<Hash> {
        self.watched.iter().find(|watched| watched.sequence == sequence).and_then(|watched| watched.found)
    }
}
