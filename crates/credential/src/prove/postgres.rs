//! PostgreSQL: GRANT, ROLE and OWNER statements as `pg_dumpall` writes them, ACL strings as `\dp` shows them, rows of
//! `information_schema.role_table_grants` as JSON.
//!
//! All statements of the documents count as one role's: give those of one role. A REVOKE takes nothing away here. Without a
//! CREATE ROLE or ALTER ROLE it is not known whether the role is a superuser, and nothing is proven.

use super::document::Node;
use super::source::{Source, objects};
use super::verdict::{Exposure, GrantPlace, Language, Minimal, OffenceKind, Verdict};
use super::{Input, ProveError, shown};

/// Predefined roles that only read.
const READING_ROLES: &[&str] = &[
    "pg_read_all_data",
    "pg_monitor",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_stat_scan_tables",
    "pg_use_reserved_connections",
];
/// Catalogs that hold password hashes or passwords.
const PASSWORDS: &[&str] = &["pg_authid", "pg_shadow", "pg_user_mapping", "pg_subscription"];

pub(super) fn prove(inputs: &[Input<'_>]) -> Result<Verdict, ProveError> {
    let mut verdict = Verdict::new(Language::Postgres);
    let (mut has_attributes, mut first) = (false, None);
    for input in inputs {
        let source = Source::of(input)?;
        first.get_or_insert_with(|| source.line(1, "the documents"));
        let found = if source.is_json() {
            rows(&source, &mut verdict)?
        } else {
            sql(&source, &mut verdict, &mut has_attributes)?
        };
        if !found {
            return Err(source.fault(
                0,
                "no grant of PostgreSQL is in it",
                "give GRANT and CREATE ROLE statements (pg_dumpall --schema-only)",
            ));
        }
    }
    if let Some(at) = first.filter(|_| !has_attributes) {
        let why =
            "the role's attributes (SUPERUSER and others) are not in the documents; add its CREATE ROLE statement";
        verdict.offend(OffenceKind::Unknown, vec!["attributes of the role".to_owned()], &at, why);
    }
    verdict.note("Every database grants TEMPORARY to PUBLIC unless it was revoked; functions that are SECURITY DEFINER run with their owner's permissions and are executable by PUBLIC unless that was revoked.");
    if !verdict.is_proven(Exposure::BillingScoped) {
        verdict.minimal = Some(Minimal {
            about: "Replace READER, SCHEMA and TABLE.".into(),
            text: "CREATE ROLE READER NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN;\nALTER ROLE READER SET default_transaction_read_only = on;\nGRANT USAGE ON SCHEMA SCHEMA TO READER;\nGRANT SELECT ON TABLE SCHEMA.TABLE TO READER;\n".into(),
        });
    }
    Ok(verdict)
}

fn rows(source: &Source<'_>, verdict: &mut Verdict) -> Result<bool, ProveError> {
    let (root, mut found) = (source.json()?, false);
    objects(&root, "", &mut |node, pointer| {
        if let Some(privilege) = node.get_any_case("privilege_type").and_then(Node::text) {
            found = true;
            let table = node.get_any_case("table_name").and_then(Node::text).unwrap_or_default();
            let at = source.at(node.start, pointer, "role_table_grants");
            privilege_on(privilege, table, &at, verdict);
            if node.get_any_case("is_grantable").and_then(Node::text) == Some("YES") {
                verdict.offend(OffenceKind::ManagesPermissions, vec![shown(table)], &at, "the grant may be passed on");
            }
        }
    });
    Ok(found)
}

fn sql(source: &Source<'_>, verdict: &mut Verdict, has_attributes: &mut bool) -> Result<bool, ProveError> {
    let mut found = false;
    for (offset, statement) in statements(source)? {
        let at = |what: &str| source.at(offset, "", what);
        let words: Vec<&str> = statement.iter().map(String::as_str).collect();
        let upper: Vec<String> = words.iter().map(|w| w.to_ascii_uppercase()).collect();
        let start: Vec<&str> = upper.iter().map(String::as_str).take(3).collect();
        match start.as_slice() {
            ["CREATE" | "ALTER", "ROLE" | "USER", ..] => {
                found = true;
                *has_attributes |= start[0] == "CREATE" || upper.iter().any(|w| w.ends_with("SUPERUSER"));
                attributes(&upper, &at("role"), verdict);
            }
            ["GRANT", ..] => {
                found = true;
                grant(&words, &upper, &at("GRANT"), verdict);
            }
            ["ALTER", "DEFAULT", "PRIVILEGES"] => {
                found = true;
                if let Some(from) = upper.iter().position(|w| w == "GRANT") {
                    grant(&words[from..], &upper[from..], &at("default privileges"), verdict);
                }
            }
            ["ALTER", ..] if upper.windows(2).any(|w| w == ["OWNER", "TO"]) => {
                found = true;
                verdict.offend(
                    OffenceKind::Writes,
                    vec![shown(&words.join(" "))],
                    &at("OWNER TO"),
                    "an owner may do everything with what it owns",
                );
            }
            ["CREATE", ..] if upper.windows(2).any(|w| w == ["SECURITY", "DEFINER"]) => {
                let why = "a SECURITY DEFINER function does what its owner may";
                verdict.offend(
                    OffenceKind::Delegates,
                    vec![shown(words.get(2).copied().unwrap_or("function"))],
                    &at("function"),
                    why,
                );
            }
            _ => found |= acl(&words, &at("ACL"), verdict),
        }
    }
    Ok(found)
}

fn attributes(upper: &[String], at: &GrantPlace, verdict: &mut Verdict) {
    for word in upper {
        let name = || vec![word.clone()];
        match word.as_str() {
            "SUPERUSER" => verdict.offend(OffenceKind::Writes, name(), at, "a superuser may do everything"),
            "CREATEROLE" | "CREATEUSER" => {
                verdict.offend(OffenceKind::ManagesPermissions, name(), at, "it may make roles")
            }
            "CREATEDB" => verdict.offend(OffenceKind::Writes, name(), at, "it may make databases"),
            "REPLICATION" => {
                verdict.offend(
                    OffenceKind::Acts,
                    name(),
                    at,
                    "it may stream the whole cluster and make replication slots",
                );
                verdict.reads(Exposure::ReadsCredentials, name(), at, "the stream holds password hashes");
            }
            "BYPASSRLS" => verdict.reads(Exposure::ReadsBusinessData, name(), at, "it reads rows that policies hide"),
            "ROLE" if upper.iter().any(|w| w == "IN") => {
                let role =
                    upper.iter().skip_while(|w| *w != "IN").nth(2).map(|r| r.to_ascii_lowercase()).unwrap_or_default();
                membership(&role, at, verdict);
            }
            _ => {}
        }
    }
}

fn membership(role: &str, at: &GrantPlace, verdict: &mut Verdict) {
    verdict.allowed += 1;
    let name = vec![format!("member of {}", shown(role))];
    if READING_ROLES.contains(&role) {
        verdict.reads(Exposure::ReadsBusinessData, name, at, "it reads all data, or what others do");
    } else if role.starts_with("pg_") {
        if role == "pg_read_server_files" {
            verdict.reads(Exposure::ReadsCredentials, name.clone(), at, "it reads any file that the server can");
        }
        verdict.offend(OffenceKind::Writes, name, at, "a predefined role that does more than reading");
    } else {
        verdict.offend(
            OffenceKind::Delegates,
            name,
            at,
            "it has what the other role may; give that role's statements as this one's",
        );
    }
}

fn grant(words: &[&str], upper: &[String], at: &GrantPlace, verdict: &mut Verdict) {
    let Some(to) = upper.iter().position(|w| w == "TO") else {
        verdict.offend(OffenceKind::Unknown, vec![shown(&words.join(" "))], at, "the statement is not understood");
        return;
    };
    let option = |w: &[String]| w == ["GRANT", "OPTION"] || w == ["ADMIN", "OPTION"] || w == ["ADMIN", "TRUE"];
    if upper[to..].windows(2).any(option) {
        verdict.offend(
            OffenceKind::ManagesPermissions,
            vec![shown(&words.join(" "))],
            at,
            "the grant may be passed on",
        );
    }
    match upper[..to].iter().position(|w| w == "ON") {
        None => words[1..to].iter().filter(|w| **w != ",").for_each(|role| membership(role, at, verdict)),
        Some(on) => {
            let object = upper[on + 1..to].join(" ");
            let mut depth = 0;
            for privilege in &upper[1..on] {
                match privilege.as_str() {
                    "(" => depth += 1,
                    ")" => depth -= 1,
                    "," | "PRIVILEGES" => {}
                    privilege if depth == 0 => privilege_on(privilege, &object, at, verdict),
                    _ => {}
                }
            }
        }
    }
}

fn privilege_on(privilege: &str, object: &str, at: &GrantPlace, verdict: &mut Verdict) {
    verdict.allowed += 1;
    let object = object.to_ascii_lowercase();
    let name = vec![format!("{} on {}", shown(privilege), shown(&object))];
    let of = |kind: &str| object.starts_with(kind);
    match privilege.to_ascii_uppercase().as_str() {
        "SELECT" if PASSWORDS.iter().any(|p| object.ends_with(p)) => {
            verdict.reads(Exposure::ReadsCredentials, name, at, "the catalog holds passwords or their hashes");
        }
        "SELECT" => verdict.reads(
            Exposure::ReadsBusinessData,
            name,
            at,
            "it reads rows; whether they are costs cannot be seen here",
        ),
        "CONNECT" => {}
        "USAGE" if of("schema") || of("language") || of("type") || of("domain") => {}
        "USAGE" if of("foreign server") || of("foreign data") => {
            verdict.offend(
                OffenceKind::Delegates,
                name,
                at,
                "it reaches another server with that server's permissions",
            );
        }
        "USAGE" if of("sequence") || of("all sequences") => {
            verdict.offend(OffenceKind::Writes, name, at, "nextval changes a sequence")
        }
        "TEMPORARY" | "TEMP" => {
            verdict.except(name[0].clone(), at, "temporary tables are the session's own and end with it")
        }
        "EXECUTE" => verdict.offend(OffenceKind::Unknown, name, at, "what a function does is not known here"),
        "REFERENCES" | "TRIGGER" | "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" | "CREATE" | "ALL" | "MAINTAIN"
        | "SET" | "ALTER" => {
            verdict.offend(OffenceKind::Writes, name, at, "the privilege writes");
        }
        _ => verdict.offend(OffenceKind::Unknown, name, at, "the privilege is not known"),
    }
}

/// ACL items such as `reader=r/owner`, wherever they stand in a line of `\dp`.
fn acl(words: &[&str], at: &GrantPlace, verdict: &mut Verdict) -> bool {
    let mut found = false;
    let joined = words.join(" ");
    for item in joined.split([' ', ',', '{', '}', '|', '+']).filter(|i| !i.is_empty()) {
        let Some((_, rest)) = item.split_once('=') else { continue };
        let Some((letters, _)) = rest.split_once('/') else { continue };
        if !letters.bytes().all(|b| b.is_ascii_alphabetic() || b == b'*') {
            continue;
        }
        found = true;
        for letter in letters.chars() {
            let privilege = match letter {
                'r' => "SELECT",
                'a' => "INSERT",
                'w' => "UPDATE",
                'd' => "DELETE",
                'D' => "TRUNCATE",
                'x' => "REFERENCES",
                't' => "TRIGGER",
                'X' => "EXECUTE",
                'C' => "CREATE",
                'c' => "CONNECT",
                'T' => "TEMPORARY",
                'm' => "MAINTAIN",
                '*' => {
                    verdict.offend(
                        OffenceKind::ManagesPermissions,
                        vec![shown(item)],
                        at,
                        "the grant may be passed on",
                    );
                    continue;
                }
                // Of a schema or of a sequence: the letter does not say.
                _ => "USAGE",
            };
            privilege_on(privilege, "", at, verdict);
        }
    }
    found
}

/// Statements as words, with their offsets. Quotes, comments and dollar quotes are understood.
fn statements(source: &Source<'_>) -> Result<Vec<(usize, Vec<String>)>, ProveError> {
    let text = source.text;
    let (mut out, mut words, mut start, mut at) = (Vec::new(), Vec::new(), 0, 0);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if words.is_empty() {
            start = at;
        }
        if first == ';' || (first == '\n' && !words.is_empty() && is_line(&words)) {
            if !words.is_empty() {
                out.push((start, std::mem::take(&mut words)));
            }
            at += 1;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += rest.find("*/").ok_or_else(|| source.fault(at, "a comment does not end", "close it"))? + 2;
        } else if first == '"' || first == '\'' {
            let end = rest[1..].find(first).ok_or_else(|| source.fault(at, "a quote does not end", "close it"))?;
            words.push(if first == '"' { rest[1..=end].to_owned() } else { "'…'".to_owned() });
            at += end + 2;
        } else if first == '$'
            && let Some(tag) = rest[1..]
                .find('$')
                .map(|n| &rest[..n + 2])
                .filter(|t| t[1..t.len() - 1].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            let end = rest[tag.len()..]
                .find(tag)
                .ok_or_else(|| source.fault(at, "a dollar quote does not end", "close it"))?;
            words.push("$…$".to_owned());
            at += tag.len() * 2 + end;
        } else if first.is_whitespace() {
            at += first.len_utf8();
        } else if ",()".contains(first) {
            words.push(first.to_string());
            at += 1;
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || ",();\"'".contains(c))
                .unwrap_or(rest.len())
                .max(first.len_utf8());
            words.push(rest[..end].to_owned());
            at += end;
        }
    }
    if !words.is_empty() {
        out.push((start, words));
    }
    Ok(out)
}

/// Whether what was read so far is a line of its own and no SQL.
fn is_line(words: &[String]) -> bool {
    let first = words[0].to_ascii_uppercase();
    !["GRANT", "CREATE", "ALTER", "REVOKE", "SET", "SELECT", "COMMENT", "DO"].contains(&first.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn judged(text: &str) -> Verdict {
        let options = ProveOptions { language: Some(Language::Postgres), ..ProveOptions::default() };
        prove(&[Input::grant("g.sql", text.as_bytes())], &options).expect("grants")
    }

    const ROLE: &str = "CREATE ROLE r LOGIN NOSUPERUSER;\n";

    #[test]
    fn statements_are_judged() {
        let access = |rest: &str| judged(&format!("{ROLE}{rest}")).access;
        assert_eq!(
            access("GRANT USAGE ON SCHEMA billing TO r; GRANT SELECT ON TABLE billing.costs TO r;"),
            Access::ProvedReadOnly
        );
        assert_eq!(access("GRANT SELECT (a, update), INSERT ON t TO r;"), Access::NotReadOnly);
        assert_eq!(access("GRANT SELECT ON t TO r WITH GRANT OPTION;"), Access::NotReadOnly);
        assert_eq!(access("GRANT pg_read_all_data TO r;"), Access::ProvedReadOnly);
        assert_eq!(access("GRANT pg_write_all_data TO r;"), Access::NotReadOnly);
        assert_eq!(access("GRANT boss TO r;"), Access::NotProven);
        assert_eq!(access("ALTER TABLE t OWNER TO r;"), Access::NotReadOnly);
        assert_eq!(access("GRANT EXECUTE ON FUNCTION f(int) TO r;"), Access::NotProven);
        assert_eq!(access("ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT DELETE ON TABLES TO r;"), Access::NotReadOnly);
        assert_eq!(judged("CREATE ROLE r SUPERUSER;").access, Access::NotReadOnly);
        assert_eq!(judged("GRANT SELECT ON t TO r;").access, Access::NotProven);
        assert_eq!(judged(" public | costs | table | r=r/owner |\n").access, Access::NotProven);
        assert_eq!(judged(" public | costs | table | r=arw/owner |\n").access, Access::NotReadOnly);
        assert_eq!(judged(r#"[{"privilege_type":"DELETE","table_name":"t"}]"#).access, Access::NotReadOnly);
        assert_eq!(
            judged(&format!("{ROLE}GRANT SELECT ON pg_catalog.pg_authid TO r;")).exposure,
            Exposure::ReadsCredentials
        );
    }
    #[test]
    fn statements_in_no_sensible_order_are_not_proven_and_no_panic() {
        for text in ["GRANT SELECT TO r ON t;", "GRANT TO r ON t;", "GRANT ON TO;", "GRANT TO;", "GRANT;"] {
            let text = format!("CREATE ROLE r;\n{text}\nGRANT INSERT ON t TO r;");
            assert_eq!(judged(&text).access, Access::NotReadOnly, "{text}");
        }
    }
}
