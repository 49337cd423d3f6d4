//! The OpenBao backend against a real `bao server -dev`, with a real PostgreSQL behind its database engine.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::{Duration, Instant};

use common::{failure, read, request, text, value, versioned};
use custody_contract::CredentialRef;
use custody_credential::backend::openbao::{Login, OpenBao, OpenBaoSettings};
use custody_credential::backend::{Backend, ErrorKind, Variables, VersionRequest};
use custody_testkit::servers::{self, LatencyProxy, Postgres};
use serde_json::json;

fn settings(address: String) -> OpenBaoSettings {
    OpenBaoSettings { address: Some(address), ..Default::default() }
}

fn as_root(server: &servers::OpenBao) -> OpenBao {
    with_token(server, server.root_token())
}

fn with_token(server: &servers::OpenBao, token: &str) -> OpenBao {
    OpenBao::new(settings(server.address()), &Variables::of([("BAO_TOKEN", token)])).unwrap()
}

fn with_login(server: &servers::OpenBao, login: Login) -> OpenBao {
    OpenBao::new(OpenBaoSettings { login: Some(login), ..settings(server.address()) }, &Variables::none()).unwrap()
}

fn reference() -> CredentialRef {
    CredentialRef::parse("cred://aws/production/readonly").unwrap()
}

#[test]
fn key_value_secrets_are_read_written_listed_and_described_in_both_versions() {
    let server = servers::OpenBao::start();
    server.api("POST", "sys/mounts/old", json!({"type": "kv", "options": {"version": "1"}}));
    server.api("POST", "sys/mounts/team/kv", json!({"type": "kv", "options": {"version": "2"}}));
    let backend = as_root(&server);

    // Written by us, read by the server's own words, and the other way round.
    for mount in ["secret", "old", "team/kv"] {
        let location = |field: &str| format!("{mount}/finops/a b/aws{field}");
        backend.write(&request(&location("#key")), &value("line\n\"two\" ✓")).unwrap();
        backend.write(&request(&location("#id")), &value("second")).unwrap();
        assert_eq!(text(&backend, &location("#key")), "line\n\"two\" ✓", "{mount}");
        assert_eq!(text(&backend, &location("#id")), "second");
        let whole: serde_json::Value = serde_json::from_str(&text(&backend, &location(""))).unwrap();
        assert_eq!(whole, json!({"key": "line\n\"two\" ✓", "id": "second"}));
        assert_eq!(failure(&backend, &location("#none")).kind, ErrorKind::NotFound);
        assert_eq!(failure(&backend, &format!("{mount}/none#x")).kind, ErrorKind::NotFound);
        assert_eq!(backend.list(mount).unwrap().unwrap(), [location("")]);
        assert_eq!(backend.list(&format!("{mount}/finops")).unwrap().unwrap(), [location("")]);
        let refused = backend.write(&request(&location("")), &value("x")).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Configuration, "which of the two fields is not said");
    }
    assert_eq!(server.api("GET", "old/finops/a%20b/aws", json!(null))["data"]["id"], "second");
    assert_eq!(backend.list("").unwrap().unwrap().len(), 3);

    // Without a field: `value`.
    backend.write(&request("secret/plain"), &value("whole")).unwrap();
    assert_eq!(text(&backend, "secret/plain"), "whole");
    server.api(
        "POST",
        "secret/data/types",
        json!({"data": {"number": 5, "flag": true, "deep": {"a": [1]}, "null": null}}),
    );
    assert_eq!(text(&backend, "secret/types#number"), "5");
    assert_eq!(text(&backend, "secret/types#deep"), r#"{"a":[1]}"#);
    assert_eq!(failure(&backend, "secret/types#null").kind, ErrorKind::NotFound);
    for wrong in ["secret", "/secret/a", "secret/../sys/health", ""] {
        assert_eq!(failure(&backend, wrong).kind, ErrorKind::Configuration, "{wrong}");
    }
    assert_eq!(failure(&backend, "nowhere/a").kind, ErrorKind::NotFound);
    let error = read(&backend, versioned("old/finops/a b/aws#id", VersionRequest::Previous)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[test]
fn versions_are_asked_for_and_deleted_ones_are_named() {
    let server = servers::OpenBao::start();
    let backend = as_root(&server);
    for version in ["one", "two", "three"] {
        backend.write(&request("secret/v#key"), &value(version)).unwrap();
    }
    let at = |version: VersionRequest| {
        read(&backend, versioned("secret/v#key", version))
            .map(|r| (r.value.expose_str().unwrap().to_owned(), r.metadata))
    };
    let (current, metadata) = at(VersionRequest::Current).unwrap();
    assert_eq!((current.as_str(), metadata.version.as_deref()), ("three", Some("3")));
    assert!(metadata.created.is_some());
    assert_eq!(at(VersionRequest::Previous).unwrap().0, "two");
    assert_eq!(at(VersionRequest::Exact("1".into())).unwrap().0, "one");
    server.api("POST", "secret/delete/v", json!({"versions": [2]}));
    server.api("POST", "secret/destroy/v", json!({"versions": [1]}));
    let deleted = at(VersionRequest::Exact("2".into())).unwrap_err();
    assert_eq!(deleted.kind, ErrorKind::NotFound);
    assert!(deleted.why.contains("deleted"), "{}", deleted.why);
    assert!(at(VersionRequest::Exact("1".into())).unwrap_err().why.contains("destroyed"));
    assert_eq!(at(VersionRequest::Previous).unwrap_err().kind, ErrorKind::NotFound);
    for wrong in ["0", "99", "-1", "x"] {
        assert_eq!(at(VersionRequest::Exact(wrong.into())).unwrap_err().kind, ErrorKind::NotFound, "{wrong}");
    }
    let described = backend.describe(&request("secret/v#key")).unwrap();
    assert_eq!((described.version.as_deref(), described.created), (Some("3"), metadata.created));
    // After the current one is deleted, writing goes on from its number.
    server.api("POST", "secret/delete/v", json!({"versions": [3]}));
    assert_eq!(backend.write(&request("secret/v#key"), &value("four")).unwrap().version.as_deref(), Some("4"));
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let server = servers::OpenBao::start();
    let backend = as_root(&server);
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let backend = &backend;
            scope.spawn(move || backend.write(&request(&format!("secret/shared#f{writer}")), &value("x")).unwrap());
        }
    });
    let whole: serde_json::Value = serde_json::from_str(&text(&backend, "secret/shared")).unwrap();
    assert_eq!(whole.as_object().unwrap().len(), 3);
}

#[test]
fn failures_are_classified_as_the_server_means_them() {
    let server = servers::OpenBao::start();
    server.api("POST", "secret/data/a", json!({"data": {"k": "v"}}));
    server.api("POST", "secret/data/b", json!({"data": {"k": "v"}}));
    server.api(
        "PUT",
        "sys/policies/acl/a-only",
        json!({"policy": "path \"secret/data/a\" { capabilities = [\"read\"] }"}),
    );
    let token = server.token(&["a-only"], "1h");
    let limited = with_token(&server, &token);
    assert_eq!(text(&limited, "secret/a#k"), "v");
    assert_eq!(failure(&limited, "secret/b#k").kind, ErrorKind::Denied);
    assert_eq!(failure(&with_token(&server, "bogus"), "secret/a#k").kind, ErrorKind::Unauthenticated);
    server.api("POST", "auth/token/revoke", json!({"token": token}));
    assert_eq!(failure(&limited, "secret/a#k").kind, ErrorKind::Unauthenticated);
    let capabilities = with_token(&server, &server.token(&["a-only"], "1h"))
        .capabilities_self(&["secret/data/a", "secret/data/b"])
        .unwrap();
    assert_eq!(capabilities["secret/data/a"], ["read"]);
    assert_eq!(capabilities["secret/data/b"], ["deny"]);

    let nobody = OpenBao::new(settings(server.address()), &Variables::none()).unwrap();
    assert_eq!(failure(&nobody, "secret/a#k").kind, ErrorKind::Unauthenticated);
    // The token helper's file.
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".vault-token"), format!("{}\n", server.root_token())).unwrap();
    let helped =
        OpenBao::new(settings(server.address()), &Variables::of([("HOME", home.path().to_str().unwrap())])).unwrap();
    assert_eq!(text(&helped, "secret/a#k"), "v");

    // A token file that somebody renews.
    let renewed = server.token(&["a-only"], "1h");
    let file = home.path().join("token");
    std::fs::write(&file, &renewed).unwrap();
    let from_file = with_login(&server, Login::Token { file: Some(file.clone()) });
    assert_eq!(text(&from_file, "secret/a#k"), "v");
    server.api("POST", "auth/token/revoke", json!({"token": renewed}));
    assert_eq!(failure(&from_file, "secret/a#k").kind, ErrorKind::Unauthenticated);
    std::fs::write(&file, server.token(&["a-only"], "1h")).unwrap();
    assert_eq!(text(&from_file, "secret/a#k"), "v");

    // Rate limit, then sealed, then gone.
    server.api("POST", "sys/quotas/config", json!({"enable_rate_limit_response_headers": true}));
    server.api("POST", "sys/quotas/rate-limit/tight", json!({"rate": 1, "interval": "60s", "path": "secret/"}));
    let root = as_root(&server);
    let requests: Vec<_> = (0..8).map(|n| request(&format!("secret/q{n}#k"))).collect();
    let limited = root.read(&requests).into_iter().filter_map(Result::err).find(|e| e.kind == ErrorKind::RateLimited);
    assert!(limited.expect("more than the limit was asked").retry_after.is_some());
    server.api("DELETE", "sys/quotas/rate-limit/tight", json!(null));
    server.api("POST", "sys/seal", json!({}));
    let sealed = failure(&root, "secret/a#k");
    assert_eq!(sealed.kind, ErrorKind::Sealed, "{sealed}");
    server.stop();
    let gone = failure(&root, "secret/a#k");
    assert_eq!(gone.kind, ErrorKind::Unreachable, "{gone}");
    assert!(!format!("{gone:?}").contains(&token));
}

#[test]
fn approle_logs_in_also_with_a_wrapped_secret_id_whose_theft_shows() {
    let server = servers::OpenBao::start();
    server.api("POST", "secret/data/a", json!({"data": {"k": "v"}}));
    server.api("PUT", "sys/policies/acl/reader", json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"}));
    server.api("POST", "sys/auth/approle", json!({"type": "approle"}));
    server.api("POST", "auth/approle/role/finops", json!({"token_policies": "reader", "token_ttl": "1h"}));
    let role_id = server.api("GET", "auth/approle/role/finops/role-id", json!(null))["data"]["role_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret-id");
    let login = |wrapped: bool, role: &str| Login::Approle {
        mount: None,
        role_id: role_id.clone(),
        secret_id_file: Some(file.clone()),
        secret_id_variable: None,
        role_name: Some(role.into()),
        wrapped,
    };
    let secret_id = server.api("POST", "auth/approle/role/finops/secret-id", json!({}))["data"]["secret_id"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(&file, &secret_id).unwrap();
    let backend = with_login(&server, login(false, "finops"));
    assert_eq!(text(&backend, "secret/a#k"), "v");
    // Its own token goes back; the next request logs in again.
    backend.end().unwrap();
    assert_eq!(text(&backend, "secret/a#k"), "v");

    let wrapping = server.wrapped("auth/approle/role/finops/secret-id");
    std::fs::write(&file, &wrapping).unwrap();
    let backend = with_login(&server, login(true, "finops"));
    assert_eq!(text(&backend, "secret/a#k"), "v");
    backend.end().unwrap();
    assert_eq!(text(&backend, "secret/a#k"), "v", "the secret id is kept, as it cannot be unwrapped again");
    let stolen = failure(&with_login(&server, login(true, "finops")), "secret/a#k");
    assert_eq!(stolen.kind, ErrorKind::Unauthenticated);
    assert!(stolen.why.contains("may have been stolen"), "{}", stolen.why);
    assert!(!format!("{stolen:?}").contains(&wrapping));

    // A secret id of another role, slipped in.
    server.api("POST", "auth/approle/role/other", json!({}));
    std::fs::write(&file, server.wrapped("auth/approle/role/other/secret-id")).unwrap();
    assert!(failure(&with_login(&server, login(true, "finops")), "secret/a#k").why.contains("may have been stolen"));

    std::fs::write(&file, "wrong").unwrap();
    let refused = failure(&with_login(&server, login(false, "finops")), "secret/a#k");
    assert_eq!(refused.kind, ErrorKind::Unauthenticated, "{refused}");
}

#[test]
fn a_token_that_expires_or_is_revoked_is_replaced_by_a_new_login() {
    let server = servers::OpenBao::start();
    server.api("POST", "secret/data/a", json!({"data": {"k": "v"}}));
    server.api("PUT", "sys/policies/acl/reader", json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"}));
    server.api("POST", "sys/auth/approle", json!({"type": "approle"}));
    server.api(
        "POST",
        "auth/approle/role/short",
        json!({"token_policies": "reader", "token_ttl": "1h", "bind_secret_id": true}),
    );
    let role_id = server.api("GET", "auth/approle/role/short/role-id", json!(null))["data"]["role_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let secret_id = server.api("POST", "auth/approle/role/short/secret-id", json!({}))["data"]["secret_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let login = Login::Approle {
        mount: None,
        role_id,
        secret_id_file: None,
        secret_id_variable: Some("SECRET_ID".into()),
        role_name: None,
        wrapped: false,
    };
    let settings = OpenBaoSettings { login: Some(login), ..settings(server.address()) };
    let backend = OpenBao::new(settings, &Variables::of([("SECRET_ID", secret_id)])).unwrap();
    assert_eq!(text(&backend, "secret/a#k"), "v");
    let life = backend.renew_token().unwrap().unwrap();
    assert!(life > Duration::from_secs(3500), "{life:?}");
    for accessor in server.api("LIST", "auth/token/accessors", json!(null))["data"]["keys"].as_array().unwrap() {
        let looked = server.api("POST", "auth/token/lookup-accessor", json!({"accessor": accessor}));
        if looked["data"]["path"] == "auth/approle/login" {
            server.api("POST", "auth/token/revoke-accessor", json!({"accessor": accessor}));
        }
    }
    assert_eq!(text(&backend, "secret/a#k"), "v", "revoked from outside: logged in again");

    // A token from outside has no way to another: extended while it can be.
    let token = server.token(&["reader"], "2h");
    let given = with_token(&server, &token);
    assert!(given.renew_token().unwrap().is_some());
    given.end().unwrap();
    assert_eq!(text(&given, "secret/a#k"), "v", "a token that was there before is not revoked");
    assert_eq!(as_root(&server).renew_token().unwrap(), None, "the root token has no end");
}

#[test]
fn jwt_logs_in_and_namespaces_are_kept_apart() {
    let server = servers::OpenBao::start();
    let (private, public) = common_keys();
    server.api("POST", "sys/auth/jwt", json!({"type": "jwt"}));
    server.api("POST", "auth/jwt/config", json!({"jwt_validation_pubkeys": [public]}));
    server.api(
        "POST",
        "auth/jwt/role/ci",
        json!({"role_type": "jwt", "bound_audiences": ["custody"], "user_claim": "sub", "token_policies": ["reader"]}),
    );
    server.api("PUT", "sys/policies/acl/reader", json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"}));
    server.api("POST", "secret/data/a", json!({"data": {"k": "root"}}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwt");
    let now = jiff::Timestamp::now().as_second();
    let jwt =
        sign_es256(&private, &json!({"sub": "ci", "aud": "custody", "iat": now, "nbf": now - 5, "exp": now + 600}));
    std::fs::write(&file, &jwt).unwrap();
    let login =
        Login::Jwt { mount: None, role: Some("ci".into()), token_file: Some(file.clone()), token_variable: None };
    assert_eq!(text(&with_login(&server, login.clone()), "secret/a#k"), "root");
    let expired = sign_es256(&private, &json!({"sub": "ci", "aud": "custody", "iat": now - 900, "exp": now - 600}));
    std::fs::write(&file, &expired).unwrap();
    let refused = failure(&with_login(&server, login), "secret/a#k");
    assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    assert!(!format!("{refused:?}").contains(&expired));

    server.api("POST", "sys/namespaces/team", json!({}));
    server.api_in("team", "POST", "sys/mounts/secret", json!({"type": "kv", "options": {"version": "2"}}));
    server.api_in("team", "POST", "secret/data/a", json!({"data": {"k": "team"}}));
    let variables = Variables::of([("VAULT_TOKEN", server.root_token()), ("VAULT_NAMESPACE", "team")]);
    let backend = OpenBao::new(settings(server.address()), &variables).unwrap();
    assert_eq!(text(&backend, "secret/a#k"), "team");
}

/// An ES256 key as PKCS #8, and the public half as PEM.
fn common_keys() -> (Vec<u8>, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    (key.serialize_der(), key.public_key_pem())
}

fn sign_es256(private: &[u8], claims: &serde_json::Value) -> String {
    use data_encoding::BASE64URL_NOPAD as B64;
    let random = ring::rand::SystemRandom::new();
    let key =
        ring::signature::EcdsaKeyPair::from_pkcs8(&ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING, private, &random)
            .unwrap();
    let head = B64.encode(br#"{"alg":"ES256","typ":"JWT"}"#);
    let text = format!("{head}.{}", B64.encode(claims.to_string().as_bytes()));
    let signature = key.sign(&random, text.as_bytes()).unwrap();
    format!("{text}.{}", B64.encode(signature.as_ref()))
}

/// An authority, and certificates that it signed for the server and for a client.
fn certificates(folder: &std::path::Path) {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write(name, params.self_signed(&key).unwrap().pem());
        Issuer::new(params, key)
    };
    let issuer = authority("ca.pem");
    authority("other.pem");
    for (name, usage) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "vault.test".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
}

#[test]
fn a_client_certificate_logs_in_over_tls_that_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let path = |name: &str| folder.path().join(name);
    let port = servers::free_port();
    let config = format!(
        "listener \"tcp\" {{\n address = \"127.0.0.1:{port}\"\n tls_cert_file = \"{}\"\n tls_key_file = \"{}\"\n}}\n",
        path("server.pem").display(),
        path("server-key.pem").display()
    );
    std::fs::write(path("config.hcl"), config).unwrap();
    let server = servers::OpenBao::start_with(&[&format!("-config={}", path("config.hcl").display())]);
    server.api("POST", "secret/data/a", json!({"data": {"k": "v"}}));
    server.api("PUT", "sys/policies/acl/reader", json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"}));
    server.api("POST", "sys/auth/cert", json!({"type": "cert"}));
    let authority = std::fs::read_to_string(path("ca.pem")).unwrap();
    server.api("POST", "auth/cert/certs/finops", json!({"certificate": authority, "token_policies": "reader"}));
    let with = |authority: &str, certificate: Option<&str>| {
        let mut settings = OpenBaoSettings {
            login: Some(Login::Certificate { mount: None, name: Some("finops".into()) }),
            ..settings(format!("https://127.0.0.1:{port}"))
        };
        settings.http.ca_file = Some(path(authority));
        settings.http.client_certificate = certificate.map(|name| path(&format!("{name}.pem")));
        settings.http.client_key = certificate.map(|name| path(&format!("{name}-key.pem")));
        OpenBao::new(settings, &Variables::none()).unwrap()
    };
    assert_eq!(text(&with("ca.pem", Some("client")), "secret/a#k"), "v");
    assert_eq!(failure(&with("ca.pem", None), "secret/a#k").kind, ErrorKind::Unauthenticated);
    let untrusted = failure(&with("other.pem", Some("client")), "secret/a#k");
    assert_eq!(untrusted.kind, ErrorKind::Configuration, "{untrusted}");
    assert!(untrusted.why.contains("not trusted"), "{}", untrusted.why);
    assert_eq!(failure(&with("none.pem", Some("client")), "secret/a#k").kind, ErrorKind::Configuration);

    // Through the proxy that the environment names, to a name that only the proxy knows.
    let proxy = connect_proxy(port);
    let login = "user:pa55-of-proxy";
    let behind = |proxy: &str| {
        let mut settings = settings(format!("https://vault.test:{port}"));
        settings.http.ca_file = Some(path("ca.pem"));
        OpenBao::new(settings, &Variables::of([("https_proxy", proxy), ("BAO_TOKEN", server.root_token())])).unwrap()
    };
    assert_eq!(text(&behind(&format!("http://{login}@127.0.0.1:{}", proxy.port())), "secret/a#k"), "v");
    let refused = failure(&behind(&format!("http://other:{login}@127.0.0.1:{}", proxy.port())), "secret/a#k");
    assert_eq!(refused.kind, ErrorKind::Unreachable);
    assert!(!format!("{refused:?}").contains("pa55"), "{refused:?}");
}

/// A proxy that lets one user connect to `vault.test`, wherever that is.
fn connect_proxy(port: u16) -> servers::Stub {
    use std::io::{Read, Write};
    let basic = data_encoding::BASE64.encode(b"user:pa55-of-proxy");
    servers::Stub::raw(move |mut client| {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|count| count == 1) {
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let is_right = head.starts_with(&format!("connect vault.test:{port} http/1.1\r\n"));
        if !is_right || !head.contains(&format!("proxy-authorization: basic {}", basic.to_ascii_lowercase())) {
            return drop(client.write_all(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"));
        }
        let mut server = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || drop(std::io::copy(&mut from_client, &mut to_server)));
        drop(std::io::copy(&mut server, &mut client));
    })
}

#[test]
fn a_pod_logs_in_by_its_service_account_with_a_stub_of_the_cluster() {
    let server = servers::OpenBao::start();
    let reviewer = jwt_of_a_pod("reviewer");
    let pod = jwt_of_a_pod("finops");
    let is_right = pod.clone();
    let cluster = servers::Stub::start(move |request| {
        assert_eq!(request.path, "/apis/authentication.k8s.io/v1/tokenreviews");
        let is_known = request.json()["spec"]["token"] == is_right.as_str();
        servers::Reply::json(
            201,
            &json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": {
                "authenticated": is_known, "audiences": ["api"], "user": {"username": "system:serviceaccount:team:finops", "uid": "u"},
            }}),
        )
    });
    server.api("POST", "secret/data/a", json!({"data": {"k": "v"}}));
    server.api("PUT", "sys/policies/acl/reader", json!({"policy": "path \"secret/*\" { capabilities = [\"read\"] }"}));
    let certificates_folder = tempfile::tempdir().unwrap();
    certificates(certificates_folder.path());
    let authority = std::fs::read_to_string(certificates_folder.path().join("ca.pem")).unwrap();
    server.api("POST", "sys/auth/kubernetes", json!({"type": "kubernetes"}));
    server.api(
        "POST",
        "auth/kubernetes/config",
        json!({
            "kubernetes_host": cluster.address(), "token_reviewer_jwt": reviewer, "disable_local_ca_jwt": true, "kubernetes_ca_cert": authority,
        }),
    );
    server.api("POST", "auth/kubernetes/role/finops", json!({
        "bound_service_account_names": "finops", "bound_service_account_namespaces": "team", "token_policies": "reader",
    }));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, &pod).unwrap();
    let login = Login::Kubernetes { mount: None, role: "finops".into(), token_file: Some(file.clone()) };
    assert_eq!(text(&with_login(&server, login.clone()), "secret/a#k"), "v");
    std::fs::write(&file, jwt_of_a_pod("other")).unwrap();
    assert_eq!(failure(&with_login(&server, login), "secret/a#k").kind, ErrorKind::Unauthenticated);
}

/// A token as a cluster would give it to this service account.
fn jwt_of_a_pod(name: &str) -> String {
    let now = jiff::Timestamp::now().as_second();
    let (private, _) = common_keys();
    sign_es256(
        &private,
        &json!({
            "iss": "https://cluster.test", "sub": format!("system:serviceaccount:team:{name}"), "aud": ["api"], "iat": now, "exp": now + 600,
            "kubernetes.io": {"namespace": "team", "serviceaccount": {"name": name, "uid": "u"}},
        }),
    )
}

#[test]
fn database_credentials_are_made_leased_extended_and_revoked() {
    let postgres = Postgres::start();
    let server = servers::OpenBao::start();
    server.api("POST", "sys/mounts/database", json!({"type": "database"}));
    let connection = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{}/postgres?sslmode=disable",
        postgres.port()
    );
    server.api(
        "POST",
        "database/config/main",
        json!({
            "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "connection_url": connection,
            "username": "admin", "password": postgres.password(),
        }),
    );
    server.api("POST", "database/roles/reporting", json!({
        "db_name": "main", "default_ttl": "1h", "max_ttl": "4h",
        "creation_statements": ["CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"],
    }));
    postgres.admin("create role fixed with login password 'x'");
    server.api(
        "POST",
        "database/static-roles/fixed",
        json!({"db_name": "main", "username": "fixed", "rotation_period": "24h"}),
    );

    let backend = as_root(&server);
    let answers =
        backend.read(&[request("database/creds/reporting#username"), request("database/creds/reporting#password")]);
    let [user, password]: [_; 2] = answers.into_iter().map(Result::unwrap).collect::<Vec<_>>().try_into().unwrap();
    let (name, word) = (user.value.expose_str().unwrap(), password.value.expose_str().unwrap());
    assert_eq!(postgres.query(name, word, "select 40 + 2").unwrap(), "42", "the two belong together");
    assert_eq!(text(&backend, "database/creds/reporting#username"), name, "and a later reference still gets the same");
    let lease = user.metadata.lease.clone().unwrap();
    assert_eq!((lease.duration, lease.is_renewable), (Duration::from_secs(3600), true));
    assert!(user.metadata.expires.is_some());
    assert_eq!(backend.renew(&reference(), &lease).unwrap().duration, Duration::from_secs(3600));
    backend.revoke(&reference(), &lease).unwrap();
    assert!(postgres.query(name, word, "select 1").is_err(), "revoked at once");
    assert_eq!(backend.renew(&reference(), &lease).unwrap_err().kind, ErrorKind::NotFound);
    assert_ne!(text(&backend, "database/creds/reporting#username"), name, "a revoked credential is not served again");

    let (name, word) =
        (text(&backend, "database/creds/reporting#username"), text(&backend, "database/creds/reporting#password"));
    assert!(postgres.query(&name, &word, "select 1").is_ok());
    backend.end().unwrap();
    assert!(postgres.query(&name, &word, "select 1").is_err(), "leases end with the backend");

    let fixed = read(&backend, request("database/static-creds/fixed#password")).unwrap();
    assert!(postgres.query("fixed", fixed.value.expose_str().unwrap(), "select 1").is_ok());
    assert!(fixed.metadata.created.is_some() && fixed.metadata.expires.is_some() && fixed.metadata.lease.is_none());
    assert_eq!(failure(&backend, "database/creds/none#password").kind, ErrorKind::NotFound);
}

#[test]
fn many_references_cost_hardly_more_round_trips_than_one() {
    const ROUND_TRIP: Duration = Duration::from_millis(20);
    let server = servers::OpenBao::start();
    let backend = as_root(&server);
    let written: Vec<_> = (0..200).map(|n| request(&format!("secret/many/{n}#k"))).collect();
    for request in &written {
        backend.write(request, &value(&request.location)).unwrap();
    }
    let proxy = LatencyProxy::start(server.port(), ROUND_TRIP / 2);
    let through =
        || OpenBao::new(settings(proxy.address()), &Variables::of([("BAO_TOKEN", server.root_token())])).unwrap();
    let one_backend = through();
    let begin = Instant::now();
    assert!(read(&one_backend, written[0].clone()).is_ok());
    let one = begin.elapsed();
    let many_backend = through();
    let begin = Instant::now();
    let answers = many_backend.read(&written);
    let many = begin.elapsed();
    for (request, answer) in written.iter().zip(answers) {
        assert_eq!(answer.unwrap().value.expose_str(), Some(request.location.as_str()));
    }
    println!(
        "one {one:?}, 200 {many:?}: {:.1} round trips more",
        (many.as_secs_f64() - one.as_secs_f64()) / ROUND_TRIP.as_secs_f64()
    );
    // Not a time: the number of connections bounds how often one has to wait for another (200 / 128, rounded up).
    assert!(proxy.connections() <= 1 + 128);

    // References to one secret share its read.
    let same: Vec<_> = (0..200).map(|_| request("secret/many/7#k")).collect();
    let before = proxy.connections();
    assert!(through().read(&same).iter().all(Result::is_ok));
    assert_eq!(proxy.connections(), before + 1);
}
