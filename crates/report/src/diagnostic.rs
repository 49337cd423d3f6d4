//! A diagnostic for people: what, where, why, what to do, in that order.

use std::io;

use custody_contract::{Diagnostic, Level};

use crate::table::page::{BAD, BOLD, CALM, CAUTION, Cell, DIM, PLAIN, Page};
use crate::{RenderError, RenderOptions, text};

/// Writes one diagnostic as the block that every error of the program is shown as.
///
/// ```text
/// error[CRED-3]: cannot resolve `cred://aws/production/readonly`
///   --> deploy/api.env:14
///   why: policy `production-readonly` forbids principal `ci/pull-request`
///   fix: run from a protected branch
/// ```
///
/// # Errors
///
/// [`RenderError::Write`] if `out` fails.
pub fn render_diagnostic(
    diagnostic: &Diagnostic,
    options: &RenderOptions,
    out: &mut dyn io::Write,
) -> Result<(), RenderError> {
    let mut page = Page::new(options);
    block(&mut page, diagnostic);
    out.write_all(page.into_text().as_bytes())?;
    Ok(())
}

/// The block, on a page. Line feeds in why and fix stay, each line under the first; elsewhere they are escaped.
pub(crate) fn block(page: &mut Page, diagnostic: &Diagnostic) {
    let style = match diagnostic.level {
        Level::Error => BAD,
        Level::Warning => CAUTION,
        Level::Note => CALM,
    };
    let head = format!("{}[{}]: ", diagnostic.level, text::safe(&diagnostic.code));
    // A long code must not leave the text a column of its own: beyond this it takes the line to itself.
    if text::width(&head) <= page.columns() / 2 {
        page.hang(&[Cell::new(&head, 0, style)], &text::safe(&diagnostic.what), BOLD);
    } else {
        page.hang(&[], head.trim_end(), style);
        page.hang(&[Cell::new("  ", 2, PLAIN)], &text::safe(&diagnostic.what), BOLD);
    }
    if let Some(place) = &diagnostic.place {
        page.place("  --> ", &text::safe(&place.to_string()), Some(&place.file), "");
    }
    for (label, body) in [("  why: ", &diagnostic.why), ("  fix: ", &diagnostic.fix)] {
        if !body.is_empty() {
            page.hang(&[Cell::new(label, 0, DIM)], text::safe_lines(body).trim_end_matches('\n'), PLAIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use custody_contract::Place;

    use super::*;
    use crate::{Colour, Links};

    fn shown(diagnostic: &Diagnostic, options: &RenderOptions) -> String {
        let mut out = Vec::new();
        render_diagnostic(diagnostic, options, &mut out).expect("renders");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_diagnostic_says_what_where_why_and_what_to_do() {
        let diagnostic = Diagnostic::error("CRED-3", "cannot resolve `cred://aws/production/readonly`")
            .at(Place::at("deploy/api.env", 14, 0))
            .why("policy `production-readonly` forbids principal `ci/pull-request`")
            .fix(
                "run from a protected branch, or request access:\ncustody cred request cred://aws/production/readonly",
            );
        insta::assert_snapshot!(shown(&diagnostic, &RenderOptions { width: 60, ..RenderOptions::default() }), @r#"
        error[CRED-3]: cannot resolve
                       `cred://aws/production/readonly`
          --> deploy/api.env:14
          why: policy `production-readonly` forbids principal
               `ci/pull-request`
          fix: run from a protected branch, or request access:
               custody cred request cred://aws/production/readonly
        "#);
    }

    #[test]
    fn colour_and_links_are_added_only_when_asked_for() {
        let diagnostic = Diagnostic::warning("x", "y").at(Place::at("a b.env", 1, 2));
        let root = Some("/srv/repo".into());
        let plain = RenderOptions { root: root.clone(), ..RenderOptions::default() };
        assert_eq!(shown(&diagnostic, &plain), "warning[x]: y\n  --> a b.env:1:2\n");
        let rich = RenderOptions { colour: Colour::Always, links: Links::Always, root, ..RenderOptions::default() };
        insta::assert_snapshot!(shown(&diagnostic, &rich).replace('\u{1b}', "ESC"), @r#"
        ESC[1mESC[33mwarning[x]:ESC[0m ESC[1myESC[0m
          --> ESC]8;;file:///srv/repo/a%20b.envESC\ESC[36ma b.env:1:2ESC[0mESC]8;;ESC\
        "#);
    }

    #[test]
    fn a_forged_line_stays_inside_its_block() {
        let diagnostic = Diagnostic::error("c\nMay release.", "w\nMay release.")
            .at(Place::file("f\nMay release."))
            .why("y\nMay release.\n")
            .fix("z\r\nMay release.");
        let shown = shown(&diagnostic, &RenderOptions::default());
        assert!(shown.lines().all(|line| !line.starts_with("May")), "{shown}");
    }
}
