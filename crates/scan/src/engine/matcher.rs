//! Runs the rules' patterns around their keywords.

use std::sync::{Arc, OnceLock};

use memchr::{memchr, memrchr};
use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input as Search, PatternID, Span};

use super::confidence::{self, Assessment, Subject};
use super::prefilter::{Keyword, Prefilter};
use super::{Input, gate};
use crate::rules::{Gate, Rule, RuleIndex, RuleSet, Shape};

/// Bounds the compiled size of one pattern, in bytes.
const SIZE_LIMIT: usize = 4 << 20;

/// What a pattern matched and what became of weighing it.
pub(super) struct Candidate {
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
    slots: Vec<Slot>,
    touched: Vec<RuleIndex>,
    pub(super) candidates: Vec<Candidate>,
}

/// What a scratch space holds for one rule.
#[derive(Default)]
struct Slot {
    memory: Option<(Cache, Captures)>,
    /// The window that is still to be searched.
    pending: Option<Span>,
}

impl Scratch {
    /// Empties what belongs to another engine.
    pub(super) fn attach(&mut self, engine: &Arc<()>, rules: usize) {
        if self.owner.as_ref().is_none_or(|owner| !Arc::ptr_eq(owner, engine)) {
            self.owner = Some(Arc::clone(engine));
            self.slots.clear();
            self.slots.resize_with(rules, Slot::default);
        }
        // A panic during an earlier search may have left windows behind.
        for rule in self.touched.drain(..) {
            self.slots[rule.as_usize()].pending = None;
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

    /// Finds all candidates of all rules.
    pub(super) fn search(
        &self,
        rules: &RuleSet,
        prefilter: &Prefilter,
        scratch: &mut Scratch,
        input: &Input<'_>,
        out: &mut Vec<Candidate>,
    ) {
        let mut run = Run { matchers: self, rules, input, scratch, out };
        prefilter.search(input.bytes, |keyword, at| run.keyword(keyword, at));
        for rule in std::mem::take(&mut run.scratch.touched) {
            if let Some(window) = run.scratch.slots[rule.as_usize()].pending.take() {
                run.window(rule, window);
            }
        }
    }
}

/// One search.
struct Run<'a, 's> {
    matchers: &'a Matchers,
    rules: &'a RuleSet,
    input: &'a Input<'a>,
    scratch: &'s mut Scratch,
    out: &'s mut Vec<Candidate>,
}

impl Run<'_, '_> {
    fn keyword(&mut self, keyword: &Keyword, at: usize) {
        let bytes = self.input.bytes;
        let end = at + keyword.len();
        for wanted in &keyword.rules {
            if wanted.spelled.as_ref().is_some_and(|spelled| bytes[at..end] != **spelled) {
                continue;
            }
            let rule = self.rules.rule(wanted.rule);
            match rule.gate {
                Some(Gate::Assignment) if !gate::is_assignment(bytes, end) => continue,
                Some(Gate::Userinfo) if !gate::has_userinfo(bytes, end) => continue,
                _ => {}
            }
            let extent = rule.shape.extent.map_or(rule.reach, |e| e.min(rule.reach)) as usize;
            if rule.shape.lead == Some(0) {
                let span = Span::from(at..bytes.len().min(at + extent));
                self.find(wanted.rule, rule, span, Anchored::Yes);
            } else {
                let window = window(bytes, rule, at, end, extent);
                self.queue(wanted.rule, window);
            }
        }
    }

    /// Joins the window to the rule's pending one, or searches that and queues this.
    fn queue(&mut self, rule: RuleIndex, window: Span) {
        let slot = &mut self.scratch.slots[rule.as_usize()];
        match &mut slot.pending {
            None => {
                slot.pending = Some(window);
                self.scratch.touched.push(rule);
            }
            Some(pending) if window.start <= pending.end && pending.start <= window.end => {
                pending.start = pending.start.min(window.start);
                pending.end = pending.end.max(window.end);
            }
            Some(pending) => {
                let full = std::mem::replace(pending, window);
                self.window(rule, full);
            }
        }
    }

    fn window(&mut self, index: RuleIndex, mut window: Span) {
        let rules = self.rules;
        let rule = rules.rule(index);
        while window.start < window.end {
            match self.find(index, rule, window, Anchored::No) {
                Some(next) => window.start = next,
                None => break,
            }
        }
    }

    /// Tries the pattern once; gives where to go on.
    fn find(&mut self, index: RuleIndex, rule: &Rule, span: Span, anchored: Anchored) -> Option<usize> {
        let matcher = self.matchers.get(index, rule)?;
        let bytes = self.input.bytes;
        let slot = &mut self.scratch.slots[index.as_usize()];
        let (cache, captures) =
            slot.memory.get_or_insert_with(|| (matcher.regex.create_cache(), matcher.regex.create_captures()));
        let search = Search::new(bytes).span(span).anchored(anchored);
        matcher.regex.search_captures_with(cache, &search, captures);
        let whole = captures.get_match()?;
        let secret = captures.get_group(matcher.secret).unwrap_or(whole.span());
        if secret.start == secret.end {
            return Some(whole.end());
        }
        let subject = Subject { rule, input: self.input, whole: whole.span(), secret };
        if let Some(assessment) = confidence::assess(&subject) {
            self.out.push(Candidate { rule: index, start: secret.start, end: secret.end, assessment });
            return Some(secret.end);
        }
        // What stands inside a candidate that was dropped may be one itself.
        Some(if secret.start > whole.start() { secret.start } else { whole.end() })
    }
}

/// Where a match that belongs to the keyword at `at..end` can lie.
fn window(bytes: &[u8], rule: &Rule, at: usize, end: usize, extent: usize) -> Span {
    let reach = rule.reach as usize;
    let (lead, ahead) = match rule.shape.lead {
        Some(lead) => ((lead as usize).min(reach), extent),
        None => (reach, reach),
    };
    let from = at.saturating_sub(lead);
    let to = bytes.len().min(at + ahead).max(end);
    if rule.shape.multiline || rule.shape.lead.is_none() {
        return Span::from(from..to);
    }
    let start = memrchr(b'\n', &bytes[from..at]).map_or(from, |p| from + p + 1);
    let stop = memchr(b'\n', &bytes[end..to]).map_or(to, |p| end + p);
    Span::from(start..stop)
}
