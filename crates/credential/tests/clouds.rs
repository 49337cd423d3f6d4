//! Google Cloud and Azure against stubs made from the public API documentation: there is no server of theirs to run here.
//! The stubs check signatures and claims of what they are sent.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use common::{failure, read, request, text, value, versioned};
use custody_credential::backend::azure::{AzureKeyVault, AzureLogin, AzureSettings};
use custody_credential::backend::gcp::{GcpSecretManager, GcpSettings};
use custody_credential::backend::{Backend, ErrorKind, Variables, VersionRequest};
use custody_testkit::servers::{Received, Reply, Stub};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey};
use serde_json::{Value, json};

/// An RSA key with a certificate, made for this test: `key.pem`, `cert.pem`, and the public key in DER.
fn rsa(folder: &Path) -> Vec<u8> {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("openssl is installed (scripts/setup)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    openssl(&[
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=custody",
        "-days",
        "2",
    ]);
    openssl(&["rsa", "-in", "key.pem", "-RSAPublicKey_out", "-outform", "DER"])
}

/// Header and claims of a token, if the signature is right.
fn verified(token: &str, key: &[u8], parameters: &'static RsaParameters) -> Option<(Value, Value)> {
    let (signed, signature) = token.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    UnparsedPublicKey::new(parameters, key).verify(signed.as_bytes(), &signature).ok()?;
    let (head, claims) = signed.split_once('.')?;
    let decode = |text: &str| serde_json::from_slice(&BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok();
    Some((decode(head)?, decode(claims)?))
}

fn is_bearer(request: &Received, token: &str) -> bool {
    request.header("authorization") == Some(&format!("Bearer {token}"))
}

/// A stub of Secret Manager with one secret `s` in the project `p`, which remembers what is added.
#[expect(clippy::too_many_lines, reason = "one arm for each path of the API")]
fn google(public: Vec<u8>) -> Stub {
    let versions: Mutex<Vec<String>> = Mutex::new(vec!["one".into(), "{\"k\":\"two\"}".into()]);
    let error = |status: u16, code: &str| {
        Reply::json(status, &json!({"error": {"code": status, "status": code, "message": "said"}}))
    };
    let token =
        |token: &str| Reply::json(200, &json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}));
    Stub::start(move |request| {
        let mut versions = versions.lock().unwrap();
        match request.path.as_str() {
            "/token" => match request.form("grant_type").as_deref() {
                Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
                    let assertion = request.form("assertion").unwrap_or_default();
                    let Some((head, claims)) = verified(&assertion, &public, &RSA_PKCS1_2048_8192_SHA256) else {
                        return Reply::json(
                            400,
                            &json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}),
                        );
                    };
                    let now = jiff::Timestamp::now().as_second();
                    let is_right = head["alg"] == "RS256"
                        && head["kid"] == "key-1"
                        && claims["iss"] == "robot@p.test"
                        && claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
                        && claims["aud"].as_str().is_some_and(|aud| aud.ends_with("/token"))
                        && claims["iat"].as_i64().is_some_and(|iat| (iat - now).abs() < 60)
                        && claims["exp"].as_i64().is_some_and(|exp| exp > now && exp <= now + 3600);
                    if is_right { token("gcp-token") } else { Reply::json(400, &json!({"error": "invalid_grant"})) }
                }
                Some("refresh_token") if request.form("refresh_token").as_deref() == Some("refresh") => {
                    token("gcp-token")
                }
                Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
                    let is_right = request.form("subject_token").as_deref() == Some("pod-token")
                        && request.form("audience").as_deref() == Some("//iam.test/pool")
                        && request.form("requested_token_type").as_deref()
                            == Some("urn:ietf:params:oauth:token-type:access_token");
                    if is_right { token("federated") } else { Reply::json(400, &json!({"error": "invalid_grant"})) }
                }
                _ => Reply::json(400, &json!({"error": "unsupported_grant_type"})),
            },
            "/impersonate" if is_bearer(request, "federated") => {
                Reply::json(200, &json!({"accessToken": "gcp-token", "expireTime": "2099-01-01T00:00:00Z"}))
            }
            "/computeMetadata/v1/instance/service-accounts/default/token" => match request.header("metadata-flavor") {
                Some("Google") => token("gcp-token").with("Metadata-Flavor", "Google"),
                _ => Reply::text(403, "text/html", "no"),
            },
            _ if !is_bearer(request, "gcp-token") => error(401, "UNAUTHENTICATED"),
            "/v1/projects/p/secrets/s/versions?pageSize=2&filter=state:ENABLED" => {
                let named = (1..=versions.len())
                    .rev()
                    .take(2)
                    .map(|n| json!({"name": format!("projects/1/secrets/s/versions/{n}")}));
                Reply::json(200, &json!({"versions": named.collect::<Vec<_>>()}))
            }
            "/v1/projects/p/secrets/s/versions/latest" => Reply::json(
                200,
                &json!({
                    "name": format!("projects/1/secrets/s/versions/{}", versions.len()), "createTime": "2026-01-02T03:04:05.678Z", "state": "ENABLED",
                }),
            ),
            "/v1/projects/p/secrets/s:addVersion" => {
                let added =
                    request.json()["payload"]["data"].as_str().and_then(|data| BASE64.decode(data.as_bytes()).ok());
                versions.push(String::from_utf8(added.unwrap()).unwrap());
                Reply::json(
                    200,
                    &json!({"name": format!("projects/1/secrets/s/versions/{}", versions.len()), "state": "ENABLED"}),
                )
            }
            "/v1/projects/p/secrets/denied/versions/latest:access" => error(403, "PERMISSION_DENIED"),
            "/v1/projects/p/secrets/off/versions/latest:access" => error(400, "FAILED_PRECONDITION"),
            "/v1/projects/p/secrets/busy/versions/latest:access" => {
                error(429, "RESOURCE_EXHAUSTED").with("Retry-After", "7")
            }
            "/v1/projects/p/secrets/torn/versions/latest:access" => Reply::json(
                200,
                &json!({
                    "name": "projects/1/secrets/torn/versions/1", "payload": {"data": BASE64.encode(b"x"), "dataCrc32c": "1"},
                }),
            ),
            "/v1/projects/p/secrets?pageSize=250&pageToken=" => Reply::json(
                200,
                &json!({
                    "secrets": [{"name": "projects/1/secrets/s"}], "nextPageToken": "n/2",
                }),
            ),
            "/v1/projects/p/secrets?pageSize=250&pageToken=n%2F2" => {
                Reply::json(200, &json!({"secrets": [{"name": "projects/1/secrets/other"}]}))
            }
            path => {
                let number = path
                    .strip_prefix("/v1/projects/p/secrets/s/versions/")
                    .and_then(|rest| rest.strip_suffix(":access"));
                let number =
                    number.map(|number| if number == "latest" { versions.len() } else { number.parse().unwrap_or(0) });
                match number.filter(|number| (1..=versions.len()).contains(number)) {
                    Some(number) => Reply::json(
                        200,
                        &json!({
                            "name": format!("projects/1/secrets/s/versions/{number}"), "payload": {"data": BASE64.encode(versions[number - 1].as_bytes())},
                        }),
                    ),
                    None => error(404, "NOT_FOUND"),
                }
            }
        }
    })
}

#[test]
fn google_secret_manager_by_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let stub = google(rsa(folder.path()));
    let address = stub.address();
    let of = |credentials: Value| {
        let file = folder.path().join("credentials.json");
        std::fs::write(&file, credentials.to_string()).unwrap();
        let settings = GcpSettings {
            project: Some("p".into()),
            credentials_file: Some(file),
            endpoint: Some(address.clone()),
            ..Default::default()
        };
        GcpSecretManager::new(settings, &Variables::none()).unwrap()
    };
    let key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    let token_url = format!("{address}/token");
    let account = json!({"type": "service_account", "client_email": "robot@p.test", "private_key_id": "key-1", "private_key": key, "token_uri": token_url});
    let backend = of(account.clone());
    let answers = backend.read(&[request("s#k"), request("projects/p/secrets/s#k"), request("s")]);
    let answers: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().value.expose_str().unwrap().to_owned()).collect();
    assert_eq!(answers, ["two", "two", "{\"k\":\"two\"}"]);
    assert_eq!(stub.received().iter().filter(|request| request.path == "/token").count(), 1, "one token for all");
    let at = |version| read(&backend, versioned("s", version));
    assert_eq!(at(VersionRequest::Previous).unwrap().value.expose(), b"one");
    assert_eq!(at(VersionRequest::Exact("1".into())).unwrap().metadata.version.as_deref(), Some("1"));
    assert_eq!(at(VersionRequest::Exact("9".into())).unwrap_err().kind, NotFound);
    let described = backend.describe(&request("s")).unwrap();
    assert_eq!((described.version.as_deref(), described.created.is_some()), (Some("2"), true));
    assert_eq!(backend.write(&request("s#k"), &value("three")).unwrap().version.as_deref(), Some("3"));
    assert_eq!(text(&backend, "s#k"), "three");
    assert_eq!(backend.list("").unwrap().unwrap(), ["other", "s"]);
    let kinds = ["denied", "off", "busy", "torn", "none", "a/b", "projects/p/secrets/.."]
        .map(|location| failure(&backend, location).kind);
    use ErrorKind::{Configuration, Denied, Malformed, NotFound, RateLimited};
    assert_eq!(kinds, [Denied, NotFound, RateLimited, Malformed, NotFound, Configuration, Configuration]);
    assert_eq!(failure(&backend, "busy").retry_after.unwrap().as_secs(), 7);

    // Another key: the stub does not accept its signature.
    let other = tempfile::tempdir().unwrap();
    rsa(other.path());
    let mut forged = account;
    forged["private_key"] = std::fs::read_to_string(other.path().join("key.pem")).unwrap().into();
    let refused = failure(&of(forged), "s");
    assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    assert!(refused.why.contains("Invalid JWT Signature"), "{}", refused.why);

    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "x", "refresh_token": "refresh", "token_uri": token_url});
    assert_eq!(text(&of(user), "s#k"), "three");
    let subject = folder.path().join("subject");
    std::fs::write(&subject, json!({"token": "pod-token"}).to_string()).unwrap();
    let federation = json!({
        "type": "external_account", "audience": "//iam.test/pool", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": token_url, "service_account_impersonation_url": format!("{address}/impersonate"),
        "credential_source": {"file": subject, "format": {"type": "json", "subject_token_field_name": "token"}},
    });
    assert_eq!(text(&of(federation), "s#k"), "three");
    let metadata =
        Variables::of([("GCE_METADATA_HOST", address.trim_start_matches("http://")), ("GOOGLE_CLOUD_PROJECT", "p")]);
    let settings = GcpSettings { endpoint: Some(address.clone()), ..Default::default() };
    assert_eq!(text(&GcpSecretManager::new(settings, &metadata).unwrap(), "s#k"), "three");
}

/// A stub of Key Vault with one secret `s`, of the token endpoint, and of managed identities.
#[expect(clippy::too_many_lines, reason = "one arm for each path of the API")]
fn azure(public: Vec<u8>, thumbprint: String) -> Stub {
    let address = Mutex::new(String::new());
    Stub::start(move |request| {
        let host = format!("http://{}", request.header("host").unwrap_or_default());
        address.lock().unwrap().clone_from(&host);
        let token = || Reply::json(200, &json!({"access_token": "azure-token", "expires_in": "3599"}));
        let refused = |why: &str| Reply::json(401, &json!({"error": "invalid_client", "error_description": why}));
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let item = |version: &str, created: i64, enabled: bool| json!({"id": format!("{host}/secrets/s/{version}"), "attributes": {"enabled": enabled, "created": created, "exp": 4_000_000_000_i64}});
        match path {
            "/tenant/oauth2/v2.0/token" => {
                let form = |name: &str| request.form(name).unwrap_or_default();
                if form("scope") != "https://vault.azure.net/.default" || form("client_id") != "client" {
                    return refused("scope");
                }
                let assertion = form("client_assertion");
                if form("client_secret") == "right" || assertion == "pod-token" {
                    return token();
                }
                let Some((head, claims)) = verified(&assertion, &public, &RSA_PSS_2048_8192_SHA256) else {
                    return refused("AADSTS700027 signature");
                };
                let now = jiff::Timestamp::now().as_second();
                let is_right = head["alg"] == "PS256"
                    && head["x5t#S256"] == thumbprint.as_str()
                    && claims["iss"] == "client"
                    && claims["sub"] == "client"
                    && claims["aud"] == format!("{host}{path}")
                    && claims["jti"].as_str().is_some_and(|id| id.len() == 32)
                    && claims["exp"].as_i64().is_some_and(|exp| exp > now && exp <= now + 600);
                if is_right { token() } else { refused("claims") }
            }
            "/metadata/identity/oauth2/token"
                if request.header("metadata") == Some("true")
                    && query.contains("resource=https%3A%2F%2Fvault.azure.net") =>
            {
                token()
            }
            "/app-service" if request.header("x-identity-header") == Some("app-header") => token(),
            _ if !is_bearer(request, "azure-token") => {
                Reply::json(401, &json!({"error": {"code": "Unauthorized", "message": "no token"}}))
            }
            "/secrets/s" if request.method == "PUT" => {
                assert_eq!(request.json()["value"], "{\"k\":\"new\"}");
                Reply::json(
                    200,
                    &json!({"id": format!("{host}/secrets/s/v3"), "value": request.json()["value"], "attributes": {"created": 3}}),
                )
            }
            "/secrets/s" | "/secrets/s/v2" => {
                let mut given = item("v2", 2, true);
                given["value"] = "{\"k\":\"two\"}".into();
                Reply::json(200, &given)
            }
            "/secrets/s/v1" => {
                let mut given = item("v1", 1, true);
                given["value"] = "one".into();
                Reply::json(200, &given)
            }
            "/secrets/s/versions" if query.contains("skip") => {
                Reply::json(200, &json!({"value": [item("v2", 2, true)], "nextLink": null}))
            }
            "/secrets/s/versions" => Reply::json(
                200,
                &json!({
                    "value": [item("v1", 1, true), item("v3", 3, false)], "nextLink": format!("{host}/secrets/s/versions?api-version=7.4&skip=1"),
                }),
            ),
            "/secrets/trap/versions" => {
                Reply::json(200, &json!({"value": [], "nextLink": "http://127.0.0.1:1/secrets/trap/versions"}))
            }
            "/secrets/denied" => Reply::json(
                403,
                &json!({"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByPolicy"}}}),
            ),
            "/secrets/off" => Reply::json(
                403,
                &json!({"error": {"code": "Forbidden", "message": "off", "innererror": {"code": "SecretDisabled"}}}),
            ),
            "/secrets" => Reply::json(
                200,
                &json!({"value": [{"id": format!("{host}/secrets/s")}, {"id": format!("{host}/secrets/b")}]}),
            ),
            _ => Reply::json(404, &json!({"error": {"code": "SecretNotFound", "message": "none"}})),
        }
    })
}

#[test]
fn azure_key_vault_by_a_stub() {
    let folder = tempfile::tempdir().unwrap();
    let public = rsa(folder.path());
    let read_file = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let pem = read_file("cert.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let digest = ring::digest::digest(&ring::digest::SHA256, &BASE64.decode(body.as_bytes()).unwrap());
    let stub = azure(public, BASE64URL_NOPAD.encode(digest.as_ref()));
    let address = stub.address();
    let both = folder.path().join("both.pem");
    std::fs::write(&both, format!("{}{pem}", read_file("key.pem"))).unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "pod-token\n").unwrap();
    let of = |login: Option<AzureLogin>, variables: &[(&str, &str)]| {
        let settings = AzureSettings { vault: Some(address.clone()), login, ..Default::default() };
        let base = [("AZURE_AUTHORITY_HOST", address.as_str())];
        AzureKeyVault::new(settings, &Variables::of(base.into_iter().chain(variables.iter().copied()))).unwrap()
    };
    let application = [("AZURE_TENANT_ID", "tenant"), ("AZURE_CLIENT_ID", "client")];
    let with = |name, value| [application[0], application[1], (name, value)];
    let app_service = format!("{address}/app-service");
    for (variables, what) in [
        (with("AZURE_CLIENT_SECRET", "right").to_vec(), "secret"),
        (with("AZURE_CLIENT_CERTIFICATE_PATH", both.to_str().unwrap()).to_vec(), "certificate"),
        (with("AZURE_FEDERATED_TOKEN_FILE", token_file.to_str().unwrap()).to_vec(), "workload identity"),
        (vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", address.as_str())], "metadata service"),
        (vec![("IDENTITY_ENDPOINT", app_service.as_str()), ("IDENTITY_HEADER", "app-header")], "App Service"),
    ] {
        assert_eq!(text(&of(None, &variables), "s#k"), "two", "{what}");
    }
    let wrong = failure(&of(None, &with("AZURE_CLIENT_SECRET", "wrong-secret")), "s");
    assert_eq!(wrong.kind, ErrorKind::Unauthenticated);
    assert!(!format!("{wrong:?}").contains("wrong-secret"));

    let backend = of(None, &with("AZURE_CLIENT_SECRET", "right"));
    let current = read(&backend, request("s")).unwrap();
    assert_eq!(current.metadata.version.as_deref(), Some("v2"));
    assert!(current.metadata.created.is_some() && current.metadata.expires.is_some());
    assert_eq!(
        read(&backend, versioned("s", VersionRequest::Previous)).unwrap().value.expose(),
        b"one",
        "the disabled one does not count"
    );
    assert_eq!(read(&backend, versioned("s", VersionRequest::Exact("v1".into()))).unwrap().value.expose(), b"one");
    assert_eq!(backend.describe(&request("s")).unwrap().version.as_deref(), Some("v2"));
    assert_eq!(backend.write(&request("s#k"), &value("new")).unwrap().version.as_deref(), Some("v3"));
    assert_eq!(backend.list("").unwrap().unwrap(), ["b", "s"]);
    use ErrorKind::{Configuration, Denied, NotFound};
    assert_eq!(
        ["denied", "off", "none", "a/b", "../x"].map(|location| failure(&backend, location).kind),
        [Denied, NotFound, NotFound, Configuration, Configuration]
    );
    let trap = read(&backend, versioned("trap", VersionRequest::Previous)).unwrap_err();
    assert_eq!(trap.kind, ErrorKind::Malformed, "the token is not sent elsewhere");
}
