//! What follows from routes and places for each object in which something was found.

use std::borrow::Cow;
use std::ops::Range;

use custody_contract::{Reach, ReachedFrom};
use gix::{ObjectId, Repository};

use super::super::commit::Headed;
use super::super::facts::{Fact, Standing, Stands};
use super::super::tables::{Map, Set};
use super::graph::{Commit, UNCLAIMED};
use super::places::{Place, files_of};
use super::refs::{content, log_entries, short};
use super::saved::Reached;
use super::{Earlier, Reachability};

/// When commits were authored and committed.
pub(in crate::history) type Times = Map<Vec<u8>, (i64, i64)>;

/// The objects in which something was found, in order; where they stand, if they are files.
type Objects<'f> = Vec<(&'f [u8], Option<&'f [Standing]>)>;

impl Reachability<'_> {
    /// Works out from where the objects of these facts can be reached. What nothing leads to is unreachable if all is
    /// there that could lead to it, and otherwise not known.
    pub(in crate::history) fn settle(
        &mut self,
        facts: &[Fact],
        times: &Times,
        earlier: Option<&Earlier>,
        is_complete: bool,
        shown: &mut dyn FnMut(&[u8]) -> String,
    ) -> Reached {
        let objects = objects(facts);
        let mut claims = vec![UNCLAIMED; self.graph.len()];
        self.claim_from(0, &mut claims);
        let by_object = ByObject::new(&self.places, &objects);
        let is_lost = self.is_some_lost(&objects, &by_object, &claims);
        let staged = if is_lost { self.look_further(&objects, &mut claims) } else { Set::default() };
        let mut reached = Reached::new(self.refs.digest);
        let settling = Settling {
            is_complete: is_complete && self.is_whole,
            tips: self.tips_of_places(),
            reachability: self,
            claims,
            staged,
        };
        let mut ways = Ways { known: Map::default(), names: Map::default(), shown };
        for (at, (id, standings)) in objects.into_iter().enumerate() {
            let places = by_object.of(at);
            let found: Vec<u32> = match standings {
                _ if settling.reachability.refs.is_foreign => Vec::new(),
                Some(standings) => {
                    settling.file(id, standings, places, &mut |way| ways.number(way, &settling, &mut reached))
                }
                None => vec![ways.number(settling.text(id), &settling, &mut reached)],
            };
            let times = standings.is_none().then(|| {
                let earlier = earlier.and_then(|earlier| earlier.reached.of(id).times);
                times.get(id).copied().or(earlier).or_else(|| read_times(settling.reachability.repository, id))
            });
            reached.add(id, times.flatten(), found.into_iter());
        }
        reached
    }

    /// Has the routes from this number on claim commits.
    fn claim_from(&self, first: usize, claims: &mut [u32]) {
        for (number, route) in self.routes.list.iter().enumerate().skip(first) {
            if let Some(commit) = route.commit {
                self.graph.claim(claims, commit, u32::try_from(number).unwrap_or(u32::MAX), &self.routes.cut);
            }
        }
    }

    /// Whether the refs do not lead to all that was found, so that it is worth to look elsewhere.
    fn is_some_lost(&self, objects: &Objects<'_>, by_object: &ByObject, claims: &[u32]) -> bool {
        let is_lost = |commits: &[Commit]| commits.iter().all(|&commit| claims[commit as usize] == UNCLAIMED);
        objects.iter().enumerate().any(|(at, (id, standings))| match standings {
            Some(_) => {
                let places = by_object.of(at);
                places.is_empty() || places.iter().any(|&at| is_lost(&self.places[at as usize].commits))
            }
            None => ObjectId::try_from(*id).is_ok_and(|id| match self.graph.find(&id) {
                Some(commit) => is_lost(&[commit]),
                None => !self.routes.direct.contains_key(&id),
            }),
        })
    }

    /// Follows what is rarely needed: earlier stashes, tags of tags, trees that refs name, and reflogs. Gives those of the
    /// objects that are staged.
    fn look_further(&mut self, objects: &Objects<'_>, claims: &mut [u32]) -> Set<ObjectId> {
        let first = self.routes.list.len();
        let mut logs: Vec<_> = self.refs.logs.iter().collect();
        logs.sort_by_key(|(name, _)| (name != b"refs/stash", name != b"HEAD"));
        for (name, path) in logs {
            let Some(content) = content(path) else { continue };
            let is_stash = name == b"refs/stash";
            let mut seen = Set::default();
            for (at, (after, before)) in log_entries(&content).into_iter().enumerate() {
                if let Some(after) = after.filter(|_| is_stash && at > 0) {
                    let name = Cow::Owned(format!("stash@{{{at}}}").into_bytes());
                    let number = self.routes.push(name, ReachedFrom::Stash);
                    self.routes.lead(number, after, self.repository, &self.graph);
                }
                for id in [after, before].into_iter().flatten().filter(|_| !is_stash) {
                    if seen.insert(id) {
                        let number = self.routes.push(Cow::Borrowed(short(name)), ReachedFrom::Reflog);
                        self.routes.lead(number, id, self.repository, &self.graph);
                    }
                }
            }
        }
        self.claim_from(first, claims);
        let mut texts = objects.iter().filter(|(_, standings)| standings.is_none());
        let is_tag = |id: ObjectId| self.graph.find(&id).is_none() && !self.routes.direct.contains_key(&id);
        if texts.any(|(id, _)| ObjectId::try_from(*id).is_ok_and(is_tag)) {
            self.routes.tags_of_tags(self.repository, &self.graph);
        }
        let wanted = |id: &ObjectId| objects.binary_search_by_key(&id.as_bytes(), |(id, _)| id).is_ok();
        for (tree, number) in std::mem::take(&mut self.routes.trees) {
            files_of(self.repository, tree, &mut |file| {
                if wanted(&file) {
                    self.routes.direct.entry(file).or_insert(number);
                }
            });
        }
        let mut staged = Set::default();
        for path in &self.refs.indexes {
            let index =
                gix::index::File::at(path, self.repository.object_hash(), true, gix::index::decode::Options::default());
            staged.extend(index.iter().flat_map(|index| index.entries()).map(|entry| entry.id).filter(wanted));
        }
        staged
    }

    /// For each place the routes to tips that have it.
    fn tips_of_places(&self) -> Vec<Vec<u32>> {
        let mut by_tip: Map<Commit, Vec<u32>> = Map::default();
        for (number, route) in
            (0..).zip(&self.routes.list).take_while(|(_, route)| route.from == ReachedFrom::BranchTip)
        {
            if let Some(commit) = route.commit {
                by_tip.entry(commit).or_default().push(number);
            }
        }
        let mut tips: Vec<Vec<u32>> = vec![Vec::new(); self.places.len()];
        for (id, has) in &self.tips {
            let Some(routes) = self.graph.find(id).and_then(|tip| by_tip.get(&tip)) else { continue };
            for &place in has {
                if let Some(tips) = tips.get_mut(place as usize) {
                    tips.extend_from_slice(routes);
                }
            }
        }
        tips.iter_mut().for_each(|tips| tips.sort_unstable());
        tips
    }
}

fn objects(facts: &[Fact]) -> Objects<'_> {
    let known = facts.iter().filter_map(|fact| Some((fact.object.as_ref()?.as_bytes(), &fact.within)));
    let objects = known.map(|(object, within)| match within {
        Stands::Blob(standings) => (object, Some(standings.as_slice())),
        _ => (object, None),
    });
    let mut objects: Objects<'_> = objects.collect();
    // All that is found in an object stands where the object does, and is mostly found in a row.
    objects.dedup_by_key(|(id, _)| *id);
    objects.sort_by_key(|&(id, _)| id);
    objects.dedup_by_key(|(id, _)| *id);
    objects
}

/// The numbers of places in the order of their objects, and for each of the objects in question which they are.
struct ByObject {
    order: Vec<u32>,
    ranges: Vec<Range<usize>>,
}

impl ByObject {
    fn new(places: &[Place], objects: &Objects<'_>) -> ByObject {
        let mut order: Vec<u32> = (0..).take(places.len()).collect();
        let id = |at: u32| places[at as usize].object.as_bytes();
        order.sort_by(|&one, &other| id(one).cmp(id(other)));
        let mut from = 0;
        let ranges = objects.iter().map(|(object, _)| {
            from += order[from..].iter().take_while(|&&at| id(at) < *object).count();
            from..from + order[from..].iter().take_while(|&&at| id(at) == *object).count()
        });
        let ranges = ranges.collect();
        ByObject { order, ranges }
    }

    /// Those of the object with this number.
    fn of(&self, object: usize) -> &[u32] {
        &self.order[self.ranges[object].clone()]
    }
}

/// When a commit or tag was made, from the object.
fn read_times(repository: &Repository, id: &[u8]) -> Option<(i64, i64)> {
    let object = repository.find_object(ObjectId::try_from(id).ok()?).ok()?;
    let headed = Headed::new(&object.data);
    Some(headed.tagged().map_or_else(|| (headed.authored(), headed.time()), |tagged| (0, tagged)))
}

/// A way, with refs by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Way {
    /// Some of the branches, and how many there are.
    Tips(Vec<u32>, u32),
    Route(u32),
    Staged,
    Unreachable,
    Unknown,
}

struct Settling<'s, 'h> {
    reachability: &'s Reachability<'h>,
    claims: Vec<u32>,
    staged: Set<ObjectId>,
    /// For each place the routes to tips that have it.
    tips: Vec<Vec<u32>>,
    is_complete: bool,
}

impl Settling<'_, '_> {
    /// The ways to a file at each place where it is known to stand, numbered.
    fn file(&self, id: &[u8], standings: &[Standing], places: &[u32], number: &mut dyn FnMut(Way) -> u32) -> Vec<u32> {
        let shown = |at: u32| &self.reachability.places[at as usize].shown;
        if standings.is_empty() {
            return vec![number(self.way(id, places))];
        }
        // What stands at more places than are shown is told of at the last of them.
        let rest = places.iter().filter(|&&at| standings.iter().all(|standing| *standing.path != **shown(at)));
        let rest: Vec<u32> = rest.copied().collect();
        let last = standings.len() - 1;
        let ways = standings.iter().enumerate().map(|(at, standing)| {
            let mut own: Vec<u32> = places.iter().copied().filter(|&at| **shown(at) == *standing.path).collect();
            if at == last {
                own.extend_from_slice(&rest);
            }
            number(self.way(id, &own))
        });
        ways.collect()
    }

    /// The way to a commit or a tag.
    fn text(&self, id: &[u8]) -> Way {
        let Ok(own) = ObjectId::try_from(id) else { return Way::Unknown };
        let Some(commit) = self.reachability.graph.find(&own) else { return self.way(id, &[]) };
        let routes = (0..).zip(&self.reachability.routes.list);
        let branches = routes.take_while(|(_, route)| route.from == ReachedFrom::BranchTip);
        let tips: Vec<u32> =
            branches.filter(|(_, route)| route.commit == Some(commit)).map(|(number, _)| number).collect();
        if tips.is_empty() { self.claimed(&own, &[self.claims[commit as usize]]) } else { Way::of_tips(&tips) }
    }

    fn way(&self, id: &[u8], places: &[u32]) -> Way {
        let Ok(id) = ObjectId::try_from(id) else { return Way::Unknown };
        let tips = match places {
            [] => Cow::default(),
            [one] => Cow::Borrowed(self.tips[*one as usize].as_slice()),
            several => {
                let mut tips: Vec<u32> = several.iter().flat_map(|&at| &self.tips[at as usize]).copied().collect();
                tips.sort_unstable();
                tips.dedup();
                Cow::Owned(tips)
            }
        };
        if !tips.is_empty() {
            return Way::of_tips(&tips);
        }
        let commits = places.iter().flat_map(|&at| &self.reachability.places[at as usize].commits);
        let claims: Vec<u32> = commits.map(|&commit| self.claims[commit as usize]).collect();
        self.claimed(&id, &claims)
    }

    /// The way by the strongest of these claims, or by what leads to the object itself.
    fn claimed(&self, id: &ObjectId, claims: &[u32]) -> Way {
        let direct = self.reachability.routes.direct.get(id).copied();
        let claim = claims.iter().copied().chain(direct).min().filter(|&claim| claim != UNCLAIMED);
        let is_public = |claim: u32| self.reachability.routes.list[claim as usize].from < ReachedFrom::Staged;
        match claim {
            Some(claim) if is_public(claim) => Way::Route(claim),
            _ if self.staged.contains(id) => Way::Staged,
            Some(claim) => Way::Route(claim),
            None if self.is_complete => Way::Unreachable,
            None => Way::Unknown,
        }
    }

    fn name(&self, number: u32) -> &[u8] {
        &self.reachability.routes.list[number as usize].name
    }
}

impl Way {
    fn of_tips(tips: &[u32]) -> Way {
        let some = tips.iter().copied().take(Reach::MAX_REFS).collect();
        Way::Tips(some, u32::try_from(tips.len()).unwrap_or(u32::MAX))
    }
}

/// Ways by the number that they have.
struct Ways<'w> {
    known: Map<Way, u32>,
    /// Names of refs as they may be shown.
    names: Map<Vec<u8>, String>,
    shown: &'w mut dyn FnMut(&[u8]) -> String,
}

impl Ways<'_> {
    /// The number of a way; 0 if it is not known.
    fn number(&mut self, way: Way, settling: &Settling<'_, '_>, reached: &mut Reached) -> u32 {
        if let Some(&number) = self.known.get(&way) {
            return number;
        }
        let reach = match &way {
            Way::Tips(tips, branches) => Reach {
                from: ReachedFrom::BranchTip,
                refs: tips.iter().map(|&tip| self.name(settling.name(tip))).collect(),
                branches: *branches,
            },
            Way::Route(number) => {
                let from = match settling.reachability.routes.list[*number as usize].from {
                    ReachedFrom::BranchTip => ReachedFrom::BranchHistory,
                    from => from,
                };
                Reach::by(from, self.name(settling.name(*number)))
            }
            Way::Staged => Reach::new(ReachedFrom::Staged),
            Way::Unreachable => Reach::new(ReachedFrom::Unreachable),
            Way::Unknown => return 0,
        };
        let number = reached.way(reach);
        self.known.insert(way, number);
        number
    }

    fn name(&mut self, name: &[u8]) -> String {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let shown = (self.shown)(name);
        self.names.insert(name.to_vec(), shown.clone());
        shown
    }
}
