//! Runs the rules' patterns around their keywords.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input as Search, PatternID, Span};

use super::confidence::{self, Assessment, Subject};
use super::keywords::{Wanted, window};
use super::prefilter::{Hit, Prefilter};
use super::trace::Trace;
use super::{Input, gate};
use crate::rules::{Gate, Rule, RuleIndex, RuleSet, Shape};

/// Bounds the compiled size of one pattern, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

/// What a pattern matched and what became of weighing it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    /// The keyword around which it was found.
    pub(super) hit: Hit,
    pub(super) rule: RuleIndex,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) assessment: Assessment,
}

/// The compiled patterns of a rule set, each compiled when it is first needed.
pub(super) struct Matchers {
    compiled: Box<[OnceLock<Option<Matcher>>]>,
}

/// A compiled pattern.
pub(crate) struct Matcher {
    regex: Regex,
    secret: usize,
}

/// Compiles a rule's pattern. Where matches start at the keyword, which the prefilter has found already, no literals
/// are sought in the pattern again: that is a good part of the time that compiling takes.
pub(crate) fn compile(pattern: &str, shape: Shape) -> Result<Matcher, String> {
    let regex = Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(100))
        .configure(
            Config::new()
                .utf8_empty(false)
                .nfa_size_limit(Some(SIZE_LIMIT))
                .onepass_size_limit(Some(1 << 20))
                .dfa(false)
                .auto_prefilter(shape.lead != Some(0)),
        )
        .build(pattern)
        .map_err(|e| match e.syntax_error() {
            Some(syntax) => syntax.to_string(),
            None => e.to_string(),
        })?;
    let secret = regex.group_info().to_index(PatternID::ZERO, "secret").unwrap_or(0);
    Ok(Matcher { regex, secret })
}

/// Memory that searches reuse. Works with any engine; is fastest kept with one.
#[derive(Default)]
pub struct Scratch {
    owner: Option<Arc<()>>,
    /// For each rule.
    memory: Vec<Option<Box<(Cache, Captures)>>>,
    pub(super) trace: Trace,
    pub(super) due: Vec<Hit>,
    pub(super) zones: Vec<Range<usize>>,
    pub(super) settled: Vec<Candidate>,
    /// Whether anything was found in a layer of encoding since the last text began, be it dropped or not.
    pub(crate) in_layers: bool,
}

impl Scratch {
    /// Empties what belongs to another engine.
    pub(super) fn attach(&mut self, engine: &Arc<()>, rules: usize) {
        if self.owner.as_ref().is_none_or(|owner| !Arc::ptr_eq(owner, engine)) {
            self.owner = Some(Arc::clone(engine));
            self.memory.clear();
            self.memory.resize_with(rules, || None);
        }
    }
}

impl Matchers {
    pub(super) fn new(rules: usize) -> Self {
        Matchers { compiled: (0..rules).map(|_| OnceLock::new()).collect() }
    }

    fn get(&self, index: RuleIndex, rule: &Rule) -> Option<&Matcher> {
        // A pattern that does not compile cannot get here: the built-in ones are compiled by a test, a repository's
        // own when they are loaded.
        self.compiled[index.as_usize()].get_or_init(|| compile(&rule.pattern, rule.shape).ok()).as_ref()
    }
}

/// Tries the rules of keywords in one text. What comes of a keyword depends on nothing but the text in its scope.
pub(super) struct Trial<'a, 's> {
    pub(super) matchers: &'a Matchers,
    pub(super) rules: &'a RuleSet,
    pub(super) prefilter: &'a Prefilter,
    pub(super) input: &'a Input<'a>,
    pub(super) scratch: &'s mut Scratch,
}

impl Trial<'_, '_> {
    /// Adds all candidates of the keyword's rules.
    pub(super) fn keyword(&mut self, hit: Hit, out: &mut Vec<Candidate>) {
        for wanted in &self.prefilter.keywords[hit.keyword as usize].wanted {
            self.rule(hit, wanted, out);
        }
    }

    fn rule(&mut self, hit: Hit, wanted: &Wanted, out: &mut Vec<Candidate>) {
        let (bytes, at) = (self.input.bytes, hit.at as usize);
        let end = at + wanted.text.len();
        let spelled = bytes.get(at..end).is_some_and(|text| {
            if wanted.exact { *text == *wanted.text } else { text.eq_ignore_ascii_case(&wanted.text) }
        });
        if !spelled {
            return;
        }
        let rule = self.rules.rule(wanted.rule);
        let passes = match rule.gate {
            Some(Gate::Assignment) => gate::is_assignment(bytes, end),
            Some(Gate::Setting) => gate::follows_semicolon(bytes, at) && gate::is_assignment(bytes, end),
            Some(Gate::Userinfo) => gate::has_userinfo(bytes, end),
            None => true,
        };
        let (lead, extent) = window(rule);
        let from = at.saturating_sub(lead);
        let to = bytes.len().min(at + extent);
        if !passes
            || rule
                .shape
                .run
                .is_some_and(|(alphabet, least)| !gate::has_run(&bytes[from..to], alphabet, least as usize))
        {
            return;
        }
        // A match that starts behind the keyword belongs to a later one, unless the keyword need not be part of it.
        let last = if rule.shape.lead.is_some() { at } else { to };
        let anchored = if from == last { Anchored::Yes } else { Anchored::No };
        let mut span = Span::from(from..to);
        while span.start <= last && span.start < to {
            match self.find(hit, wanted.rule, span, anchored, last, out) {
                Some(next) => span.start = next,
                None => break,
            }
        }
    }

    /// Tries the pattern once; gives where to go on.
    fn find(
        &mut self,
        hit: Hit,
        index: RuleIndex,
        span: Span,
        anchored: Anchored,
        last: usize,
        out: &mut Vec<Candidate>,
    ) -> Option<usize> {
        let rule = self.rules.rule(index);
        let matcher = self.matchers.get(index, rule)?;
        let memory = self.scratch.memory[index.as_usize()]
            .get_or_insert_with(|| Box::new((matcher.regex.create_cache(), matcher.regex.create_captures())));
        let (cache, captures) = &mut **memory;
        let search = Search::new(self.input.bytes).span(span).anchored(anchored);
        matcher.regex.search_captures_with(cache, &search, captures);
        let whole = captures.get_match().filter(|whole| whole.start() <= last)?;
        let secret = captures.get_group(matcher.secret).unwrap_or(whole.span());
        if secret.start == secret.end {
            return Some(whole.end());
        }
        let subject = Subject { rule, input: self.input, whole: whole.span(), secret };
        if let Some(assessment) = confidence::assess(&subject) {
            out.push(Candidate { hit, rule: index, start: secret.start, end: secret.end, assessment });
            return Some(secret.end);
        }
        // What stands inside a candidate that was dropped may be one itself.
        Some(if secret.start > whole.start() { secret.start } else { whole.end() })
    }
}
