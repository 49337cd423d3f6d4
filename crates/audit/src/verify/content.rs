//! What records say of the log itself.

use super::VerifyReport;
use super::chain::{Chain, seconds};
use super::problem::{Problem, ProblemKind};
use crate::event::RecordedEvent;
use crate::format::entry::{
    ClockJumped, Created, KeyCertificate, KeyRotated, Lost, PruneStatement, Pruned, Repaired, Signed,
};
use crate::format::statement::Position;
use crate::format::{Kind, LogId, PublicKey};
use crate::read::Frame;

const MAX_STATEMENTS: usize = 64;

impl Chain<'_> {
    pub(super) fn content(&mut self, frame: &Frame<'_>) {
        let sequence = frame.header.sequence;
        let position = Position {
            log: self.report.log.unwrap_or(LogId([0; 16])),
            sequence,
            previous: frame.header.previous,
            wall_ns: frame.header.moment.wall_ns,
        };
        let understood = match frame.header.kind {
            Kind::Event => {
                self.report.events += 1;
                serde_json::from_slice::<RecordedEvent<'_>>(frame.payload).map(|_| Ok(()))
            }
            kind @ (Kind::Checkpoint | Kind::Closed) => serde_json::from_slice(frame.payload)
                .map(|signed: Signed| self.signature(signed.holds(kind, &position), signed.key)),
            Kind::Created => serde_json::from_slice(frame.payload).map(|created| self.created(&created, sequence)),
            Kind::KeyRotated => serde_json::from_slice(frame.payload).map(|rotated| self.rotated(rotated, &position)),
            Kind::Pruned => serde_json::from_slice(frame.payload).map(|pruned| self.pruned(&pruned, &position)),
            Kind::Repaired => serde_json::from_slice(frame.payload).map(|repaired| self.repaired(&repaired, sequence)),
            Kind::ClockJumped => serde_json::from_slice(frame.payload).map(|jumped: ClockJumped| {
                self.note(Some(sequence), format!("the clock was moved by {} s", seconds(jumped.by_ns)));
                Ok(())
            }),
            Kind::Lost => serde_json::from_slice(frame.payload).map(|lost: Lost| {
                let what = format!(
                    "{} records were lost when the machine stopped: they had not been flushed",
                    lost.through.saturating_sub(lost.after)
                );
                self.note(Some(sequence), what);
                if self.lost.len() < VerifyReport::MAX_PROBLEMS {
                    self.lost.push((sequence, lost));
                }
                Ok(())
            }),
        };
        let file = self.file.clone();
        match understood {
            Ok(Ok(())) => {}
            Ok(Err(what)) => {
                self.problem(Problem::new(ProblemKind::Signature, what).record(sequence).at(&file, frame.offset));
            }
            Err(_) => {
                let what = format!("the {} record cannot be understood", frame.header.kind.as_str());
                self.problem(Problem::new(ProblemKind::Malformed, what).record(sequence).at(&file, frame.offset));
            }
        }
    }

    fn signature(&mut self, holds: bool, key: PublicKey) -> Result<(), String> {
        self.report.signatures += 1;
        match (holds, self.keys.signs(key)) {
            (true, true) => Ok(()),
            (false, _) => Err("its signature does not hold".to_owned()),
            (true, false) => Err(format!("it is signed with {key}, which does not sign here")),
        }
    }

    fn created(&mut self, created: &Created, sequence: u64) -> Result<(), String> {
        if sequence != 1 || Some(created.log) != self.report.log {
            return Err("it speaks of the beginning of another log".to_owned());
        }
        self.keys.begin(created.key);
        if let Some(predecessor) = &created.predecessor {
            let what = format!("the log takes over from {}: {}", predecessor.directory, predecessor.reason);
            self.note(Some(sequence), what);
        }
        Ok(())
    }

    fn rotated(&mut self, rotation: KeyRotated, position: &Position) -> Result<(), String> {
        self.report.signatures += 2;
        let holds = rotation.holds(position);
        let what = format!("from here on {} signs: {}", rotation.new, rotation.reason);
        let Position { sequence, previous, wall_ns, .. } = *position;
        if !holds {
            return Err("its signatures do not hold".to_owned());
        }
        let may = self.keys.rotate(KeyCertificate { sequence, previous, wall_ns, rotation });
        self.note(Some(sequence), what);
        if may { Ok(()) } else { Err("the old key does not sign here".to_owned()) }
    }

    fn pruned(&mut self, pruned: &Pruned, position: &Position) -> Result<(), String> {
        self.signature(pruned.holds(position), pruned.key)?;
        let statement: PruneStatement =
            serde_json::from_str(&pruned.statement).map_err(|_| "its statement cannot be understood".to_owned())?;
        let what =
            format!("records up to {} were removed by {}: {}", statement.through, statement.by, statement.reason);
        self.note(Some(position.sequence), what);
        // Only the newest can matter; a hostile log may hold any number.
        if self.statements.len() == MAX_STATEMENTS {
            self.statements.remove(0);
        }
        self.statements.push((position.sequence, statement));
        Ok(())
    }

    fn repaired(&mut self, repaired: &Repaired, sequence: u64) -> Result<(), String> {
        let what = match repaired.why.as_str() {
            "adopted" => {
                format!("{} bytes were taken over from a writer that died before it signed them", repaired.bytes)
            }
            "head" => "a slot of the head was torn when the machine stopped; the slot before counted".to_owned(),
            why => format!("{} bytes were cut off ({why}) and kept in {}", repaired.bytes, repaired.kept_in),
        };
        self.note(Some(sequence), what);
        Ok(())
    }
}
