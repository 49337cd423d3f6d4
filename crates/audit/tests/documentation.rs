//! `docs/audit.md` lists every name that a record may hold.

use custody_audit::{Action, Class, Kind, Outcome};

#[test]
fn every_name_is_documented() {
    let text = include_str!("../../../docs/audit.md");
    let actions = Action::ALL.iter().map(|action| action.as_str());
    let names = actions.chain(Class::ALL.iter().map(|class| class.as_str())).chain(Outcome::NAMES);
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "{name}");
    }
    for kind in Kind::ALL {
        assert!(text.contains(&format!("| {} | {} |", kind as u8, kind.as_str())), "{}", kind.as_str());
    }
}
