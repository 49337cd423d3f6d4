//! The form in which a [`State`] is kept: what stands there often stands there once, and is referred to by its number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use custody_contract::{Confidence, Fingerprint};
use foldhash::fast::RandomState;
use gix::ObjectId;
use serde::{Deserialize, Serialize};

use super::facts::{Fact, Standing, Stands};
use super::state::{CleanFile, PackId, State, Totals};

#[derive(Serialize, Deserialize)]
struct Packed<'a> {
    rules: Vec<(&'a str, u64)>,
    packs: Vec<PackId>,
    loose: &'a [u8],
    missing: &'a [u8],
    entangled: &'a [u8],
    names_entangled: bool,
    recent: &'a [u8],
    totals: Totals,
    submodules: Vec<&'a str>,
    files: Vec<(&'a str, [u8; 32], Vec<u32>)>,
    texts: Vec<&'a str>,
    encodings: Vec<Vec<u32>>,
    confidences: Vec<(u8, Vec<(u32, i8)>)>,
    fingerprints: Vec<Fingerprint>,
    id_length: u32,
    ids: &'a [u8],
    facts: Vec<PackedFact>,
    rows: Vec<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
struct PackedFact {
    rule: u32,
    length: u64,
    fingerprint: u32,
    confidence: u32,
    encoding: u32,
    allowed: Option<u32>,
    offset: u64,
    line: u32,
    column: u32,
    end_column: u32,
    object: Option<u32>,
    inside: Option<u32>,
    within: PackedStands,
}

#[derive(Serialize, Deserialize)]
enum PackedStands {
    Name(u32),
    Commit(u32),
    Tag(u32),
    Blob(Vec<(u32, i64, i64, u32, u32)>),
}

/// Gives numbers to values, each once.
struct Numbers<T>(HashMap<T, u32, RandomState>, Vec<T>);

impl<T: Hash + Eq + Clone> Numbers<T> {
    fn new() -> Self {
        Numbers(HashMap::default(), Vec::new())
    }

    fn of(&mut self, value: T) -> u32 {
        if let Some(&number) = self.0.get(&value) {
            return number;
        }
        let number = u32::try_from(self.1.len()).unwrap_or(u32::MAX);
        self.1.push(value.clone());
        self.0.insert(value, number);
        number
    }
}

/// The bytes to keep.
pub(super) fn to_bytes(state: &State, recent: &[u8], kind: gix::hash::Kind) -> Option<Vec<u8>> {
    let mut texts: Numbers<&str> = Numbers::new();
    let mut encodings: Numbers<Vec<u32>> = Numbers::new();
    let mut confidences: Numbers<(u8, Vec<(u32, i8)>)> = Numbers::new();
    let mut fingerprints: Numbers<Fingerprint> = Numbers::new();
    let mut ids: Numbers<ObjectId> = Numbers::new();
    let mut facts = Vec::with_capacity(state.facts.len());
    for fact in &state.facts {
        let encoding = fact.encoding.iter().map(|encoding| texts.of(encoding)).collect();
        let reasons = fact.confidence.reasons.iter().map(|reason| (texts.of(&reason.what), reason.weight)).collect();
        facts.push(PackedFact {
            rule: texts.of(&fact.rule),
            length: fact.length,
            fingerprint: fingerprints.of(fact.fingerprint),
            confidence: confidences.of((fact.confidence.score, reasons)),
            encoding: encodings.of(encoding),
            allowed: fact.allowed.as_deref().map(|reason| texts.of(reason)),
            offset: fact.offset,
            line: fact.line,
            column: fact.column,
            end_column: fact.end_column,
            object: fact.object.map(|id| ids.of(id)),
            inside: fact.inside.as_deref().map(|inside| texts.of(inside)),
            within: match &fact.within {
                Stands::Name(text) => PackedStands::Name(texts.of(text)),
                Stands::Commit(text) => PackedStands::Commit(texts.of(text)),
                Stands::Tag(text) => PackedStands::Tag(texts.of(text)),
                Stands::Blob(standings) => PackedStands::Blob(
                    standings
                        .iter()
                        .map(|s| (texts.of(&s.path), s.time, s.authored, s.age, ids.of(s.commit)))
                        .collect(),
                ),
            },
        });
    }
    let files = state
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.content, file.lacking.iter().map(|&id| ids.of(id)).collect()));
    let files = files.collect();
    let ids: Vec<u8> = ids.1.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
    let packed = Packed {
        rules: state.rules.iter().map(|(id, digest)| (id.as_str(), *digest)).collect(),
        packs: state.packs.clone(),
        loose: &state.loose,
        missing: &state.missing,
        entangled: &state.entangled,
        names_entangled: state.names_entangled,
        recent,
        totals: state.totals,
        submodules: state.submodules.iter().map(String::as_str).collect(),
        files,
        texts: texts.1,
        encodings: encodings.1,
        confidences: confidences.1,
        fingerprints: fingerprints.1,
        id_length: u32::try_from(kind.len_in_bytes()).ok()?,
        ids: &ids,
        facts,
        rows: state.rows.clone(),
    };
    postcard::to_stdvec(&packed).ok()
}

/// What the bytes say, if they make sense.
pub(super) fn from_bytes(bytes: &[u8], kind: gix::hash::Kind) -> Option<State> {
    let packed: Packed<'_> = postcard::from_bytes(bytes).ok()?;
    if packed.id_length as usize != kind.len_in_bytes() {
        return None;
    }
    let tables = Tables::new(&packed)?;
    let facts = packed.facts.iter().map(|fact| tables.fact(fact)).collect::<Option<Vec<Fact>>>()?;
    let stands = |&(fact, place): &(u32, u32)| {
        facts.get(fact as usize).is_some_and(|fact: &Fact| (place as usize) < fact.places())
    };
    let is_whole = packed.rows.len() == facts.iter().map(Fact::places).sum::<usize>();
    if !is_whole || !packed.rows.iter().all(stands) {
        return None;
    }
    Some(State {
        rules: packed.rules.iter().map(|&(id, digest)| (id.to_owned(), digest)).collect(),
        packs: packed.packs,
        loose: packed.loose.to_vec(),
        totals: packed.totals,
        missing: packed.missing.to_vec(),
        submodules: packed.submodules.iter().map(|&name| name.to_owned()).collect(),
        facts,
        rows: packed.rows,
        entangled: packed.entangled.to_vec(),
        names_entangled: packed.names_entangled,
        files: packed.files.iter().map(|file| tables.file(file)).collect::<Option<_>>()?,
        recent: packed.recent.to_vec(),
        kept: None,
    })
}

/// What numbers stand for.
struct Tables {
    texts: Vec<Arc<str>>,
    encodings: Vec<Arc<[Arc<str>]>>,
    confidences: Vec<Arc<Confidence>>,
    fingerprints: Vec<Fingerprint>,
    ids: Vec<ObjectId>,
}

impl Tables {
    fn new(packed: &Packed<'_>) -> Option<Tables> {
        let texts: Vec<Arc<str>> = packed.texts.iter().map(|&text| Arc::from(text)).collect();
        let text = |number: u32| texts.get(number as usize).cloned();
        let encodings = packed.encodings.iter().map(|parts| parts.iter().map(|&part| text(part)).collect());
        let encodings = encodings.collect::<Option<Vec<Arc<[Arc<str>]>>>>()?;
        let confidences = packed.confidences.iter().map(|(score, reasons)| {
            let reasons = reasons
                .iter()
                .map(|&(what, weight)| Some(custody_contract::Reason { what: text(what)?.to_string().into(), weight }));
            Some(Arc::new(Confidence { score: *score, reasons: reasons.collect::<Option<_>>()? }))
        });
        let confidences = confidences.collect::<Option<Vec<_>>>()?;
        let ids = packed.ids.chunks_exact(packed.id_length as usize).map(|id| ObjectId::try_from(id).ok());
        let ids = ids.collect::<Option<Vec<_>>>()?;
        Some(Tables { texts, encodings, confidences, fingerprints: packed.fingerprints.clone(), ids })
    }

    fn file(&self, (name, content, lacking): &(&str, [u8; 32], Vec<u32>)) -> Option<CleanFile> {
        let lacking = lacking.iter().map(|&id| self.ids.get(id as usize).copied()).collect::<Option<_>>()?;
        Some(CleanFile { name: (*name).to_owned(), content: *content, lacking })
    }

    fn fact(&self, fact: &PackedFact) -> Option<Fact> {
        let text = |number: u32| self.texts.get(number as usize).cloned();
        let id = |number: u32| self.ids.get(number as usize).copied();
        let standing = |&(path, time, authored, age, commit): &(u32, i64, i64, u32, u32)| {
            Some(Standing { path: text(path)?, time, authored, age, commit: id(commit)? })
        };
        Some(Fact {
            rule: text(fact.rule)?,
            length: fact.length,
            fingerprint: *self.fingerprints.get(fact.fingerprint as usize)?,
            confidence: self.confidences.get(fact.confidence as usize)?.clone(),
            encoding: self.encodings.get(fact.encoding as usize)?.clone(),
            allowed: fact.allowed.map_or(Some(None), |reason| text(reason).map(Some))?,
            offset: fact.offset,
            line: fact.line,
            column: fact.column,
            end_column: fact.end_column,
            object: fact.object.map_or(Some(None), |object| id(object).map(Some))?,
            inside: fact.inside.map_or(Some(None), |inside| text(inside).map(Some))?,
            within: match &fact.within {
                PackedStands::Name(name) => Stands::Name(text(*name)?),
                PackedStands::Commit(what) => Stands::Commit(text(*what)?),
                PackedStands::Tag(what) => Stands::Tag(text(*what)?),
                PackedStands::Blob(standings) => Stands::Blob(standings.iter().map(standing).collect::<Option<_>>()?),
            },
        })
    }
}
