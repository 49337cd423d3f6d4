//! Wildcard patterns as policy languages write them: `*` is any text, `?` one character.
//!
//! Besides matching, a proof asks two questions about whole patterns: does one cover all that another allows (a deny that
//! subtracts), and can two meet at all. Where an answer would cost too much, it is the one that proves less.

/// Most steps for one question about two patterns; a policy that needs more is not one that a provider would accept.
const MAX_STEPS: usize = 1 << 22;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// Any text, none included.
    Star,
    /// One character.
    Any,
    /// This character.
    Char(char),
}

/// Whether upper and lower case are the same (ASCII).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They are: action names.
    Ignore,
    /// They differ: resources.
    Keep,
}

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    tokens: Vec<Token>,
    case: Case,
    /// Fewest characters that it matches.
    shortest: usize,
}

impl Glob {
    /// Reads a pattern; every text is one.
    pub(crate) fn new(text: &str, case: Case) -> Self {
        Self::of(
            text.chars().map(|c| match c {
                '*' => Token::Star,
                '?' => Token::Any,
                c => Token::Char(c),
            }),
            case,
        )
    }

    /// A pattern of which only `*` is special, as Azure and OpenBao have it.
    pub(crate) fn stars(text: &str, case: Case) -> Self {
        Self::of(text.chars().map(|c| if c == '*' { Token::Star } else { Token::Char(c) }), case)
    }

    fn of(raw: impl Iterator<Item = Token>, case: Case) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        for token in raw {
            match token {
                // `**` is `*`.
                Token::Star if tokens.last() == Some(&Token::Star) => {}
                // `*?` is `?*`: the star goes last, so that stars never follow each other.
                Token::Any if tokens.last() == Some(&Token::Star) => {
                    tokens.pop();
                    tokens.extend([Token::Any, Token::Star]);
                }
                Token::Char(c) if case == Case::Ignore => tokens.push(Token::Char(c.to_ascii_lowercase())),
                token => tokens.push(token),
            }
        }
        let shortest = tokens.iter().filter(|t| **t != Token::Star).count();
        Self { tokens, case, shortest }
    }

    /// Whether it matches everything.
    pub(crate) fn is_everything(&self) -> bool {
        self.tokens == [Token::Star]
    }

    /// How many steps a match costs at most, for budgets.
    pub(crate) fn cost(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it matches a text.
    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.shortest > text.len() {
            return false;
        }
        let fold = |c: char| if self.case == Case::Ignore { c.to_ascii_lowercase() } else { c };
        if text.is_ascii() {
            let bytes = text.as_bytes();
            run(&self.tokens, bytes.len(), |at| Token::Char(fold(char::from(bytes[at]))))
        } else {
            let chars: Vec<char> = text.chars().collect();
            run(&self.tokens, chars.len(), |at| Token::Char(fold(chars[at])))
        }
    }

    /// Whether it matches every text that `other` matches. `false` may also mean that it cannot be told.
    pub(crate) fn covers(&self, other: &Glob) -> bool {
        if self.is_everything() {
            return true;
        }
        // One that ignores case matches more than one that does not, never the other way round.
        if self.case == Case::Keep && other.case == Case::Ignore
            || self.tokens.len().saturating_mul(other.tokens.len()) > MAX_STEPS
        {
            return false;
        }
        let fold = |token: Token| match token {
            Token::Char(c) if self.case == Case::Ignore => Token::Char(c.to_ascii_lowercase()),
            token => token,
        };
        run(&self.tokens, other.tokens.len(), |at| fold(other.tokens[at]))
    }

    /// Whether some text matches both. `true` may also mean that it cannot be told.
    pub(crate) fn meets(&self, other: &Glob) -> bool {
        if self.tokens.len().saturating_mul(other.tokens.len()) > MAX_STEPS || self.case != other.case {
            return true;
        }
        let (a, b) = (&self.tokens, &other.tokens);
        // `reach[j]`: the first i tokens of `a` and the first j of `b` have a text in common.
        let mut reach = vec![false; b.len() + 1];
        for i in 0..=a.len() {
            let above = std::mem::replace(&mut reach, vec![false; b.len() + 1]);
            for j in 0..=b.len() {
                let star_a = i > 0 && a[i - 1] == Token::Star;
                let star_b = j > 0 && b[j - 1] == Token::Star;
                reach[j] = (i == 0 && j == 0)
                    // A star that stands for nothing more, and one that swallows what the other side writes.
                    || (star_a && (above[j] || (j > 0 && reach[j - 1])))
                    || (star_b && (reach[j - 1] || (i > 0 && above[j])))
                    || (i > 0 && j > 0 && !star_a && !star_b && above[j - 1] && common(a[i - 1], b[j - 1]));
            }
        }
        reach[b.len()]
    }
}

/// Whether two tokens of one character have a character in common.
fn common(a: Token, b: Token) -> bool {
    match (a, b) {
        (Token::Char(a), Token::Char(b)) => a == b,
        _ => true,
    }
}

/// Matches tokens against symbols. A symbol may itself be a wildcard (for [`Glob::covers`]): only a star takes a star, and
/// only a wildcard takes one. Steps back to the last star only, so that the cost is at most the product of the lengths.
fn run(tokens: &[Token], length: usize, symbol: impl Fn(usize) -> Token) -> bool {
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < length {
        match tokens.get(next) {
            Some(Token::Star) => {
                star = Some((next, at));
                next += 1;
                continue;
            }
            Some(Token::Any) if symbol(at) != Token::Star => {
                (at, next) = (at + 1, next + 1);
                continue;
            }
            Some(Token::Char(c)) if symbol(at) == Token::Char(*c) => {
                (at, next) = (at + 1, next + 1);
                continue;
            }
            _ => {}
        }
        let Some((token, from)) = star else { return false };
        star = Some((token, from + 1));
        (at, next) = (from + 1, token + 1);
    }
    tokens[next..].iter().all(|token| *token == Token::Star)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word; exponential.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                naive(rest, text) || text.split_first().is_some_and(|(_, after)| naive(pattern, after))
            }
            (Some(('?', rest)), Some((_, after))) => naive(rest, after),
            (Some((c, rest)), Some((d, after))) => c == d && naive(rest, after),
            _ => false,
        }
    }

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_naive_definition(pattern in "[ab*?é]{0,9}", text in "[abé]{0,9}") {
            prop_assert_eq!(Glob::new(&pattern, Case::Keep).matches(&text), naive(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn a_pattern_covers_only_what_it_matches(wide in "[ab*?]{0,6}", narrow in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let (wide, narrow) = (Glob::new(&wide, Case::Keep), Glob::new(&narrow, Case::Keep));
            if wide.covers(&narrow) && narrow.matches(&text) {
                prop_assert!(wide.matches(&text));
            }
        }

        #[test]
        fn patterns_that_match_one_text_meet(a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let (a, b) = (Glob::new(&a, Case::Keep), Glob::new(&b, Case::Keep));
            if a.matches(&text) && b.matches(&text) {
                prop_assert!(a.meets(&b) && b.meets(&a));
            }
        }

        #[test]
        fn literal_patterns_meet_exactly_where_they_match(a in "[ab*?]{0,7}", text in "[ab]{0,7}") {
            let (glob, literal) = (Glob::new(&a, Case::Keep), Glob::new(&text, Case::Keep));
            prop_assert_eq!(glob.meets(&literal), glob.matches(&text));
            prop_assert_eq!(glob.covers(&literal), glob.matches(&text));
        }
    }

    #[test]
    fn case_counts_where_it_should() {
        assert!(Glob::new("S3:getOBJECT*", Case::Ignore).matches("s3:GetObjectAcl"));
        assert!(!Glob::new("arn:A*", Case::Keep).matches("arn:a"));
    }

    #[test]
    fn a_megabyte_of_wildcards_costs_nothing() {
        let long = Glob::new(&format!("s3:{}", "*?".repeat(500_000)), Case::Ignore);
        assert!(!long.matches("s3:GetObject"));
        assert!(!long.covers(&long) && long.meets(&long));
        let stars = Glob::new(&"*".repeat(1_000_000), Case::Ignore);
        assert!(stars.is_everything() && stars.covers(&long));
    }
}
