//! As much of a shell's grammar as the scripts of a `package.json` need.

pub(super) fn base_name(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.strip_suffix(".exe").or_else(|| name.strip_suffix(".cmd")).unwrap_or(name)
}

pub(super) fn normalised(directory: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|p| !p.is_empty()).collect();
    for part in file.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty() && !file.starts_with('/')).then(|| parts.join("/"))
}

/// Without what only starts another program: variables, `npx`, `env`, `npm exec --`, `poetry run`.
pub(super) fn without_runner(words: &[String]) -> &[String] {
    let mut words = words;
    loop {
        let Some((first, rest)) = words.split_first() else { return words };
        let next = rest.first().map(String::as_str);
        words = match base_name(first) {
            _ if first.contains('=') && !first.starts_with('-') => rest,
            "npx" | "bunx" | "cross-env" | "env" | "exec" | "time" | "command" | "uvx" => skip_flags(rest),
            "npm" | "pnpm" | "yarn" | "bun" if matches!(next, Some("exec" | "dlx" | "x")) => skip_flags(&rest[1..]),
            "poetry" | "uv" | "pipenv" | "pdm" if next == Some("run") => skip_flags(&rest[1..]),
            _ => return words,
        };
    }
}

fn skip_flags(words: &[String]) -> &[String] {
    let flags = words.iter().take_while(|w| w.starts_with('-')).count();
    &words[flags..]
}

/// The commands of a shell line, each with whether its failure makes the line fail: it does before `&&` and at the end,
/// and not before `||`, `;`, `|` and `&`.
pub(super) fn commands(line: &str) -> Vec<(Vec<String>, bool)> {
    let mut commands = Vec::new();
    let (mut words, mut word, mut quote, mut in_word) = (Vec::new(), String::new(), None, false);
    let mut characters = line.chars().peekable();
    let mut end = |words: &mut Vec<String>, counts| commands.push((std::mem::take(words), counts));
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some('"'), '\\') | (None, '\\') => word.extend(characters.next()),
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => (quote, in_word) = (Some(c), true),
            (None, '(' | ')' | '{' | '}') if word.is_empty() => {}
            (None, c) if c.is_whitespace() || matches!(c, '&' | '|' | ';' | ')') => {
                if in_word || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                    in_word = false;
                }
                let doubled = matches!(c, '&' | '|') && characters.next_if_eq(&c).is_some();
                match c {
                    '&' if doubled => end(&mut words, true),
                    '&' | '|' | ';' => end(&mut words, false),
                    _ => {}
                }
            }
            (None, c) => word.push(c),
        }
    }
    if in_word || !word.is_empty() {
        words.push(word);
    }
    end(&mut words, true);
    commands.retain(|(words, _)| !words.is_empty());
    // `a && b || c`: what stands behind `||` rescues all before it; `a && b; c` drops them all.
    let mut counts = true;
    for (_, own) in commands.iter_mut().rev() {
        counts &= *own;
        *own = counts;
    }
    commands
}
