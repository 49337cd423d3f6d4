//! Files of the audit log: no panic, every byte accounted for, nothing intact that has a problem, and events that can
//! be exported whatever they say.
#![no_main]

use custody_audit::verify::{Verdict, verify_bytes};
use custody_audit::{Hash, Hit, RecordedEvent, export, scan_bytes};
use libfuzzer_sys::fuzz_target;

/// The head comes first, then the file.
const HEAD_BYTES: usize = 4336;

fuzz_target!(|data: &[u8]| {
    let (head, file) = data.split_at(data.len().min(HEAD_BYTES));
    let (whole, damaged) = scan_bytes(file.get(96..).unwrap_or_default());
    let report = verify_bytes(file, head);
    assert_eq!(report.records, whole);
    if report.verdict == Verdict::Intact {
        assert_eq!((report.problem_count, report.problems.len()), (0, 0));
        assert!(damaged <= 1, "a torn tail at most");
        assert!(report.head.is_some_and(|head| head.sequence == whole));
    }
    drop(format!("{report:?}"));
    if let Ok(event) = serde_json::from_slice::<RecordedEvent<'_>>(data) {
        let hit = Hit { sequence: 1, time: jiff::Timestamp::UNIX_EPOCH, event, hash: Hash([0; 32]) };
        assert!(!export::jsonl(&hit).contains('\n'));
        assert_eq!(export::ocsf(&hit, None)["class_uid"], 6003);
    }
});
