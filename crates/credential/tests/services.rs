//! Services that have no server here, against stubs made from their public API documentation.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ErrorKind::{Configuration, Denied, Malformed, NotFound, RateLimited, Unauthenticated, Unsupported};
use common::{failure, read, request, text, value, versioned};
use custody_credential::backend::bitwarden::{Bitwarden, BitwardenSettings};
use custody_credential::backend::doppler::{Doppler, DopplerSettings};
use custody_credential::backend::infisical::{Infisical, InfisicalSettings};
use custody_credential::backend::kubernetes::{Kubernetes, KubernetesSettings};
use custody_credential::backend::onepassword::{OnePassword, OnePasswordSettings};
use custody_credential::backend::resolver::{Resolver, ResolverSettings};
use custody_credential::backend::{Backend, ErrorKind, Variables, VersionRequest};
use custody_testkit::servers::{Received, Reply, Stub};
use data_encoding::BASE64;
use serde_json::json;

fn is_bearer(request: &Received, token: &str) -> bool {
    request.header("authorization") == Some(&format!("Bearer {token}"))
}

/// A resolver after `docs/resolver-protocol.md`.
fn resolver() -> Stub {
    Stub::start(|request| {
        let problem = |status: u16, code: &str| {
            let body = json!({"type": "about:blank", "title": "refused", "status": status, "code": code, "detail": "said", "retry-after-seconds": 9});
            Reply::text(status, "application/problem+json", body.to_string())
        };
        if !is_bearer(request, "resolver-token") {
            return problem(401, "unauthenticated");
        }
        let body = request.json();
        assert_eq!((request.path.as_str(), body["environment"].as_str()), ("/v1/resolve", Some("prod")));
        let credentials: Vec<_> = body["references"].as_array().unwrap().iter().map(|asked| {
            let reference = asked["reference"].as_str().unwrap();
            match reference {
                "cred://aws/production/readonly" => json!({
                    "reference": reference, "value": format!("{{\"k\":{}}}", asked["version"]), "version": "7",
                    "created": "2026-01-01T00:00:00Z", "lease": {"id": "l", "duration-seconds": 60, "renewable": true},
                }),
                "cred://aws/bytes/readonly" => json!({"reference": reference, "value-base64": BASE64.encode(&[0, 255])}),
                "cred://aws/other/readonly" => json!({"reference": "cred://aws/production/readonly", "value": "wrong"}),
                "cred://aws/neither/readonly" => json!({"reference": reference}),
                "cred://aws/busy/readonly" => json!({"reference": reference, "problem": {"code": "rate-limited", "detail": "slow", "fix": "wait", "retry-after-seconds": 9}}),
                _ => json!({"reference": reference, "problem": {"code": "denied", "detail": "no"}}),
            }
        }).collect();
        Reply::json(200, &json!({ "credentials": credentials }))
    })
}

#[test]
fn another_resolver_by_a_stub_of_its_protocol() {
    let stub = resolver();
    let with = |token: &str| {
        let variables = [
            ("FICECAL_SECRET_RESOLVER_ENDPOINT", stub.address()),
            ("NODE_ENV", "production".into()),
            ("CUSTODY_RESOLVER_TOKEN", token.into()),
        ];
        Resolver::new(ResolverSettings::default(), &Variables::of(variables)).unwrap()
    };
    let backend = with("resolver-token");
    let asked = [
        request("aws/production/readonly#k"),
        request("cred://aws/bytes/readonly"),
        request("aws/none/readonly"),
        request("aws/other/readonly"),
        request("aws/neither/readonly"),
        request("aws/busy/readonly"),
        request("not a reference"),
        versioned("aws/production/readonly#k", VersionRequest::Previous),
    ];
    let answers = backend.read(&asked);
    assert_eq!(stub.received().len(), 1, "one exchange for all");
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(
        kinds,
        [None, None, Some(Denied), Some(Malformed), Some(Malformed), Some(RateLimited), Some(Configuration), None]
    );
    let first = answers[0].as_ref().unwrap();
    assert_eq!(first.value.expose(), b"current");
    assert_eq!(first.metadata.version.as_deref(), Some("7"));
    assert_eq!(first.metadata.lease.as_ref().unwrap().duration, Duration::from_secs(60));
    assert_eq!(answers[1].as_ref().unwrap().value.expose(), [0, 255]);
    assert_eq!(answers[7].as_ref().unwrap().value.expose(), b"previous");
    let busy = answers[5].as_ref().unwrap_err();
    assert_eq!((busy.retry_after, busy.fix.as_str()), (Some(Duration::from_secs(9)), "wait"));
    assert_eq!(failure(&with("wrong-token"), "aws/production/readonly").kind, Unauthenticated);
    assert!(Resolver::new(ResolverSettings::default(), &Variables::none()).is_err());
}

#[test]
fn another_resolver_by_a_stub_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolver.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        // To its end: a socket that is closed with something unread in it takes the answer away too.
        let (mut asked, mut chunk) = (Vec::new(), [0; 4096]);
        while !asked.ends_with(b"}") {
            let count = stream.read(&mut chunk).unwrap();
            asked.extend_from_slice(&chunk[..count]);
        }
        let body = json!({"credentials": [{"reference": "cred://aws/production/readonly", "value": "v"}]}).to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    });
    let settings = ResolverSettings { endpoint: Some(format!("unix://{}", path.display())), ..Default::default() };
    let backend = Resolver::new(settings, &Variables::none()).unwrap();
    assert_eq!(text(&backend, "aws/production/readonly"), "v");
}

#[test]
fn kubernetes_by_a_stub() {
    let stub = Stub::start(|request| {
        let status =
            |code: u16, message: &str| Reply::json(code, &json!({"kind": "Status", "message": message, "code": code}));
        if !is_bearer(request, "pod-token") {
            return status(401, "Unauthorized");
        }
        let meta =
            |name: &str| json!({"name": name, "resourceVersion": "42", "creationTimestamp": "2026-01-01T00:00:00Z"});
        let secret = json!({"kind": "Secret", "metadata": meta("db"), "data": {"user": BASE64.encode(b"ann"), "key": BASE64.encode(&[0, 255])}});
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/api/v1/namespaces/team/secrets/db") => Reply::json(200, &secret),
            ("GET", "/api/v1/namespaces/team/secrets/one") => {
                Reply::json(200, &json!({"metadata": meta("one"), "data": {"any": BASE64.encode(b"only")}}))
            }
            ("GET", "/api/v1/namespaces/team/secrets/empty") => Reply::json(200, &json!({"metadata": meta("empty")})),
            ("GET", "/api/v1/namespaces/other/secrets/db") => status(403, "secrets \"db\" is forbidden"),
            ("GET", path) if path.starts_with("/api/v1/namespaces/team/secrets?limit=500&continue=") => {
                assert!(request.header("accept").unwrap().contains("PartialObjectMetadataList"));
                if path.ends_with("next") {
                    return Reply::json(200, &json!({"metadata": {}, "items": [{"metadata": meta("two")}]}));
                }
                Reply::json(200, &json!({"metadata": {"continue": "next"}, "items": [{"metadata": meta("one")}]}))
            }
            ("PATCH", "/api/v1/namespaces/team/secrets/db?fieldManager=custody") => {
                assert_eq!(request.header("content-type"), Some("application/merge-patch+json"));
                assert_eq!(request.json(), json!({"data": {"user": BASE64.encode(b"bob")}}));
                Reply::json(200, &secret)
            }
            ("POST", "/api/v1/namespaces/team/secrets?fieldManager=custody") => {
                assert_eq!(request.json()["metadata"]["name"], "new");
                Reply::json(201, &json!({"metadata": meta("new")}))
            }
            _ => status(404, "not found"),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "pod-token").unwrap();
    let settings = KubernetesSettings {
        address: Some(stub.address()),
        namespace: Some("team".into()),
        token_file: Some(token.clone()),
        ..Default::default()
    };
    let backend = Kubernetes::new(settings, &Variables::none()).unwrap();
    assert_eq!(text(&backend, "team/db#user"), "ann");
    assert_eq!(read(&backend, request("db#key")).unwrap().value.expose(), [0, 255]);
    assert_eq!(text(&backend, "one"), "only");
    let kinds = ["db#none", "db", "none#k", "other/db#user", "../x#k", "a/b/c#k", "empty#k"]
        .map(|location| failure(&backend, location).kind);
    assert_eq!(kinds, [NotFound, Configuration, NotFound, Denied, Configuration, Configuration, NotFound]);
    assert_eq!(read(&backend, versioned("db#user", VersionRequest::Previous)).unwrap_err().kind, Unsupported);
    assert_eq!(backend.write(&request("db#user"), &value("bob")).unwrap().version.as_deref(), Some("42"));
    backend.write(&request("new#k"), &value("v")).unwrap();
    assert_eq!(backend.list("").unwrap().unwrap(), ["team/one", "team/two"]);
    assert_eq!(backend.list("team/t").unwrap().unwrap(), ["team/two"]);
    std::fs::write(&token, "rotated").unwrap();
    assert_eq!(failure(&backend, "db#user").kind, Unauthenticated, "the token is read again");
    assert!(Kubernetes::new(KubernetesSettings::default(), &Variables::none()).is_err());
}

/// A command that a test writes in place of the real one.
fn command(folder: &Path, script: &str) -> PathBuf {
    let file = folder.join("command");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn one_password_by_a_stub_of_connect_and_of_its_command() {
    let vault = "v".repeat(26);
    let stub = Stub::start(move |request| {
        if !is_bearer(request, "connect-token") {
            return Reply::json(401, &json!({"status": 401, "message": "Invalid token"}));
        }
        let field = |id: &str, label: &str, value: &str| json!({"id": id, "label": label, "value": value});
        match request.path.as_str() {
            "/v1/vaults?filter=name%20eq%20%22Ops%22" => Reply::json(200, &json!([{"id": vault, "name": "Ops"}])),
            "/v1/vaults?filter=name%20eq%20%22Twice%22" => Reply::json(200, &json!([{"id": "a"}, {"id": "b"}])),
            path if path == format!("/v1/vaults/{vault}/items?filter=title%20eq%20%22AWS%22") => {
                Reply::json(200, &json!([{"id": "i".repeat(26)}]))
            }
            path if path == format!("/v1/vaults/{vault}/items/{}", "i".repeat(26)) => {
                let mut nested = field("f2", "key", "deep");
                nested["section"] = json!({"id": "s1"});
                Reply::json(
                    200,
                    &json!({
                        "id": "i", "version": 3, "updatedAt": "2026-01-01T00:00:00Z", "sections": [{"id": "s1", "label": "prod"}],
                        "fields": [field("password", "password", "p\nw"), nested, {"id": "notes", "label": "notes"}],
                    }),
                )
            }
            _ => Reply::json(200, &json!([])),
        }
    });
    let with = |token: &str| {
        let variables = [("OP_CONNECT_HOST", stub.address()), ("OP_CONNECT_TOKEN", token.to_owned())];
        OnePassword::new(OnePasswordSettings::default(), &Variables::of(variables)).unwrap()
    };
    let backend = with("connect-token");
    assert_eq!(text(&backend, "Ops/AWS#password"), "p\nw");
    assert_eq!(text(&backend, "op://Ops/AWS/prod/key"), "deep");
    assert_eq!(read(&backend, request("Ops/AWS#f2")).unwrap().metadata.version.as_deref(), Some("3"));
    let kinds = ["Ops/AWS#none", "Ops/None#x", "None/AWS#x", "Twice/AWS#x", "Ops#x", "Ops/AWS"]
        .map(|location| failure(&backend, location).kind);
    assert_eq!(kinds, [NotFound, NotFound, NotFound, Configuration, Configuration, Configuration]);
    assert_eq!(failure(&with("wrong"), "Ops/AWS#password").kind, Unauthenticated);

    let folder = tempfile::tempdir().unwrap();
    let script = r#"case "$1 $2 $3" in
        "read --no-newline op://Ops/AWS/prod/key") printf 'from op';;
        *None*) echo '[ERROR] "None" isn'"'"'t an item' >&2; exit 1;;
        *) echo '[ERROR] You are not currently signed in' >&2; exit 1;; esac"#;
    let settings = OnePasswordSettings { command: Some(command(folder.path(), script)), ..Default::default() };
    let backend = OnePassword::new(settings, &Variables::none()).unwrap();
    assert_eq!(text(&backend, "Ops/AWS#prod/key"), "from op");
    assert_eq!(failure(&backend, "Ops/None#x").kind, NotFound);
    assert_eq!(failure(&backend, "Ops/AWS#x").kind, Unauthenticated);
    assert_eq!(failure(&backend, "Ops/AWS").kind, Configuration);
}

#[test]
fn bitwarden_by_a_stub_of_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let id = "be8e0ad8-d545-4017-a55a-b02f014d4158";
    let one = json!({"id": id, "key": "db", "value": "v\"1", "revisionDate": "2026-01-01T00:00:00Z"});
    let list = json!([one, {"id": "x", "key": "twice", "value": "a"}, {"id": "y", "key": "twice", "value": "b"}]);
    let script = format!(
        "[ \"$BWS_ACCESS_TOKEN\" = bws-token ] || {{ echo \"Error: invalid access token $BWS_ACCESS_TOKEN\" >&2; exit 1; }}\n\
         case \"$1 $2 $3\" in 'secret get {id}') cat <<'E'\n{one}\nE\n;; 'secret list --output') cat <<'E'\n{list}\nE\n;; \
         *) echo 'Error: [404 Not Found]' >&2; exit 1;; esac"
    );
    let program = command(folder.path(), &script);
    let with = |token: &str| {
        Bitwarden::new(
            BitwardenSettings { command: Some(program.clone()), ..Default::default() },
            &Variables::of([("BWS_ACCESS_TOKEN", token)]),
        )
    };
    let backend = with("bws-token");
    assert_eq!(text(&backend, id), "v\"1");
    assert_eq!(text(&backend, "db"), "v\"1");
    let kinds = ["none", "twice", "00000000-d545-4017-a55a-b02f014d4158", "--help"]
        .map(|location| failure(&backend, location).kind);
    assert_eq!(kinds, [NotFound, Configuration, NotFound, Configuration]);
    assert_eq!(backend.list("d").unwrap().unwrap(), ["db"]);
    let refused = failure(&with("wrong-token"), "db");
    assert_eq!(refused.kind, Unauthenticated);
    assert!(!format!("{refused:?}").contains("wrong-token"));
    assert_eq!(failure(&with(""), "db").kind, Unauthenticated);
    let missing = BitwardenSettings { command: Some("/nowhere/bws".into()), ..Default::default() };
    assert_eq!(
        failure(&Bitwarden::new(missing, &Variables::of([("BWS_ACCESS_TOKEN", "x")])), "db").kind,
        Configuration
    );
}

#[test]
fn infisical_by_a_stub() {
    let stub = Stub::start(|request| {
        if request.path == "/api/v1/auth/universal-auth/login" {
            let is_right = request.json() == json!({"clientId": "id", "clientSecret": "right-secret"});
            return if is_right {
                Reply::json(200, &json!({"accessToken": "infisical-token", "expiresIn": 7200, "tokenType": "Bearer"}))
            } else {
                Reply::json(403, &json!({"message": "Invalid credentials right-or-wrong"}))
            };
        }
        if !is_bearer(request, "infisical-token") {
            return Reply::json(401, &json!({"message": "Token missing"}));
        }
        match request.path.as_str() {
            "/api/v3/secrets/raw/KEY?workspaceId=p&environment=prod&secretPath=%2Ffinops%2Faws" => Reply::json(
                200,
                &json!({"secret": {"secretValue": "two", "version": 2, "updatedAt": "2026-01-01T00:00:00Z"}}),
            ),
            "/api/v3/secrets/raw/KEY?workspaceId=p&environment=prod&secretPath=%2Ffinops%2Faws&version=1" => {
                Reply::json(200, &json!({"secret": {"secretValue": "one", "version": 1}}))
            }
            "/api/v3/secrets/raw/TOP?workspaceId=p&environment=prod&secretPath=%2F" => {
                Reply::json(200, &json!({"secret": {"secretValue": "top"}}))
            }
            "/api/v3/secrets/raw/DENIED?workspaceId=p&environment=prod&secretPath=%2F" => {
                Reply::json(403, &json!({"message": "no"}))
            }
            _ => Reply::json(404, &json!({"message": "Secret not found"})),
        }
    });
    let with = |secret: &str| {
        let variables = [
            ("INFISICAL_API_URL", format!("{}/api", stub.address())),
            ("INFISICAL_UNIVERSAL_AUTH_CLIENT_ID", "id".into()),
            ("INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET", secret.into()),
        ];
        let settings =
            InfisicalSettings { project: Some("p".into()), environment: Some("prod".into()), ..Default::default() };
        Infisical::new(settings, &Variables::of(variables)).unwrap()
    };
    let backend = with("right-secret");
    assert_eq!(text(&backend, "finops/aws/KEY"), "two");
    assert_eq!(text(&backend, "/finops/aws/KEY"), "two");
    assert_eq!(text(&backend, "TOP"), "top");
    assert_eq!(read(&backend, versioned("finops/aws/KEY", VersionRequest::Previous)).unwrap().value.expose(), b"one");
    assert_eq!(
        read(&backend, versioned("finops/aws/KEY", VersionRequest::Exact("9".into()))).unwrap_err().kind,
        NotFound
    );
    assert_eq!(["NONE", "DENIED"].map(|location| failure(&backend, location).kind), [NotFound, Denied]);
    let refused = failure(&with("wrong-secret"), "TOP");
    assert_eq!(refused.kind, Unauthenticated);
    assert!(!format!("{refused:?}").contains("wrong-secret"));
    assert!(Infisical::new(InfisicalSettings::default(), &Variables::none()).is_err());
}

#[test]
fn doppler_by_a_stub() {
    let stub = Stub::start(|request| {
        if !is_bearer(request, "doppler-token") {
            return Reply::json(401, &json!({"messages": ["Invalid Service token"], "success": false}));
        }
        match request.path.as_str() {
            "/v3/configs/config/secret?name=KEY&project=p&config=prd" => {
                Reply::json(200, &json!({"name": "KEY", "value": {"raw": "${OTHER}", "computed": "v"}}))
            }
            "/v3/configs/config/secret?name=HIDDEN&project=p&config=prd" => {
                Reply::json(200, &json!({"name": "HIDDEN", "value": {"raw": null, "computed": null}}))
            }
            "/v3/configs/config/secret?name=MIXED&project=p&config=prd" => {
                Reply::json(200, &json!({"name": "KEY", "value": {"computed": "v"}}))
            }
            "/v3/configs/config/secret?name=BUSY&project=p&config=prd" => {
                Reply::json(429, &json!({"messages": ["slow down"]})).with("retry-after", "4")
            }
            _ => Reply::json(404, &json!({"messages": ["Could not find requested secret"], "success": false})),
        }
    });
    let with = |token: &str| {
        let variables = [("DOPPLER_API_HOST", stub.address()), ("DOPPLER_TOKEN", token.into())];
        Doppler::new(DopplerSettings::default(), &Variables::of(variables)).unwrap()
    };
    let backend = with("doppler-token");
    assert_eq!(text(&backend, "p/prd/KEY"), "v");
    let kinds = ["p/prd/HIDDEN", "p/prd/MIXED", "p/prd/BUSY", "p/prd/NONE", "a/b"]
        .map(|location| failure(&backend, location).kind);
    assert_eq!(kinds, [Denied, Malformed, RateLimited, NotFound, Configuration]);
    assert_eq!(failure(&backend, "p/prd/BUSY").retry_after, Some(Duration::from_secs(4)));
    assert_eq!(failure(&with("wrong"), "p/prd/KEY").kind, Unauthenticated);
}
