//! PostgreSQL: the role's attributes, memberships, grants and what it owns, as statements that the role itself reads from
//! the catalogs. Asked by `psql`, PostgreSQL's own client: the password goes to it in its environment.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use zeroize::Zeroizing;

use super::Document;
use crate::backend::{ErrorKind, Fault};
use crate::program::{Program, ProgramError};

/// The query whose answer, one statement a row, is judged: for `custody cred prove --print-query postgres`.
pub const GRANTS_QUERY: &str = include_str!("grants.sql");

const LIMIT: Duration = Duration::from_secs(30);

/// What `psql` takes from its environment, by the names in connection strings.
const PARAMETERS: [(&str, &str); 12] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("hostaddr", "PGHOSTADDR"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

pub(super) fn collect(secret: &str) -> Result<Vec<Document>, Fault> {
    let parameters = parameters(secret)?;
    let mut program = Program::new("psql").args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
    for (_, variable) in PARAMETERS {
        let value = parameters.iter().find(|(known, _)| *known == variable);
        program = match value {
            Some((_, value)) => program.env(variable, value.as_str()),
            None => program,
        };
    }
    program = program.env("PGCONNECT_TIMEOUT", "10").env("PGOPTIONS", "-c default_transaction_read_only=on");
    let ran = program.run(GRANTS_QUERY.as_bytes(), LIMIT).map_err(|error| match error {
        ProgramError::Missing(_) => Fault::new(
            ErrorKind::Unsupported,
            "PostgreSQL is asked by psql, which is not installed",
            "install it, or run the query where it is: custody cred prove --print-query postgres",
        ),
        error => Fault::new(ErrorKind::Unreachable, error.to_string(), "check the server that the credential names"),
    })?;
    if !ran.status.success() {
        // It may quote the server, and never the password.
        let said = parameters.iter().filter(|(name, _)| *name == "PGPASSWORD").fold(ran.talk, |said, (_, password)| {
            if password.is_empty() { said } else { said.replace(password.as_str(), "…") }
        });
        let said = super::super::shown(&said);
        return Err(Fault::new(
            ErrorKind::Unreachable,
            format!("psql says: {said}"),
            "check the credential and its server",
        ));
    }
    Ok(vec![Document::grant("postgres:grants", ran.output.expose().to_vec())])
}

type Parameters = Vec<(&'static str, Zeroizing<String>)>;

/// The parameters of a connection URL, of `key=value` text, or of a JSON object.
fn parameters(secret: &str) -> Result<Parameters, Fault> {
    let pairs = if secret.starts_with('{') {
        of_json(secret)
    } else if let Some(rest) = ["postgresql://", "postgres://"].iter().find_map(|scheme| secret.strip_prefix(scheme)) {
        of_url(rest)
    } else {
        of_words(secret)
    };
    let mut known: Parameters = Vec::new();
    for (name, value) in pairs.unwrap_or_default() {
        let name = match name.to_ascii_lowercase().as_str() {
            "username" => "user".to_owned(),
            "database" | "db" => "dbname".to_owned(),
            name => name.to_owned(),
        };
        if let Some((_, variable)) = PARAMETERS.iter().find(|(own, _)| *own == name) {
            known.push((variable, value));
        }
    }
    let has = |variable: &str| known.iter().any(|(name, value)| *name == variable && !value.is_empty());
    if has("PGHOST") && has("PGUSER") {
        return Ok(known);
    }
    Err(Fault::configuration(
        "the credential does not say where to connect, and as whom",
        "store it as postgresql://user:password@host:port/database, or prove by statements: custody cred prove --print-query postgres",
    ))
}

type Pairs = Option<Vec<(String, Zeroizing<String>)>>;

fn of_json(text: &str) -> Pairs {
    let value: Value = serde_json::from_str(text).ok()?;
    let pair = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Some((name.clone(), Zeroizing::new(value)))
    };
    let object = value.as_object()?;
    if let Some(Value::String(url)) = ["url", "dsn", "uri"].iter().find_map(|key| object.get(*key)) {
        return of_url(url.split_once("://")?.1);
    }
    Some(object.iter().filter_map(pair).collect())
}

fn of_url(rest: &str) -> Pairs {
    let decoded = |text: &str| Some(Zeroizing::new(percent_decode_str(text).decode_utf8().ok()?.into_owned()));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for place in place.split(',') {
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
            None => place.rsplit_once(':').unwrap_or((place, "")),
        };
        hosts.push(host);
        ports.push(if port.is_empty() { "5432" } else { port });
    }
    let mut pairs =
        vec![("host".to_owned(), decoded(&hosts.join(","))?), ("port".to_owned(), decoded(&ports.join(","))?)];
    for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
        if !value.is_empty() {
            pairs.push((name.to_owned(), decoded(value)?));
        }
    }
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value)?;
        pairs.retain(|(known, _)| known != name);
        pairs.push((name.to_owned(), value));
    }
    Some(pairs)
}

/// `host=… user=… password='it''s'` as libpq reads it: quotes, and backslashes before a character.
fn of_words(text: &str) -> Pairs {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (name, after) = (name.trim(), after.trim_start());
        let (quoted, mut chars) = match after.strip_prefix('\'') {
            Some(inner) => (true, inner.chars()),
            None => (false, after.chars()),
        };
        let mut value = Zeroizing::new(String::with_capacity(after.len()));
        loop {
            match chars.next() {
                Some('\\') => value.extend(chars.next()),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return None,
                None => break,
            }
        }
        pairs.push((name.to_owned(), value));
        rest = chars.as_str().trim_start();
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(secret: &str) -> Vec<String> {
        let mut all: Vec<String> = parameters(secret)
            .map(|all| {
                all.into_iter().map(|(name, value)| format!("{}={}", name.trim_start_matches("PG"), *value)).collect()
            })
            .unwrap_or_default();
        all.sort();
        all
    }

    #[test]
    fn connection_strings_in_their_three_forms() {
        let whole = ["DATABASE=costs", "HOST=db.test", "PASSWORD=p@:/ w", "PORT=6432", "USER=reader"];
        let encoded = ["p%40", "%3A%2F", "%20w"].concat();
        assert_eq!(read(&format!("postgresql://reader:{encoded}@db.test:6432/costs")), whole);
        assert_eq!(read("host=db.test  port = 6432 user=reader dbname=costs password='p@:/ w'"), whole);
        assert_eq!(
            read(
                r#"{"host":"db.test","port":6432,"username":"reader","password":"p@:/ w","dbname":"costs","engine":"pg"}"#
            ),
            whole
        );
        assert_eq!(
            read("postgres://reader@[::1]/costs?sslmode=verify-full&sslrootcert=%2Fca.pem"),
            ["DATABASE=costs", "HOST=::1", "PORT=5432", "SSLMODE=verify-full", "SSLROOTCERT=/ca.pem", "USER=reader"]
        );
        assert_eq!(read("postgres://r@a,b:1/x").iter().filter(|p| p.contains(',')).count(), 2);
        for nothing in ["", "justapassword", "user=x", "host='x user=y", "postgres://", "{", r#"{"url":"x"}"#, "=", "'"]
        {
            assert_eq!(read(nothing), Vec::<String>::new(), "{nothing}");
        }
    }
}
