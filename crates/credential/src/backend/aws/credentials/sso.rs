//! Single sign-on: the token that `aws sso login` left, renewed where its session allows it, and exchanged for keys.
//!
//! Source: the AWS SDKs and Tools Reference Guide (IAM Identity Center credential provider), and the OIDC API reference.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::super::http::Request;
use super::super::super::location::encode_segment;
use super::super::super::openbao::read_token;
use super::super::super::{Fault, json};
use super::super::client::{Context, refusal};
use super::super::profile::Section;
use super::profiles::wrong;
use super::{EARLY, Keys};

/// A login as the tools keep it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cached<'a> {
    #[serde(borrow)]
    access_token: &'a RawValue,
    expires_at: String,
    #[serde(borrow)]
    client_id: Option<&'a RawValue>,
    #[serde(borrow)]
    client_secret: Option<&'a RawValue>,
    #[serde(borrow)]
    refresh_token: Option<&'a RawValue>,
    registration_expires_at: Option<String>,
}

/// Keys of a profile with single sign-on.
pub(super) fn keys(context: &Context, name: &str, profile: &Section) -> Result<Keys, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given<'a> {
        #[serde(borrow)]
        role_credentials: &'a RawValue,
    }
    let need = |section: &Section, key: &str| {
        section.get(key).map(|value| value.to_string()).ok_or_else(|| wrong(name, &format!("lacks `{key}`")))
    };
    let (cache_name, session) = match profile.get("sso_session") {
        Some(session) => {
            let section =
                context.profiles()?.sso_session(session).ok_or_else(|| wrong(name, "names an unknown sso-session"))?;
            (session.to_string(), section)
        }
        None => (need(profile, "sso_start_url")?, profile),
    };
    let region = need(session, "sso_region")?;
    let token = token(context, name, &cache_name, &region)?;
    let portal = context.endpoint("sso", "portal.sso", &region)?;
    let url = format!(
        "{portal}/federation/credentials?role_name={}&account_id={}",
        encode_segment(&need(profile, "sso_role_name")?),
        encode_segment(&need(profile, "sso_account_id")?)
    );
    let answer = context.http.send(&Request::get(url).secret_header("x-amz-sso_bearer_token", "", &token))?;
    if !answer.is_success() {
        return Err(match answer.status {
            401 => login(name, "the login is not accepted any more"),
            _ => refusal(&answer).during("single sign-on"),
        });
    }
    let given: Given<'_> = json::parse(answer.json()?, "the answer of single sign-on")?;
    let names = ["accessKeyId", "secretAccessKey", "sessionToken", "expiration"];
    Keys::of_json(given.role_credentials.get().as_bytes(), names, "the answer of single sign-on")
}

fn login(name: &str, why: &str) -> Fault {
    Fault::unauthenticated(format!("single sign-on: {why}"), format!("run `aws sso login --profile {name}`"))
}

/// Old versions of the tools write `UTC` instead of `Z`.
fn time(text: &str) -> Option<jiff::Timestamp> {
    text.replace("UTC", "Z").parse().ok()
}

/// The token of the login, renewed shortly before its end where that is possible.
fn token(context: &Context, name: &str, cache_name: &str, region: &str) -> Result<Zeroizing<String>, Fault> {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, cache_name.as_bytes());
    let home = context.variables.home().ok_or_else(|| login(name, "there is no home folder"))?;
    let file = home.join(".aws/sso/cache").join(format!("{}.json", HEXLOWER.encode(digest.as_ref())));
    let text = read_token(&file).map_err(|_| login(name, "nobody has logged in"))?;
    let cached: Cached<'_> = json::parse(text.as_bytes(), "the cached token")?;
    let own = || json::secret_text(cached.access_token).ok_or_else(|| login(name, "the cached token is no text"));
    let (now, expires) = (jiff::Timestamp::now(), time(&cached.expires_at));
    if expires.is_some_and(|expires| now + EARLY < expires) {
        return own();
    }
    let renewed = renew(context, &cached, &text, &file, region);
    match (renewed, expires.is_some_and(|expires| now < expires)) {
        (Ok(Some(token)), _) => Ok(token),
        (_, true) => own(),
        (Err(fault), false) if fault.kind.is_transient() => Err(fault),
        _ => Err(login(name, "the login has expired")),
    }
}

/// Another token for the refresh token, where there is one. What is renewed is kept for the tools too: the service may
/// have replaced the refresh token.
fn renew(
    context: &Context,
    cached: &Cached<'_>,
    text: &str,
    file: &Path,
    region: &str,
) -> Result<Option<Zeroizing<String>>, Fault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given<'a> {
        #[serde(borrow)]
        access_token: &'a RawValue,
        expires_in: Option<i64>,
        #[serde(borrow)]
        refresh_token: Option<&'a RawValue>,
    }
    let secret = |raw: Option<&RawValue>| raw.and_then(json::secret_text).filter(|text| !text.is_empty());
    let (Some(id), Some(client_secret), Some(refresh)) =
        (secret(cached.client_id), secret(cached.client_secret), secret(cached.refresh_token))
    else {
        return Ok(None);
    };
    let is_registered = cached.registration_expires_at.as_deref().and_then(time);
    if is_registered.is_some_and(|until| until <= jiff::Timestamp::now()) {
        return Ok(None);
    }
    let fields = [
        ("clientId", Some(id.as_str())),
        ("clientSecret", Some(client_secret.as_str())),
        ("grantType", Some("refresh_token")),
        ("refreshToken", Some(refresh.as_str())),
    ];
    let url = format!("{}/token", context.endpoint("sso_oidc", "oidc", region)?);
    let request = Request::post(url).json(super::super::object(&fields)).sensitive(&client_secret).sensitive(&refresh);
    let answer = context.http.send(&request)?;
    if !answer.is_success() {
        return Err(refusal(&answer).during("renewing the login of single sign-on"));
    }
    let given: Given<'_> = json::parse(answer.json()?, "the renewed token")?;
    let token = secret(Some(given.access_token)).ok_or_else(|| Fault::malformed("the answer holds no token"))?;
    let life = given.expires_in.unwrap_or(0).clamp(0, 7 * 24 * 3600);
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(life);
    let changed = [
        ("accessToken", Some(token.clone())),
        ("expiresAt", Some(Zeroizing::new(format!("{until:.0}")))),
        ("refreshToken", secret(given.refresh_token)),
    ];
    // The token is valid whether or not it can be kept.
    let _ = keep(text, &changed, file);
    Ok(Some(token))
}

/// Writes the login anew with some members changed, whole or not at all, for its owner only.
fn keep(text: &str, changed: &[(&str, Option<Zeroizing<String>>)], file: &Path) -> std::io::Result<()> {
    let raw: &RawValue = serde_json::from_str(text)?;
    let mut body = Zeroizing::new(vec![b'{']);
    for (name, old) in json::members(raw).unwrap_or_default() {
        let new = changed.iter().find(|(own, _)| *own == name).and_then(|(_, value)| value.as_ref());
        if body.len() > 1 {
            json::reserve(&mut body, 1);
            body.push(b',');
        }
        json::quote(&mut body, &name);
        json::reserve(&mut body, old.get().len() + 1);
        body.push(b':');
        match new {
            Some(value) => json::quote(&mut body, value),
            None => body.extend_from_slice(old.get().as_bytes()),
        }
    }
    json::reserve(&mut body, 1);
    body.push(b'}');
    let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut new = tempfile::Builder::new().prefix(".custody-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut new, &body)?;
    new.persist(file).map(drop).map_err(|error| error.error)
}
