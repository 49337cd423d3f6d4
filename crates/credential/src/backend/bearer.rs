//! Access tokens that are fetched, kept while they are valid, and fetched again (RFC 6749).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::http::Answer;
use super::{ErrorKind, Fault, json};

/// A token is replaced so long before it ends.
const EARLY: Duration = Duration::from_secs(120);

/// A token and when it ends.
#[derive(Clone)]
pub(crate) struct Bearer {
    pub(crate) token: Zeroizing<String>,
    until: Option<Instant>,
}

impl Bearer {
    /// A token that is valid for so long.
    pub(crate) fn new(token: Zeroizing<String>, life: Option<Duration>) -> Self {
        let until = life.map(|life| Instant::now() + life.min(Duration::from_secs(1 << 31)));
        Self { token, until }
    }
}

/// The token in use.
#[derive(Default)]
pub(crate) struct Bearers(Mutex<Option<Bearer>>);

impl Bearers {
    /// The token: one thread fetches it, the others wait.
    pub(crate) fn get(&self, fetch: impl FnOnce() -> Result<Bearer, Fault>) -> Result<Bearer, Fault> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(bearer) = current.as_ref().filter(|bearer| bearer.until.is_none_or(|until| now + EARLY < until)) {
            return Ok(bearer.clone());
        }
        match fetch() {
            Ok(bearer) => {
                *current = Some(bearer.clone());
                Ok(bearer)
            }
            // A token that is about to end still works.
            Err(fault) => current.clone().filter(|bearer| bearer.until.is_some_and(|until| now < until)).ok_or(fault),
        }
    }

    /// Asks with the token, and once more with a new one if the service does not accept it (401).
    pub(crate) fn ask(
        &self,
        fetch: impl Fn() -> Result<Bearer, Fault>,
        ask: impl Fn(&str) -> Result<Answer, Fault>,
    ) -> Result<Answer, Fault> {
        let bearer = self.get(&fetch)?;
        let answer = ask(&bearer.token)?;
        if answer.status != 401 {
            return Ok(answer);
        }
        {
            let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if current.as_ref().is_some_and(|current| current.token == bearer.token) {
                *current = None;
            }
        }
        let renewed = self.get(fetch)?;
        if renewed.token == bearer.token { Ok(answer) } else { ask(&renewed.token) }
    }
}

/// The token in an answer of a token endpoint (RFC 6749, section 5).
pub(crate) fn of_answer(answer: &Answer, what: &str) -> Result<Bearer, Fault> {
    #[derive(Deserialize)]
    struct Given<'a> {
        #[serde(borrow)]
        access_token: &'a RawValue,
        #[serde(borrow)]
        expires_in: Option<&'a RawValue>,
    }
    if !answer.is_success() {
        return Err(refusal(answer, what));
    }
    let given: Given<'_> = json::parse(answer.json()?, what)?;
    let token = json::secret_text(given.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Fault::malformed(format!("{what} holds no token")))?;
    // Some services write the number as text.
    let life = given.expires_in.and_then(|raw| raw.get().trim_matches('"').parse().ok()).map(Duration::from_secs);
    Ok(Bearer::new(token, life))
}

fn refusal(answer: &Answer, what: &str) -> Fault {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        error: serde_json::Value,
        error_description: String,
    }
    let refusal: Refusal = answer.json().ok().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let said = match &refusal.error {
        serde_json::Value::String(code) => format!("{code}: {}", refusal.error_description),
        other => other["message"].as_str().unwrap_or_default().to_owned(),
    };
    let fault = answer.fault(Some(&said));
    let fault = if fault.kind.is_transient() { fault } else { fault.with_kind(ErrorKind::Unauthenticated) };
    Fault { fix: "check the credentials of this process, and that they are current".into(), ..fault }.during(what)
}

/// How a token is signed (RFC 7518, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSA with PKCS #1 padding.
    Rs256,
    /// RSA with PSS padding.
    Ps256,
}

/// Signs claims with an RSA key in PEM (RFC 7519); `head` holds the members of the header besides `alg` and `typ`.
pub(crate) fn signed_claims(
    key_pem: &[u8],
    algorithm: Algorithm,
    mut head: serde_json::Value,
    claims: &serde_json::Value,
) -> Result<Zeroizing<String>, Fault> {
    let unreadable = || Fault::configuration("the private key is no RSA key in PEM", "check the key file");
    let key = match PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| unreadable())? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(unreadable()),
    }
    .map_err(|_| unreadable())?;
    let (name, padding): (_, &dyn RsaEncoding) = match algorithm {
        Algorithm::Rs256 => ("RS256", &RSA_PKCS1_SHA256),
        Algorithm::Ps256 => ("PS256", &RSA_PSS_SHA256),
    };
    head["alg"] = name.into();
    head["typ"] = "JWT".into();
    let encode = |value: &serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let mut text = Zeroizing::new(format!("{}.{}", encode(&head), encode(claims)));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| unreadable())?;
    *text = format!("{}.{}", *text, BASE64URL_NOPAD.encode(&signature));
    Ok(text)
}
