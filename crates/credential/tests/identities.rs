//! Identities of clouds and clusters that have no server here, by stubs made from their public documentation: renewed single
//! sign-on, federation from AWS and by programs, kubeconfig files.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use common::{failure, read, request, text};
use custody_credential::backend::aws::{AwsSecretsManager, AwsSettings};
use custody_credential::backend::gcp::{GcpSecretManager, GcpSettings};
use custody_credential::backend::kubernetes::{Kubernetes, KubernetesSettings};
use custody_credential::backend::{ErrorKind, Variables};
use custody_testkit::servers::{Reply, Stub};
use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};

/// A program that a test writes.
fn program(folder: &Path, script: &str) -> PathBuf {
    let file = folder.join("program");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
fn a_login_of_single_sign_on_is_renewed_and_kept_by_a_stub() {
    let refresh = Mutex::new("first".to_owned());
    let stub = Stub::start(move |request| match request.path.split('?').next().unwrap() {
        "/token" => {
            let (body, mut refresh) = (request.json(), refresh.lock().unwrap());
            let is_right = body["grantType"] == "refresh_token"
                && body["clientId"] == "client"
                && body["clientSecret"] == "client word"
                && body["refreshToken"] == refresh.as_str();
            if !is_right {
                return Reply::json(400, &json!({"error": "invalid_grant", "__type": "InvalidGrantException"}));
            }
            *refresh = "second".into();
            Reply::json(
                200,
                &json!({"accessToken": "renewed", "expiresIn": 3600, "refreshToken": "second", "tokenType": "Bearer"}),
            )
        }
        "/federation/credentials" if request.header("x-amz-sso_bearer_token") == Some("renewed") => {
            let keys = json!({"accessKeyId": "id", "secretAccessKey": "word", "sessionToken": "s", "expiration": 4_000_000_000_000_u64});
            Reply::json(200, &json!({"roleCredentials": keys}))
        }
        "/federation/credentials" => Reply::json(401, &json!({"message": "Session token not found or invalid"})),
        _ => Reply::json(
            200,
            &json!({"SecretString": "by single sign-on", "VersionId": "1", "VersionStages": ["AWSCURRENT"]}),
        ),
    });
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    let config = "[profile sso]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\nregion = eu-central-1\n[sso-session corp]\nsso_region = eu-central-1\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, b"corp");
    let cache = home.path().join(".aws/sso/cache").join(format!("{}.json", HEXLOWER.encode(digest.as_ref())));
    let kept = |registration: &str| {
        json!({
            "startUrl": "https://corp.test/start", "region": "eu-central-1", "accessToken": "old", "expiresAt": "2001-01-01T00:00:00Z",
            "clientId": "client", "clientSecret": "client word", "refreshToken": "first", "registrationExpiresAt": registration,
        })
    };
    let backend = || {
        let variables = [
            ("HOME", home.path().display().to_string()),
            ("AWS_PROFILE", "sso".into()),
            ("AWS_ENDPOINT_URL", stub.address()),
        ];
        AwsSecretsManager::new(AwsSettings::default(), &Variables::of(variables)).unwrap()
    };
    std::fs::write(&cache, kept("2001-01-01T00:00:00Z").to_string()).unwrap();
    let expired = failure(&backend(), "a");
    assert_eq!(expired.kind, ErrorKind::Unauthenticated);
    assert!(expired.fix.contains("aws sso login --profile sso"), "{}", expired.fix);
    std::fs::write(&cache, kept("2099-01-01T00:00:00Z").to_string()).unwrap();
    assert_eq!(text(&backend(), "a"), "by single sign-on");
    let written: Value = serde_json::from_slice(&std::fs::read(&cache).unwrap()).unwrap();
    assert_eq!((&written["accessToken"], &written["refreshToken"]), (&json!("renewed"), &json!("second")));
    assert_eq!(written["startUrl"], "https://corp.test/start", "what is not ours stays");
    assert!(written["expiresAt"].as_str().unwrap() > "2026");
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o600);
    // The next process needs no renewal.
    assert_eq!(text(&backend(), "a"), "by single sign-on");
    assert_eq!(stub.received().iter().filter(|request| request.path == "/token").count(), 1);
}

/// A stub of Secret Manager and of the token exchange, which takes this subject token and these delegates.
fn google(is_right: impl Fn(&str) -> bool + Send + Sync + 'static) -> Stub {
    Stub::start(move |request| match request.path.as_str() {
        "/token" => {
            let subject = request.form("subject_token").unwrap_or_default();
            match is_right(&subject) {
                true => Reply::json(200, &json!({"access_token": "federated", "expires_in": 3599})),
                false => Reply::json(400, &json!({"error": "invalid_grant"})),
            }
        }
        "/impersonate/robot@p.test:generateAccessToken" => {
            assert_eq!(request.json()["lifetime"], "900s");
            assert_eq!(request.json()["delegates"], json!(["projects/-/serviceAccounts/between@p.test"]));
            Reply::json(200, &json!({"accessToken": "robot", "expireTime": "2099-01-01T00:00:00Z"}))
        }
        _ if request.header("authorization") == Some("Bearer robot") => Reply::json(
            200,
            &json!({"name": "projects/1/secrets/s/versions/1", "payload": {"data": BASE64.encode(b"federated")}}),
        ),
        _ => Reply::json(401, &json!({"error": {"code": 401, "status": "UNAUTHENTICATED"}})),
    })
}

fn external(stub: &Stub, kind: &str, source: Value) -> Value {
    let address = stub.address();
    json!({
        "type": "external_account", "audience": "//iam.test/pool", "subject_token_type": kind,
        "token_url": format!("{address}/token"), "credential_source": source,
        "service_account_impersonation_url": format!("{address}/impersonate/robot@p.test:generateAccessToken"),
        "service_account_impersonation": {"token_lifetime_seconds": 900},
        "delegates": ["projects/-/serviceAccounts/between@p.test"],
    })
}

fn at_google(folder: &Path, stub: &Stub, credentials: &Value, variables: &[(&str, &str)]) -> GcpSecretManager {
    let file = folder.join("credentials.json");
    std::fs::write(&file, credentials.to_string()).unwrap();
    let settings = GcpSettings {
        project: Some("p".into()),
        credentials_file: Some(file),
        endpoint: Some(stub.address()),
        ..Default::default()
    };
    GcpSecretManager::new(settings, &Variables::of(variables.to_vec())).unwrap()
}

#[test]
fn an_identity_of_aws_is_exchanged_at_google_by_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let stub = google(|subject| {
        let text = percent_encoding::percent_decode_str(subject).decode_utf8().unwrap().into_owned();
        let Ok(token) = serde_json::from_str::<Value>(&text) else { return false };
        let header = |name: &str| {
            let headers = token["headers"].as_array().unwrap();
            let found = headers.iter().find(|h| h["key"].as_str().unwrap().eq_ignore_ascii_case(name));
            found.and_then(|h| h["value"].as_str()).unwrap_or_default().to_owned()
        };
        token["method"] == "POST"
            && token["url"] == "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            && header("host") == "sts.eu-central-1.amazonaws.com"
            && header("x-goog-cloud-target-resource") == "//iam.test/pool"
            && header("x-amz-security-token") == "session"
            && header("authorization").contains("/eu-central-1/sts/aws4_request")
            && header("authorization").contains("x-goog-cloud-target-resource")
    });
    let url = |host: &str| format!("https://{host}?Action=GetCallerIdentity&Version=2011-06-15");
    let source = |url: String| json!({"environment_id": "aws1", "regional_cred_verification_url": url});
    let kind = "urn:ietf:params:aws:token-type:aws4_request";
    let variables = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "word"),
        ("AWS_SESSION_TOKEN", "session"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let of = |url: String| at_google(folder.path(), &stub, &external(&stub, kind, source(url)), &variables);
    assert_eq!(text(&of(url("sts.{region}.amazonaws.com")), "s"), "federated");
    // The signed request goes to nobody else.
    for host in
        ["sts.evil.test", "sts.eu-central-1.amazonaws.com.evil.test", "evil.test/sts.eu-central-1.amazonaws.com"]
    {
        let refused = failure(&of(url(host)), "s");
        assert!(refused.why.contains("another place than AWS's token service"), "{refused}");
    }
    let mut unknown = external(&stub, kind, source(url("sts.{region}.amazonaws.com")));
    unknown["credential_source"]["environment_id"] = "aws2".into();
    assert_eq!(failure(&at_google(folder.path(), &stub, &unknown, &variables), "s").kind, ErrorKind::Configuration);
}

#[test]
fn a_program_gives_the_token_that_is_exchanged_at_google_by_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let stub = google(|subject| subject == "from a program");
    let kept = folder.path().join("kept");
    let script = format!(
        "[ \"$GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE $GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL\" = '//iam.test/pool robot@p.test' ] || exit 3\n\
         [ \"$1\" = 'two words' ] || {{ echo '{{\"version\":1,\"success\":false,\"code\":\"401\",\"message\":\"go away\"}}'; exit 0; }}\n\
         echo ran >> {}\n\
         echo '{{\"version\":1,\"success\":true,\"token_type\":\"urn:ietf:params:oauth:token-type:id_token\",\"id_token\":\"from a program\",\"expiration_time\":4000000000}}'",
        folder.path().join("runs").display()
    );
    let program = program(folder.path(), &script);
    let source = |argument: &str| json!({"executable": {"command": format!("{} {argument}", program.display()), "timeout_millis": 20000, "output_file": kept}});
    let kind = "urn:ietf:params:oauth:token-type:id_token";
    let of = |argument: &str, allowed: &[(&str, &str)]| {
        at_google(folder.path(), &stub, &external(&stub, kind, source(argument)), allowed)
    };
    let allowed = [("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")];
    let refused = failure(&of("'two words'", &[]), "s");
    assert!(refused.why.contains("not run unless you allow it"), "{refused}");
    assert!(!folder.path().join("runs").exists());
    assert_eq!(text(&of("'two words'", &allowed), "s"), "federated");
    let said = failure(&of("other", &allowed), "s");
    assert!(said.why.contains("go away"), "{said}");
    // What the program kept is taken while it is valid.
    let answer =
        json!({"version": 1, "success": true, "id_token": "from a program", "expiration_time": 4_000_000_000_u64});
    std::fs::write(&kept, answer.to_string()).unwrap();
    assert_eq!(text(&of("other", &allowed), "s"), "federated");
    assert_eq!(std::fs::read_to_string(folder.path().join("runs")).unwrap(), "ran\n");
}

/// A stub of an API server that takes this token.
fn cluster(token: &'static str) -> Stub {
    Stub::start(move |request| {
        if request.header("authorization") != Some(&format!("Bearer {token}")) {
            return Reply::json(401, &json!({"kind": "Status", "message": "Unauthorized"}));
        }
        let namespace = request.path.split('/').nth(4).unwrap_or_default();
        Reply::json(200, &json!({"metadata": {"name": "db"}, "data": {"key": BASE64.encode(namespace.as_bytes())}}))
    })
}

#[test]
fn kubeconfig_files_choose_cluster_user_and_namespace_by_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let stub = cluster("right");
    std::fs::write(folder.path().join("token"), "right\n").unwrap();
    let script = "[ \"$1 $WHO\" = 'get-token me' ] || { echo 'no such user' >&2; exit 1; }\n\
                  case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 2;; esac\n\
                  echo run >> runs\n\
                  echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"right\",\"expirationTimestamp\":\"2099-01-01T00:00:00Z\"}}'";
    let script = script.replace("runs\n", &format!("{}\n", folder.path().join("runs").display()));
    program(folder.path(), &script);
    let first = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: by-file\ncontexts:\n\
         - {{name: by-file, context: {{cluster: c, user: file, namespace: one}}}}\n\
         - {{name: by-token, context: {{cluster: c, user: token, namespace: two}}}}\n\
         - {{name: by-program, context: {{cluster: c, user: program, namespace: three}}}}\n\
         - {{name: by-wrong-program, context: {{cluster: c, user: wrong, namespace: x}}}}\n\
         - {{name: blind, context: {{cluster: blind, user: token, namespace: x}}}}\n\
         - {{name: by-password, context: {{cluster: c, user: password, namespace: x}}}}\n\
         - {{name: nobody, context: {{cluster: c, user: missing, namespace: x}}}}\n\
         clusters:\n- {{name: c, cluster: {{server: \"{0}\"}}}}\n\
         - {{name: blind, cluster: {{server: \"{0}\", insecure-skip-tls-verify: true}}}}\n",
        stub.address()
    );
    let second = "users:\n\
         - {name: file, user: {tokenFile: token}}\n\
         - {name: token, user: {token: right}}\n\
         - {name: password, user: {username: a, password: b}}\n\
         - name: program\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./program, args: [get-token], env: [{name: WHO, value: me}], interactiveMode: IfAvailable}\n\
         - name: wrong\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./program, args: [nothing], env: null}\n\
         clusters:\n- {name: c, cluster: {server: \"http://127.0.0.1:1\"}}\n";
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::write(&one, first).unwrap();
    std::fs::write(&two, second).unwrap();
    let list = std::env::join_paths([&one, &folder.path().join("missing"), &two]).unwrap();
    let variables = Variables::of([("KUBECONFIG", list.to_str().unwrap())]);
    let of = |context: Option<&str>| {
        Kubernetes::new(KubernetesSettings { context: context.map(str::to_owned), ..Default::default() }, &variables)
    };
    assert_eq!(text(&of(None).unwrap(), "db#key"), "one", "the current context");
    assert_eq!(text(&of(Some("by-token")).unwrap(), "db#key"), "two");
    let by_program = of(Some("by-program")).unwrap();
    assert_eq!(text(&by_program, "db#key"), "three");
    assert_eq!(text(&by_program, "other/db#key"), "other");
    assert_eq!(std::fs::read_to_string(folder.path().join("runs")).unwrap(), "run\n", "a token is used till its end");
    let failed = read(&of(Some("by-wrong-program")).unwrap(), request("db#key")).unwrap_err();
    assert_eq!(failed.kind, ErrorKind::Unauthenticated);
    assert!(failed.why.contains("no such user"), "{failed}");
    for (context, why) in [
        ("blind", "turns the check of the server's certificate off"),
        ("by-password", "by a password"),
        ("nobody", "has no user `missing`"),
        ("no such", "has no context `no such`"),
    ] {
        let refused = of(Some(context)).err().unwrap();
        assert!(refused.why.contains(why), "{context}: {}", refused.why);
    }
    std::fs::write(&two, "users: [").unwrap();
    assert!(of(None).err().unwrap().why.contains("is no kubeconfig"));
}
