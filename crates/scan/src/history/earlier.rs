//! What of an earlier scan holds for this one.
//!
//! Nothing is looked at twice where all that was read is still there and the rules are the same: then only what is new is
//! read. Where packs have been replaced, objects are known by their ids. Where objects are gone, what refers to what is
//! read again, but not the files. Where rules are new, all is searched for what they find, and what they touch by all
//! rules; the outcome is that of a whole scan:
//!
//! What a rule makes of a text depends on other rules only where candidates overlap, on the text itself or on a layer of
//! encoding. A candidate that was beaten has no influence. So where no rule that is new has a candidate, and none that is
//! gone has won, what is known holds. Texts in which something was found on a layer, and those that are not searched as
//! they stand, are searched again by all rules in any case.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use gix::ObjectId;

use super::cache::{self, Cache, IdsName};
use super::ids::{self, Weights};
use super::listing::Listing;
use super::objects::{Marks, ObjectIndex, Store, Wanted};
use super::reach;
use super::state::State;
use crate::engine::Engine;
use crate::rules::RuleSet;

/// What a scan starts from.
pub(super) struct Beginning {
    pub(super) store: Store,
    /// The objects that need not be looked at.
    pub(super) done: Marks,
    pub(super) weights: Weights,
    pub(super) basis: Basis,
    /// What is known of reachability, if all that is known holds.
    pub(super) reach: Option<reach::Earlier>,
    /// The list of ids that the state's recent ones add to.
    pub(super) ids: Option<IdsName>,
}

/// What is known.
pub(super) enum Basis {
    Nothing,
    /// All of it holds. Whether it is to be kept even if nothing new is found.
    Grown(Box<State>, Novelty),
    /// Some of it holds.
    Reviewed(Box<State>, Box<Review>),
}

/// Whether a state is the one that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    Kept,
    New,
}

/// How an earlier state's objects are dealt with of which not all holds.
pub(super) struct Review {
    /// What was read before.
    pub(super) old: Marks,
    /// What of it is to be searched again by all rules.
    again: Marks,
    /// The rules that were not there before, if there are any.
    pub(super) added: Option<Engine>,
}

impl Review {
    /// Whether an object is to be searched by all rules.
    pub(super) fn is_due(&self, object: ObjectIndex) -> bool {
        !self.old.is_set(object) || self.again.is_set(object)
    }

    fn wanted(&self) -> Wanted<'_> {
        match self.added {
            Some(_) => Wanted::All,
            None => Wanted::Structure { old: &self.old, again: &self.again },
        }
    }
}

/// What is remembered, and by whom.
struct Earlier<'c> {
    state: State,
    ids: Option<IdsName>,
    cache: &'c Cache,
    rules: RuleChange,
    /// It is this repository's, by these rules.
    own: bool,
}

/// How rules differ from those of a state.
struct RuleChange {
    /// Their ids.
    kept: HashSet<String, RandomState>,
    added: usize,
    gone: HashSet<String, RandomState>,
}

impl RuleChange {
    fn between(state: &State, rules: &RuleSet) -> RuleChange {
        let before: HashMap<&str, u64, RandomState> = state.rules.iter().map(|(id, digest)| (&**id, *digest)).collect();
        let kept = rules.iter().filter(|rule| before.get(&*rule.id) == Some(&rule.digest));
        let kept: HashSet<String, RandomState> = kept.map(|rule| rule.id.to_string()).collect();
        let gone = before.keys().filter(|id| !kept.contains(**id)).map(|&id| id.to_owned()).collect();
        RuleChange { added: rules.len() - kept.len(), kept, gone }
    }

    /// Whether there is nothing in the state that depends on what differs.
    fn spares(&self, state: &State) -> bool {
        let gone = self.gone.is_empty()
            || state.entangled.is_empty()
                && !state.names_entangled
                && state.facts.iter().all(|fact| !self.gone.contains(&*fact.rule));
        self.added == 0 && gone
    }
}

/// Decides what is to be read.
pub(super) fn begin(cache: Option<&Cache>, alternates: &[Cache], listing: &Listing, engine: &Engine) -> Beginning {
    let rules = engine.rules();
    let earlier = cache.and_then(|cache| remembered(cache, alternates, rules));
    let Some(mut earlier) = earlier.filter(|_| listing.broken.is_empty()) else { return whole(listing) };
    let novelty = if earlier.own { Novelty::Kept } else { Novelty::New };
    let spared = earlier.rules.spares(&earlier.state);
    if !earlier.own {
        earlier.state.rules = State::new(rules).rules;
        earlier.state.files.clear();
    }
    let reach = earlier.state.kept.as_ref().filter(|_| spared).and_then(reach::Earlier::load);
    if reach.is_some() && listing.holds(&earlier.state) {
        let ids = own_ids(&earlier, cache);
        let mut store = Store::new(listing, Some(&earlier.state));
        let done = Marks::new(store.table.len());
        store.mark_known(&done);
        store.relate(Wanted::New(&done));
        let weights = Weights::new(store.table.len());
        let basis = Basis::Grown(Box::new(earlier.state), novelty);
        return Beginning { store, done, weights, basis, reach, ids };
    }
    by_ids(earlier, reach, cache, spared, listing, engine).unwrap_or_else(|| whole(listing))
}

fn whole(listing: &Listing) -> Beginning {
    let mut store = Store::new(listing, None);
    store.relate(Wanted::All);
    let (done, weights) = (Marks::new(store.table.len()), Weights::new(store.table.len()));
    Beginning { store, done, weights, basis: Basis::Nothing, reach: None, ids: None }
}

/// The state that has most of what is needed: by the same rules, by others, of a repository that this one borrows from.
fn remembered<'c>(cache: &'c Cache, alternates: &'c [Cache], rules: &RuleSet) -> Option<Earlier<'c>> {
    if let Some((state, ids)) = cache.load() {
        let rules = RuleChange::between(&state, rules);
        // The digest in the file's name is shorter than those of all rules.
        if rules.added == 0 && rules.gone.is_empty() {
            return Some(Earlier { state, ids, cache, rules, own: true });
        }
    }
    let like = |cache: &'c Cache| cache.others().map(move |(state, ids)| (state, ids, cache));
    let same = alternates.iter().filter_map(|cache| cache.load().map(|(state, ids)| (state, ids, cache)));
    like(cache)
        .chain(same)
        .chain(alternates.iter().flat_map(like))
        .map(|(state, ids, cache)| Earlier { rules: RuleChange::between(&state, rules), state, ids, cache, own: false })
        .min_by_key(|earlier| earlier.rules.added)
}

/// The name by which this repository's own cache has the earlier state's list of ids.
fn own_ids(earlier: &Earlier<'_>, cache: Option<&Cache>) -> Option<IdsName> {
    match cache.filter(|cache| !cache.is(earlier.cache)) {
        Some(cache) => cache.store_ids(&earlier.cache.ids(&earlier.ids?)?),
        None => earlier.ids,
    }
}

/// Where packs have been replaced, objects are gone or have come, or rules differ. `None` if all is to be read.
fn by_ids(
    earlier: Earlier<'_>,
    reach: Option<reach::Earlier>,
    cache: Option<&Cache>,
    spared: bool,
    listing: &Listing,
    engine: &Engine,
) -> Option<Beginning> {
    let Earlier { mut state, ids, cache: of, rules, .. } = earlier;
    // Each rule costs its keywords and patterns, and what it finds a second search.
    if rules.added * 2 > engine.rules().len() {
        return None;
    }
    let list = of.ids(&ids?)?;
    let list = ids::merge(&list, &state.recent, listing.kind);
    let mut store = Store::new(listing, None);
    let (old, weights) = (Marks::new(store.table.len()), Weights::new(store.table.len()));
    let all = ids::mark(&list, &store.table, &weights, &old);
    let come = cache::ids(&state.missing, listing.kind).any(|id| store.table.lookup(id.as_bytes()).is_some());
    if spared && all && !come && reach.is_some() {
        store.relate(Wanted::New(&old));
        let as_it_is = ids.filter(|_| state.recent.is_empty() && cache.is_some_and(|cache| cache.is(of)));
        let ids = as_it_is.or_else(|| cache?.store_ids(&list));
        state.recent.clear();
        let basis = Basis::Grown(Box::new(state), Novelty::New);
        return Some(Beginning { store, done: old, weights, basis, reach, ids });
    }
    drop(list);
    let again = Marks::new(store.table.len());
    if !spared {
        let winners = state.facts.iter().filter(|fact| rules.gone.contains(&*fact.rule)).filter_map(|fact| fact.object);
        let entangled = cache::ids(&state.entangled, listing.kind);
        for object in entangled.chain(winners).filter_map(|id: ObjectId| store.table.lookup(id.as_bytes())) {
            again.set(object);
        }
    }
    let kept: Vec<&String> = rules.kept.iter().collect();
    let added = (rules.added > 0).then(|| Engine::new(engine.rules().clone().without(&kept)));
    let review = Review { old, again, added };
    store.relate(review.wanted());
    let done = Marks::new(store.table.len());
    let basis = Basis::Reviewed(Box::new(state), Box::new(review));
    Some(Beginning { store, done, weights, basis, reach: None, ids: None })
}
