//! The AWS backends against a real moto server that checks signatures and policies; services that moto lacks (metadata,
//! container and single sign-on endpoints) are stubs, named so.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use common::{failure, read, request, text, value, versioned};
use custody_credential::SecretValue;
use custody_credential::backend::aws::{AssumeRole, AwsParameterStore, AwsSecretsManager, AwsSettings};
use custody_credential::backend::{Backend, ErrorKind, Variables, VersionRequest};
use custody_testkit::Fake;
use custody_testkit::servers::{Moto, Reply, Stub};
use serde_json::json;

const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// A user with keys that may do everything; from here on signatures are checked.
fn user(server: &Moto) -> Vec<(String, String)> {
    server.query("iam", "Action=CreateUser&UserName=finops&Version=2010-05-08");
    let policy = ALLOW.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    server.query(
        "iam",
        &format!("Action=PutUserPolicy&UserName=finops&PolicyName=all&PolicyDocument={policy}&Version=2010-05-08"),
    );
    let xml = server.query("iam", "Action=CreateAccessKey&UserName=finops&Version=2010-05-08");
    let between = |tag: &str| xml.split(&format!("<{tag}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let keys = [("AWS_ACCESS_KEY_ID", between("AccessKeyId")), ("AWS_SECRET_ACCESS_KEY", between("SecretAccessKey"))];
    keys.into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain([("AWS_REGION".to_owned(), "us-east-1".to_owned()), ("AWS_ENDPOINT_URL".to_owned(), server.address())])
        .collect()
}

fn secrets(variables: &[(String, String)]) -> AwsSecretsManager {
    AwsSecretsManager::new(AwsSettings::default(), &Variables::of(variables.to_vec())).unwrap()
}

#[test]
fn secrets_are_written_read_in_batches_listed_and_described_with_checked_signatures() {
    let server = Moto::start();
    let variables = user(&server);
    server.check_signatures(0);
    let backend = secrets(&variables);
    assert_eq!(failure(&backend, "finops/none").kind, ErrorKind::NotFound);
    for version in ["one", "two"] {
        backend.write(&request("finops/plain"), &value(version)).unwrap();
    }
    let at = |version| read(&backend, versioned("finops/plain", version)).unwrap();
    let (current, previous) = (at(VersionRequest::Current), at(VersionRequest::Previous));
    assert_eq!((current.value.expose(), previous.value.expose()), (b"two".as_slice(), b"one".as_slice()));
    let id = previous.metadata.version.unwrap();
    assert_ne!(Some(&id), current.metadata.version.as_ref());
    assert_eq!(at(VersionRequest::Exact(id)).value.expose(), b"one");
    assert_eq!(backend.describe(&request("finops/plain")).unwrap().version, current.metadata.version);
    let pending = read(&backend, versioned("finops/plain", VersionRequest::Exact("AWSPENDING".into()))).unwrap_err();
    assert_eq!(pending.kind, ErrorKind::NotFound, "{pending}");

    backend.write(&request("finops/json#user"), &value("ann")).unwrap();
    backend.write(&request("finops/json#word"), &value("a\"b\n✓")).unwrap();
    assert_eq!(text(&backend, "finops/json#word"), "a\"b\n✓");
    backend.write(&request("finops/binary"), &SecretValue::new(vec![0, 255, 1])).unwrap();
    assert_eq!(read(&backend, request("finops/binary")).unwrap().value.expose(), [0, 255, 1]);

    let many: Vec<_> = (0..45).map(|n| request(&format!("many/{n}"))).collect();
    for request in &many {
        backend.write(request, &value(&request.location)).unwrap();
    }
    let mut asked = many.clone();
    asked.extend([request("many/none"), request("finops/json#user"), request("finops/json#none"), request("")]);
    asked.push(versioned("finops/plain", VersionRequest::Previous));
    let answers = backend.read(&asked);
    for (request, answer) in many.iter().zip(&answers) {
        assert_eq!(answer.as_ref().unwrap().value.expose_str(), Some(request.location.as_str()));
    }
    let kinds: Vec<_> = answers[45..].iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    let not_found = Some(ErrorKind::NotFound);
    assert_eq!(kinds, [not_found, None, not_found, Some(ErrorKind::Configuration), None]);
    assert_eq!(backend.list("many/1").unwrap().unwrap().len(), 11);
    assert_eq!(backend.list("").unwrap().unwrap().len(), 48);
}

#[test]
fn wrong_keys_wrong_rights_and_deleted_secrets_are_told_apart() {
    let server = Moto::start();
    let variables = user(&server);
    server.call("secretsmanager", "secretsmanager.CreateSecret", json!({"Name": "a", "SecretString": "v"}));
    server.call("secretsmanager", "secretsmanager.CreateSecret", json!({"Name": "gone", "SecretString": "v"}));
    server.call("secretsmanager", "secretsmanager.DeleteSecret", json!({"SecretId": "gone"}));
    server.query("iam", "Action=CreateUser&UserName=weak&Version=2010-05-08");
    let xml = server.query("iam", "Action=CreateAccessKey&UserName=weak&Version=2010-05-08");
    server.check_signatures(0);
    let between = |tag: &str| xml.split(&format!("<{tag}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let with = |id: &str, secret: &str| {
        let mut changed = variables.clone();
        (changed[0].1, changed[1].1) = (id.to_owned(), secret.to_owned());
        secrets(&changed)
    };
    let (id, secret) = (between("AccessKeyId"), between("SecretAccessKey"));
    assert_eq!(failure(&with(&id, &secret), "a").kind, ErrorKind::Denied);
    let mut fake = Fake::new(7);
    let wrong = fake.aws_secret_access_key();
    let refused = failure(&with(&id, &wrong), "a");
    assert_eq!(refused.kind, ErrorKind::Unauthenticated, "{refused}");
    assert!(!format!("{refused:?}").contains(&wrong));
    assert_eq!(failure(&with(&fake.aws_access_key_id(), &wrong), "a").kind, ErrorKind::Unauthenticated);
    let gone = failure(&secrets(&variables), "gone");
    assert_eq!(gone.kind, ErrorKind::NotFound, "{gone}");
    let nobody = AwsSecretsManager::new(
        AwsSettings { region: Some("us-east-1".into()), ..Default::default() },
        &Variables::of([("AWS_EC2_METADATA_DISABLED", "true")]),
    );
    assert_eq!(failure(&nobody.unwrap(), "a").kind, ErrorKind::Unauthenticated);
    let nowhere = Variables::of([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")]);
    let nowhere = AwsSecretsManager::new(AwsSettings::default(), &nowhere).unwrap();
    assert_eq!(failure(&nowhere, "a").kind, ErrorKind::Configuration, "no region");
}

#[test]
fn the_current_stage_is_read_also_after_it_was_moved() {
    let server = Moto::start();
    let variables = user(&server);
    let backend = secrets(&variables);
    backend.write(&request("moved"), &value("one")).unwrap();
    let one = backend.describe(&request("moved")).unwrap().version;
    backend.write(&request("moved"), &value("two")).unwrap();
    let two = backend.describe(&request("moved")).unwrap().version;
    server.call(
        "secretsmanager",
        "secretsmanager.UpdateSecretVersionStage",
        json!({
            "SecretId": "moved", "VersionStage": "AWSCURRENT", "MoveToVersionId": one, "RemoveFromVersionId": two,
        }),
    );
    assert_eq!(text(&backend, "moved"), "one");
    assert_eq!(backend.read(&[request("moved"), request("none")])[0].as_ref().unwrap().value.expose(), b"one");
}

#[test]
fn parameters_are_written_read_ten_at_a_time_listed_and_described() {
    let server = Moto::start();
    let variables = user(&server);
    server.check_signatures(0);
    let backend = AwsParameterStore::new(AwsSettings::default(), &Variables::of(variables)).unwrap();
    for version in ["one", "two", "three"] {
        backend.write(&request("/finops/key"), &value(version)).unwrap();
    }
    let at = |version| read(&backend, versioned("/finops/key", version));
    let current = at(VersionRequest::Current).unwrap();
    assert_eq!((current.value.expose_str(), current.metadata.version.as_deref()), (Some("three"), Some("3")));
    assert!(current.metadata.created.is_some());
    assert_eq!(at(VersionRequest::Previous).unwrap().value.expose(), b"two");
    assert_eq!(at(VersionRequest::Exact("1".into())).unwrap().value.expose(), b"one");
    for missing in ["9", "nolabel"] {
        assert_eq!(at(VersionRequest::Exact(missing.into())).unwrap_err().kind, ErrorKind::NotFound, "{missing}");
    }
    assert_eq!(backend.describe(&request("/finops/key")).unwrap(), current.metadata);
    backend.write(&request("/finops/json#a"), &value("x")).unwrap();
    backend.write(&request("/finops/json#b"), &value("y")).unwrap();
    assert_eq!(text(&backend, "/finops/json#a"), "x");
    let many: Vec<_> = (0..25).map(|n| request(&format!("/many/{n}"))).collect();
    for request in &many {
        backend.write(request, &value(&request.location)).unwrap();
    }
    let mut asked = many.clone();
    asked.extend([request("/many/none"), request("/finops/json#b"), request("/finops/json#c"), request("/many/1")]);
    let answers = backend.read(&asked);
    for (request, answer) in many.iter().zip(&answers) {
        assert_eq!(answer.as_ref().unwrap().value.expose_str(), Some(request.location.as_str()));
    }
    let kinds: Vec<_> = answers[25..].iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [Some(ErrorKind::NotFound), None, Some(ErrorKind::NotFound), None]);
    assert_eq!(backend.list("/many/").unwrap().unwrap().len(), 25);
}

/// A home folder with both shared files.
fn home(config: &str, credentials: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(".aws/sso/cache")).unwrap();
    std::fs::write(folder.path().join(".aws/config"), config).unwrap();
    std::fs::write(folder.path().join(".aws/credentials"), credentials).unwrap();
    folder
}

#[test]
fn profiles_give_keys_by_role_and_by_program() {
    let server = Moto::start();
    let variables = user(&server);
    server.call("secretsmanager", "secretsmanager.CreateSecret", json!({"Name": "a", "SecretString": "v"}));
    let trust = ALLOW.replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
    let role = server.query(
        "iam",
        &format!("Action=CreateRole&RoleName=reader&AssumeRolePolicyDocument={trust}&Version=2010-05-08"),
    );
    let arn = role.split("<Arn>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    server.query(
        "iam",
        &format!("Action=PutRolePolicy&RoleName=reader&PolicyName=all&PolicyDocument={trust}&Version=2010-05-08"),
    );
    server.check_signatures(0);
    let (id, secret) = (&variables[0].1, &variables[1].1);
    let names = ["AccessKeyId", "SecretAccessKey"];
    let output = format!(r#"{{"Version":1,"{}":"{id}","{}":"{secret}"}}"#, names[0], names[1]);
    let config = format!(
        "[profile role]\nrole_arn = {arn}\nsource_profile = base\nregion = us-east-1\nendpoint_url = {0}\n\
         [profile self]\nrole_arn = {arn}\nsource_profile = self\nregion = us-east-1\nendpoint_url = {0}\n\
         [profile program]\ncredential_process = printf '%s' '{output}'\nregion = us-east-1\nendpoint_url = {0}\n\
         [profile a]\nrole_arn = x\nsource_profile = b\nregion = us-east-1\n[profile b]\nrole_arn = x\nsource_profile = a\n",
        server.address()
    );
    let keys = ["aws_access_key_id", "aws_secret_access_key"];
    let credentials =
        format!("[base]\n{0} = {id}\n{1} = {secret}\n[self]\n{0} = {id}\n{1} = {secret}\n", keys[0], keys[1]);
    let home = home(&config, &credentials);
    let of = |profile: &str| {
        let settings = AwsSettings { profile: Some(profile.into()), ..Default::default() };
        AwsSecretsManager::new(settings, &Variables::of([("HOME", home.path().to_str().unwrap())])).unwrap()
    };
    for profile in ["role", "self", "program"] {
        assert_eq!(text(&of(profile), "a"), "v", "{profile}");
    }
    assert!(failure(&of("a"), "a").why.contains("based on itself"));
    assert!(failure(&of("none"), "a").why.contains("does not exist"));

    // A role of the settings, taken on with the keys of the environment.
    let settings = AwsSettings {
        assume_role: Some(AssumeRole {
            role_arn: arn,
            external_id: None,
            session_name: None,
            duration_seconds: None,
            full_access: true,
        }),
        ..Default::default()
    };
    let backend = AwsSecretsManager::new(settings, &Variables::of(variables)).unwrap();
    assert_eq!(text(&backend, "a"), "v");
}

/// A stub of everything that gives keys, and of the secrets service: it answers with the id of the key it was signed by.
fn stub() -> Stub {
    Stub::start(|request| {
        let keys = |id: &str, names: [&str; 4]| json!({names[0]: id, names[1]: "s".repeat(40), names[2]: format!("session-{id}"), names[3]: "2099-01-01T00:00:00Z"});
        let metadata = ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"];
        let refused = || Reply::text(401, "text/plain", "");
        match (request.method.as_str(), request.path.as_str()) {
            ("PUT", "/latest/api/token") if request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
                Reply::text(200, "text/plain", "imds-token")
            }
            ("GET", path)
                if path.starts_with("/latest/") && request.header("x-aws-ec2-metadata-token") != Some("imds-token") =>
            {
                refused()
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") => Reply::text(200, "text/plain", "my-role"),
            ("GET", "/latest/meta-data/iam/security-credentials/my-role") => {
                Reply::json(200, &keys("instance", metadata))
            }
            ("GET", "/container") if request.header("authorization") == Some("pod-token") => {
                Reply::json(200, &keys("container", metadata))
            }
            ("GET", "/container") => refused(),
            ("GET", path) if path.starts_with("/federation/credentials?role_name=r&account_id=1") => {
                if request.header("x-amz-sso_bearer_token") != Some("sso-token") {
                    return refused();
                }
                let mut keys = keys("sso", ["accessKeyId", "secretAccessKey", "sessionToken", "expiration"]);
                keys["expiration"] = 4_000_000_000_000_u64.into();
                Reply::json(200, &json!({"roleCredentials": keys}))
            }
            ("POST", _) if request.form("Action").is_some() => {
                let id = match request.form("Action").as_deref() {
                    Some("AssumeRoleWithWebIdentity")
                        if request.form("WebIdentityToken").as_deref() == Some("web-token") =>
                    {
                        "web"
                    }
                    Some("AssumeRole")
                        if request.form("Policy").is_some_and(|policy| policy.contains("GetSecretValue")) =>
                    {
                        "narrow"
                    }
                    _ => "wide",
                };
                Reply::text(
                    200,
                    "text/xml",
                    format!(
                        "<R xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>x</SecretAccessKey>\
                     <SessionToken>session-{id}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></R>"
                    ),
                )
            }
            ("POST", _) => {
                let signed = request.header("authorization").unwrap_or_default();
                let id = signed
                    .split("Credential=")
                    .nth(1)
                    .unwrap_or_default()
                    .split('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                let session = request.header("x-amz-security-token").unwrap_or_default();
                Reply::json(
                    200,
                    &json!({"SecretString": format!("{id} {session}"), "VersionStages": ["AWSCURRENT"], "VersionId": "v"}),
                )
            }
            _ => Reply::text(404, "text/plain", ""),
        }
    })
}

#[test]
fn metadata_container_web_identity_and_single_sign_on_give_keys_by_a_stub() {
    let stub = stub();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "web-token\n").unwrap();
    let token = token.to_str().unwrap();
    let config = "[profile sso]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_region = eu-central-1\n";
    let home = home(config, "");
    let cache = home.path().join(".aws/sso/cache");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, b"corp");
    let cache = cache.join(format!("{}.json", data_encoding::HEXLOWER.encode(digest.as_ref())));
    std::fs::write(&cache, json!({"accessToken": "sso-token", "expiresAt": "2099-01-01T00:00:00Z"}).to_string())
        .unwrap();
    let address = stub.address();
    let container = format!("{address}/container");
    let home_path = home.path().to_str().unwrap().to_owned();
    let of = |variables: &[(&str, &str)], settings: AwsSettings| {
        let base = [("AWS_REGION", "us-east-1"), ("AWS_ENDPOINT_URL", address.as_str()), ("HOME", home_path.as_str())];
        AwsSecretsManager::new(settings, &Variables::of(base.into_iter().chain(variables.iter().copied()))).unwrap()
    };
    let plain = AwsSettings::default;
    let instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.as_str())];
    assert_eq!(text(&of(&instance, plain()), "a"), "instance session-instance");
    let in_container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod-token"),
    ];
    assert_eq!(text(&of(&in_container, plain()), "a"), "container session-container");
    assert_eq!(failure(&of(&in_container[..1], plain()), "a").kind, ErrorKind::Unauthenticated);
    let elsewhere = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/")];
    assert_eq!(failure(&of(&elsewhere, plain()), "a").kind, ErrorKind::Configuration);
    let web = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", token)];
    assert_eq!(text(&of(&web, plain()), "a"), "web session-web");
    let sso = AwsSettings { profile: Some("sso".into()), ..plain() };
    assert_eq!(text(&of(&[], sso.clone()), "a"), "sso session-sso");
    std::fs::write(&cache, json!({"accessToken": "sso-token", "expiresAt": "2001-01-01T00:00:00Z"}).to_string())
        .unwrap();
    let expired = failure(&of(&[], sso), "a");
    assert_eq!(expired.kind, ErrorKind::Unauthenticated);
    assert!(expired.fix.contains("aws sso login"), "{}", expired.fix);
    // A role of the settings narrows itself to reading secrets, unless told not to.
    let role = |full_access| AwsSettings {
        assume_role: Some(AssumeRole {
            role_arn: "arn:aws:iam::1:role/r".into(),
            external_id: Some("ext".into()),
            session_name: None,
            duration_seconds: None,
            full_access,
        }),
        ..plain()
    };
    assert_eq!(text(&of(&instance, role(false)), "a"), "narrow session-narrow");
    assert_eq!(text(&of(&instance, role(true)), "a"), "wide session-wide");
    // One set of keys serves many requests.
    let backend = of(&instance, plain());
    let before = stub.received().len();
    assert!((0..5).all(|_| read(&backend, request("a")).is_ok()));
    assert_eq!(stub.received().len() - before, 3 + 5);
}
