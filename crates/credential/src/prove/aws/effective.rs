//! What a set of policies allows: identity policies, less what is denied, within boundary, session and service control.
//!
//! Exact where the proof needs it, and on the safe side elsewhere: a condition never takes away from an allow, and a deny
//! counts only if it has no condition and covers the allow's resources.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::glob::{Case, Glob};
use super::statement::{ActionPattern, Effect, Principal, Resources, Statement};
use super::table::{self, ActionId};

/// Most steps for one set of policies, one for each action or pattern that is looked at: a second or less.
const MAX_STEPS: usize = 8_000_000;

/// Policies that act together.
#[derive(Default)]
pub(crate) struct Set {
    /// What grants to the identity.
    pub identity: Vec<Vec<Statement>>,
    /// What grants at a resource.
    pub resource: Vec<Vec<Statement>>,
    /// What limits: the permission boundary, session policies, service control policies; each a union.
    pub limits: Vec<Vec<Vec<Statement>>>,
}

/// An action that a statement allows, and that nothing takes away.
pub(crate) struct Allowed<'a> {
    pub action: ActionId,
    pub statement: &'a Statement,
}

/// A pattern that names no known action.
pub(crate) struct UnknownPattern<'a> {
    pub pattern: &'a ActionPattern,
    pub statement: &'a Statement,
}

/// What a set allows.
#[derive(Default)]
pub(crate) struct Effective<'a> {
    pub actions: Vec<Allowed<'a>>,
    pub unknown: Vec<UnknownPattern<'a>>,
    /// Statements that allow all but some actions, with nothing that limits them.
    pub unbounded: Vec<&'a Statement>,
    /// The set was too large to be judged in full.
    pub is_cut: bool,
}

/// Actions that a statement speaks of.
struct Scope<'a> {
    statement: &'a Statement,
    named: Vec<Rc<[ActionId]>>,
}

impl Scope<'_> {
    fn has(&self, action: ActionId) -> bool {
        self.named.iter().any(|ids| ids.binary_search(&action).is_ok()) != self.statement.all_but_actions
    }

    /// Whether it speaks of all that a pattern could name.
    fn has_all(&self, pattern: &Glob) -> bool {
        if self.statement.all_but_actions {
            self.statement.actions.iter().all(|a| !a.glob.meets(pattern))
        } else {
            self.statement.actions.iter().any(|a| a.glob.covers(pattern))
        }
    }

    /// Whether it may speak of something that a pattern names.
    fn has_some(&self, pattern: &Glob) -> bool {
        self.statement.all_but_actions || self.statement.actions.iter().any(|a| a.glob.meets(pattern))
    }

    fn covers_resource(&self, resource: &Glob) -> bool {
        match &self.statement.resources {
            Resources::Only(patterns) => patterns.iter().any(|p| p.covers(resource)),
            Resources::AllBut(patterns) => patterns.iter().all(|p| !p.meets(resource)),
        }
    }

    fn meets_resource(&self, resource: &Glob) -> bool {
        match &self.statement.resources {
            Resources::Only(patterns) => patterns.iter().any(|p| p.meets(resource)),
            Resources::AllBut(_) => true,
        }
    }
}

struct Evaluation {
    expansions: HashMap<String, Rc<[ActionId]>>,
    steps: usize,
    everything: Glob,
}

/// What `set` allows.
pub(crate) fn effective(set: &Set) -> Effective<'_> {
    let mut evaluation = Evaluation { expansions: HashMap::new(), steps: 0, everything: Glob::new("*", Case::Keep) };
    let mut out = Effective::default();
    let limits = set.limits.iter().flatten();
    let denies: Vec<Scope<'_>> = set
        .identity
        .iter()
        .chain(limits)
        .flatten()
        .filter(|s| s.effect == Effect::Deny && !s.is_conditional && matches!(s.principal, Principal::Attached))
        .map(|s| evaluation.scope(s))
        .collect();
    let limits: Vec<Vec<Scope<'_>>> = set
        .limits
        .iter()
        .map(|limit| {
            limit.iter().flatten().filter(|s| s.effect == Effect::Allow).map(|s| evaluation.scope(s)).collect()
        })
        .collect();
    for statement in set.identity.iter().flatten().filter(|s| s.effect == Effect::Allow) {
        evaluation.allow(statement, &denies, &limits, &mut out);
    }
    for policy in &set.resource {
        for statement in policy.iter().filter(|s| s.effect == Effect::Allow) {
            let denies: Vec<Scope<'_>> = policy
                .iter()
                .filter(|s| {
                    s.effect == Effect::Deny && !s.is_conditional && speaks_of_all(&s.principal, &statement.principal)
                })
                .map(|s| evaluation.scope(s))
                .collect();
            evaluation.allow(statement, &denies, &[], &mut out);
        }
    }
    out.is_cut = evaluation.steps > MAX_STEPS;
    out
}

/// Whether a deny for `denied` reaches everyone whom an allow for `allowed` reaches.
fn speaks_of_all(denied: &Principal, allowed: &Principal) -> bool {
    match (denied, allowed) {
        (Principal::Everybody, _) | (Principal::Attached, Principal::Attached) => true,
        (Principal::Named(denied), Principal::Named(allowed)) => allowed.iter().all(|name| denied.contains(name)),
        _ => false,
    }
}

impl Evaluation {
    fn expand(&mut self, pattern: &str) -> Rc<[ActionId]> {
        if let Some(known) = self.expansions.get(pattern) {
            return Rc::clone(known);
        }
        self.steps += 1;
        let ids: Rc<[ActionId]> =
            if self.steps > MAX_STEPS { Rc::from([]) } else { table::expand(pattern, &mut self.steps).into() };
        self.steps += ids.len();
        self.expansions.insert(pattern.to_owned(), Rc::clone(&ids));
        ids
    }

    fn scope<'a>(&mut self, statement: &'a Statement) -> Scope<'a> {
        let named = statement.actions.iter().map(|a| self.expand(&a.text)).collect();
        Scope { statement, named }
    }

    fn allow<'a>(
        &mut self,
        statement: &'a Statement,
        denies: &[Scope<'_>],
        limits: &[Vec<Scope<'_>>],
        out: &mut Effective<'a>,
    ) {
        let whole = [self.everything.clone()];
        let resources: &[Glob] = match &statement.resources {
            Resources::Only(resources) => resources,
            Resources::AllBut(_) => &whole,
        };
        let mut actions: Vec<ActionId> = Vec::new();
        for pattern in &statement.actions {
            let ids = self.expand(&pattern.text);
            actions.extend(ids.iter());
            if ids.is_empty() && !statement.all_but_actions && self.remains_unknown(pattern, resources, denies, limits)
            {
                out.unknown.push(UnknownPattern { pattern, statement });
            }
        }
        if statement.all_but_actions {
            let left_out = std::mem::take(&mut actions);
            let left_out: std::collections::HashSet<ActionId> = left_out.into_iter().collect();
            actions = self.expand("*").iter().copied().filter(|id| !left_out.contains(id)).collect();
            if !limits.iter().any(|limit| is_enumerated(limit)) {
                out.unbounded.push(statement);
            }
        } else if statement.actions.len() > 1 {
            actions.sort_unstable();
            actions.dedup();
        }
        for action in actions {
            self.steps += 1 + denies.len() + limits.iter().map(Vec::len).sum::<usize>();
            if self.steps > MAX_STEPS {
                return;
            }
            if self.remains(action, resources, denies, limits) {
                out.actions.push(Allowed { action, statement });
            }
        }
    }

    fn remains(
        &mut self,
        action: ActionId,
        resources: &[Glob],
        denies: &[Scope<'_>],
        limits: &[Vec<Scope<'_>>],
    ) -> bool {
        if denies.is_empty() && limits.is_empty() {
            return true;
        }
        let denies: Vec<&Scope<'_>> = denies.iter().filter(|d| d.has(action)).collect();
        let limits: Vec<Vec<&Scope<'_>>> =
            limits.iter().map(|limit| limit.iter().filter(|l| l.has(action)).collect()).collect();
        self.steps += resources.len() * (denies.len() + limits.iter().map(Vec::len).sum::<usize>());
        resources.iter().any(|resource| {
            denies.iter().all(|d| !d.covers_resource(resource))
                && limits.iter().all(|limit| limit.iter().any(|l| l.meets_resource(resource)))
        })
    }

    fn remains_unknown(
        &mut self,
        pattern: &ActionPattern,
        resources: &[Glob],
        denies: &[Scope<'_>],
        limits: &[Vec<Scope<'_>>],
    ) -> bool {
        self.steps += (denies.len() + limits.iter().map(Vec::len).sum::<usize>()) * (1 + pattern.glob.cost() / 8);
        if self.steps > MAX_STEPS {
            return true;
        }
        resources.iter().any(|resource| {
            denies.iter().all(|d| !(d.has_all(&pattern.glob) && d.covers_resource(resource)))
                && limits
                    .iter()
                    .all(|limit| limit.iter().any(|l| l.has_some(&pattern.glob) && l.meets_resource(resource)))
        })
    }
}

/// Whether a limit names what it allows, so that nothing unnamed gets past it.
fn is_enumerated(limit: &[Scope<'_>]) -> bool {
    let names_service = |a: &ActionPattern| a.text.split_once(':').is_some_and(|(name, _)| !name.contains(['*', '?']));
    limit.iter().all(|s| !s.statement.all_but_actions && s.statement.actions.iter().all(names_service))
}
