//! The live proof: credentials that ask their own provider what they are granted. OpenBao, PostgreSQL and AWS (moto) are
//! real servers; GitHub and GitLab are stubs from their documentation.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use custody_credential::SecretValue;
use custody_credential::backend::{ErrorKind, Fault, Variables};
use custody_credential::prove::live::{Document, GRANTS_QUERY, collect};
use custody_credential::prove::{Access, Exposure, Input, Language, ProveOptions, Role, Verdict, prove};
use custody_testkit::servers::{self, Moto, Postgres, Reply, Stub};
use serde_json::json;

fn secret(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec())
}

fn judged(language: Language, documents: &[Document]) -> Verdict {
    let inputs: Vec<Input<'_>> = documents.iter().map(Document::as_input).collect();
    prove(&inputs, &ProveOptions { language: Some(language), ..ProveOptions::default() }).unwrap()
}

fn ask(language: Language, text: &str, variables: &Variables) -> Result<Verdict, Fault> {
    collect(language, &secret(text), variables).map(|documents| judged(language, &documents))
}

#[test]
fn a_token_of_openbao_is_proven_by_all_its_policies() {
    let server = servers::OpenBao::start();
    let policy = |name: &str, text: &str| {
        server.api("PUT", &format!("sys/policies/acl/{name}"), json!({ "policy": text }));
    };
    let own = "path \"sys/policies/acl/*\" { capabilities = [\"read\"] }\n";
    policy("reads", &format!("{own}path \"secret/data/finops/*\" {{ capabilities = [\"read\", \"list\"] }}"));
    policy("writes-by-plus", "path \"secret/data/+/x\" { capabilities = [\"update\"] }");
    policy("blind", "path \"secret/data/finops/a\" { capabilities = [\"read\"] }");
    policy("exact-beats-glob", "path \"secret/data/finops/a\" { capabilities = [\"update\"] }");
    policy("makes", "path \"database/creds/reporting\" { capabilities = [\"read\"] }");
    let address = server.address();
    let asked = |policies: &[&str], more: Option<&str>| {
        let token = server.token(policies, "1h");
        let mut variables = vec![("BAO_ADDR", address.as_str())];
        variables.extend(more.map(|token| ("BAO_TOKEN", token)));
        ask(Language::OpenBao, &format!("{token}\n"), &Variables::of(variables))
    };
    let proven = asked(&["reads"], None).unwrap();
    assert_eq!(
        (proven.access, proven.exposure),
        (Access::ReadOnlyWithNamedExceptions, Exposure::ReadsCredentials),
        "{proven:#?}"
    );
    // resultant-acl leaves this path out; the policy does not.
    let plus = asked(&["reads", "writes-by-plus"], None).unwrap();
    assert_eq!(plus.access, Access::NotReadOnly);
    assert!(plus.offences.iter().any(|o| o.at.place.file == "openbao:policy/writes-by-plus"), "{plus:#?}");
    // An exact path beats the glob that only reads, in the policy and in what the server says.
    let exact = asked(&["reads", "exact-beats-glob"], None).unwrap();
    let files: Vec<&str> = exact.offences.iter().map(|o| o.at.place.file.as_str()).collect();
    assert_eq!((exact.access, files.is_empty()), (Access::NotReadOnly, false), "{files:?}");
    assert_eq!(asked(&["reads", "makes"], None).unwrap().access, Access::NotProven);
    // A token that may not read its policies proves nothing, unless another token reads them.
    let blind = asked(&["blind"], None).unwrap_err();
    assert_eq!(blind.kind, ErrorKind::Denied, "{blind:?}");
    assert!(blind.why.contains("may not read its own policy"), "{blind:?}");
    let helped = asked(&["blind"], Some(server.root_token())).unwrap();
    assert_eq!(helped.access, Access::ReadOnlyWithNamedExceptions);
    let variables = Variables::of([("BAO_ADDR", address.as_str())]);
    assert_eq!(ask(Language::OpenBao, server.root_token(), &variables).unwrap().access, Access::NotReadOnly);
    assert_eq!(ask(Language::OpenBao, "s.unknown", &variables).unwrap_err().kind, ErrorKind::Unauthenticated);
}

#[test]
fn a_role_of_postgresql_is_proven_by_what_it_reads_of_itself() {
    let server = Postgres::start();
    let password = ["p@ss", "w:rd/%"].concat();
    for statement in [
        "CREATE SCHEMA costs",
        "CREATE TABLE costs.daily (day date, amount numeric, note text)",
        "CREATE SEQUENCE costs.numbers",
        "CREATE ROLE writers NOLOGIN",
        "GRANT INSERT ON costs.daily TO writers",
        "REVOKE ALL ON DATABASE postgres FROM PUBLIC",
    ] {
        server.admin(statement);
    }
    let role = |name: &str, statements: &[&str]| {
        server.admin(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        server.admin(&format!("GRANT CONNECT ON DATABASE postgres TO {name}"));
        server.admin(&format!("GRANT USAGE ON SCHEMA costs TO {name}"));
        for statement in statements {
            server.admin(&statement.replace("@@", name));
        }
        let encoded = password.replace('%', "%25").replace('@', "%40").replace(':', "%3A").replace('/', "%2F");
        let url = format!("postgresql://{name}:{encoded}@127.0.0.1:{}/postgres", server.port());
        ask(Language::Postgres, &url, &Variables::none()).unwrap()
    };
    let reader = role("reader", &["GRANT SELECT ON costs.daily TO @@"]);
    assert_eq!((reader.access, reader.exposure), (Access::ProvedReadOnly, Exposure::ReadsBusinessData), "{reader:#?}");
    let writes = |name: &str, statements: &[&str]| {
        let verdict = role(name, statements);
        assert!(verdict.access >= Access::NotProven, "{name}: {verdict:#?}");
    };
    writes("inserter", &["GRANT INSERT ON costs.daily TO @@"]);
    writes("column_writer", &["GRANT UPDATE (note) ON costs.daily TO @@"]);
    writes("member", &["GRANT writers TO @@"]);
    writes("second_hand", &["CREATE ROLE middle", "GRANT writers TO middle", "GRANT middle TO @@"]);
    writes("owner", &["CREATE TABLE costs.own (a int)", "ALTER TABLE costs.own OWNER TO @@"]);
    writes("creator", &["ALTER ROLE @@ CREATEDB"]);
    writes("server_files", &["GRANT pg_write_server_files TO @@"]);
    writes("counter", &["GRANT USAGE ON SEQUENCE costs.numbers TO @@"]);
    writes("table_maker", &["GRANT CREATE ON SCHEMA costs TO @@"]);
    writes("passer_on", &["GRANT SELECT ON costs.daily TO @@ WITH GRANT OPTION"]);
    // The same query by hand gives the same.
    let by_hand = server.query("reader", &password, GRANTS_QUERY).unwrap();
    assert_eq!(
        prove(&[Input::grant("grants.sql", by_hand.as_bytes())], &ProveOptions::default()).unwrap().access,
        Access::ProvedReadOnly
    );
    writes("of_public", &["GRANT DELETE ON costs.daily TO PUBLIC"]);
    let definer =
        "CREATE FUNCTION costs.wipe() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'DELETE FROM costs.daily'";
    server.admin("REVOKE DELETE ON costs.daily FROM PUBLIC");
    writes("caller", &[definer]);
    let wrong = format!(
        "host=127.0.0.1 port={} user=reader dbname=postgres password={}",
        server.port(),
        ["wr", "ong"].concat()
    );
    let refused = ask(Language::Postgres, &wrong, &Variables::none()).unwrap_err();
    assert!(!format!("{refused:?}").contains("wrong"), "{refused:?}");
}

#[test]
fn keys_of_aws_are_proven_by_all_policies_of_their_user_or_role() {
    let server = Moto::start();
    let keys = |xml: &str| {
        let text = |name: &str| xml.split(&format!("<{name}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
        let session = if xml.contains("<SessionToken>") { text("SessionToken") } else { String::new() };
        let (id, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
        json!({ "access_key_id": id, "secret_access_key": secret, "session_token": session }).to_string()
    };
    let iam = |form: &str| server.query("iam", &format!("{form}&Version=2010-05-08"));
    let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
    let allow = |actions: &str| {
        encode(&format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":{actions},"Resource":"*"}}]}}"#
        ))
    };
    let itself = r#"["iam:Get*","iam:List*","ce:Get*"]"#;
    let user = |name: &str| {
        iam(&format!("Action=CreateUser&UserName={name}"));
        iam(&format!("Action=PutUserPolicy&UserName={name}&PolicyName=self&PolicyDocument={}", allow(itself)));
        keys(&iam(&format!("Action=CreateAccessKey&UserName={name}")))
    };
    let (reader, writer, grouped) = (user("reader"), user("writer"), user("grouped"));
    let made = iam(&format!("Action=CreatePolicy&PolicyName=puts&PolicyDocument={}", allow(r#""s3:PutObject""#)));
    let arn = made.split("<Arn>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    iam(&format!("Action=AttachUserPolicy&UserName=writer&PolicyArn={arn}"));
    iam("Action=CreateGroup&GroupName=team");
    iam(&format!(
        "Action=PutGroupPolicy&GroupName=team&PolicyName=tags&PolicyDocument={}",
        allow(r#""ec2:CreateTags""#)
    ));
    iam("Action=AddUserToGroup&GroupName=team&UserName=grouped");
    let limit = iam(&format!("Action=CreatePolicy&PolicyName=limit&PolicyDocument={}", allow(itself)));
    let limit = limit.split("<Arn>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let trust = encode(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#,
    );
    iam(&format!("Action=CreateRole&RoleName=bounded&AssumeRolePolicyDocument={trust}&PermissionsBoundary={limit}"));
    iam(&format!("Action=AttachRolePolicy&RoleName=bounded&PolicyArn={arn}"));
    iam(&format!("Action=PutRolePolicy&RoleName=bounded&PolicyName=self&PolicyDocument={}", allow(itself)));
    let form =
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::123456789012:role/bounded&RoleSessionName=test";
    let session = server.query("sts", form);
    let bounded = keys(&session);
    iam("Action=CreateUser&UserName=blind");
    let blind = keys(&iam("Action=CreateAccessKey&UserName=blind"));
    server.check_signatures(0);
    let address = server.address();
    let variables = Variables::of([("AWS_ENDPOINT_URL", address.as_str()), ("AWS_REGION", "eu-central-1")]);
    let asked = |keys: &str| ask(Language::Aws, keys, &variables);
    let proven = asked(&reader).unwrap();
    assert_eq!(proven.access, Access::ProvedReadOnly, "{proven:#?}");
    let documents = collect(Language::Aws, &secret(&writer), &variables).unwrap();
    assert!(documents.iter().all(|d| !d.name.contains("123456789012")), "no account is named");
    assert_eq!(judged(Language::Aws, &documents).access, Access::NotReadOnly);
    assert_eq!(asked(&grouped).unwrap().access, Access::NotReadOnly);
    let documents = collect(Language::Aws, &secret(&bounded), &variables).unwrap();
    assert!(documents.iter().any(|d| d.role == Role::Boundary));
    assert_eq!(judged(Language::Aws, &documents).access, Access::ProvedReadOnly);
    let untold = asked(&blind).unwrap_err();
    assert_eq!(untold.kind, ErrorKind::Denied, "{untold:?}");
    assert!(untold.fix.contains("--for"), "{untold:?}");
    assert_eq!(asked("just-one-value").unwrap_err().kind, ErrorKind::Configuration);
}

#[test]
fn scopes_of_github_and_gitlab_tokens_by_stubs() {
    let token = ["gh", "p_", "x0"].concat();
    let own = token.clone();
    let github = Stub::start(move |request| {
        let asked = request.header("authorization").unwrap_or_default().to_owned();
        match asked.strip_prefix(&format!("Bearer {own}")) {
            Some("read") => Reply::json(200, &json!({})).with("X-OAuth-Scopes", "read:org, read:user"),
            Some("write") => Reply::json(200, &json!({})).with("X-OAuth-Scopes", "repo, read:org"),
            Some("none") => Reply::json(200, &json!({})).with("X-OAuth-Scopes", ""),
            Some("fine") => Reply::json(200, &json!({ "login": "x" })),
            _ => Reply::json(401, &json!({ "message": "Bad credentials" })),
        }
    });
    let address = github.address();
    let variables = Variables::of([("GITHUB_API_URL", address.as_str())]);
    let asked = |suffix: &str| ask(Language::GitHub, &format!("{token}{suffix}"), &variables);
    assert_eq!(asked("read").unwrap().access, Access::ProvedReadOnly);
    assert_eq!(asked("write").unwrap().access, Access::NotReadOnly);
    assert_eq!(asked("fine").unwrap_err().kind, ErrorKind::Unsupported);
    assert_eq!(asked("other").unwrap_err().kind, ErrorKind::Unauthenticated);
    let gitlab = Stub::start(|request| match request.header("private-token") {
        Some("read") => {
            Reply::json(200, &json!({ "id": 7, "name": "finops", "scopes": ["read_user", "read_repository"] }))
        }
        Some("write") => Reply::json(200, &json!({ "scopes": ["api"] })),
        Some("odd") => Reply::json(200, &json!({ "scopes": null })),
        _ => Reply::json(401, &json!({ "message": "401 Unauthorized" })),
    });
    let address = format!("{}/api/v4", gitlab.address());
    let variables = Variables::of([("CI_API_V4_URL", address.as_str())]);
    assert_eq!(ask(Language::GitLab, "read", &variables).unwrap().access, Access::ProvedReadOnly);
    assert_eq!(ask(Language::GitLab, "write", &variables).unwrap().access, Access::NotReadOnly);
    assert_eq!(ask(Language::GitLab, "odd", &variables).unwrap_err().kind, ErrorKind::Malformed);
    assert_eq!(ask(Language::GitLab, "bad", &variables).unwrap_err().kind, ErrorKind::Unauthenticated);
    assert_eq!(gitlab.received()[0].path, "/api/v4/personal_access_tokens/self");
}
