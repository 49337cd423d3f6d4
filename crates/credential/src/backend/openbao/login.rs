//! Logging in: the token of this backend, how it is got, kept alive and given back.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::super::{ErrorKind, Fault, Variables, json};
use super::api::{Api, envelope, is_unknown_token, refusal};
use super::settings::Login;

/// Where a pod finds the token of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Largest file that is read as a token.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;

/// The token and how to get another.
pub(super) struct Session {
    login: Login,
    variables: Variables,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The secret id that a wrapping token stood for: it can be unwrapped only once.
    secret_id: Option<Zeroizing<String>>,
}

/// A token that is in use.
#[derive(Clone)]
pub(super) struct Token {
    text: Zeroizing<String>,
    is_own: bool,
    is_renewable: bool,
    /// When it ends, and when it should be extended.
    times: Option<(Instant, Instant)>,
}

impl Token {
    /// The text, for the header.
    pub(super) fn expose(&self) -> &str {
        &self.text
    }
}

#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(borrow)]
    client_token: Option<&'a RawValue>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl Session {
    /// A session that logs in at the first request.
    pub(super) fn new(login: Option<Login>, variables: Variables) -> Self {
        Self { login: login.unwrap_or(Login::Token { file: None }), variables, state: Mutex::default() }
    }

    /// The token: one thread logs in, the others wait for it.
    pub(super) fn token(&self, api: &Api) -> Result<Token, Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let usable = state.token.clone().filter(|token| token.times.is_none_or(|(end, _)| now < end));
        if let Some(token) = usable {
            let is_due = token.is_renewable && token.times.is_some_and(|(_, due)| now >= due);
            if !is_due {
                return Ok(token);
            }
            if let Ok(renewed) = renew(api, &token) {
                state.token = Some(renewed.clone());
                return Ok(renewed);
            }
            // A token that cannot be extended any more still works until it ends, unless there is a way to another.
            if !token.is_own {
                return Ok(token);
            }
        }
        let token = self.log_in(api, &mut state)?;
        state.token = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that the server does not know any more. Whether another can be had.
    pub(super) fn forget(&self, token: &Token) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.token.as_ref().is_some_and(|current| current.text == token.text) {
            state.token = None;
        }
        token.is_own
    }

    /// Extends the token; how long it is valid then. `None` for one without an end.
    pub(super) fn renew(&self, api: &Api) -> Result<Option<Duration>, Fault> {
        let token = self.token(api)?;
        let looked_up = if token.times.is_some() { token } else { look_up(api, &token)? };
        let renewed = if looked_up.is_renewable { renew(api, &looked_up)? } else { looked_up };
        let left = renewed.times.map(|(end, _)| end.saturating_duration_since(Instant::now()));
        self.state.lock().unwrap_or_else(PoisonError::into_inner).token = Some(renewed);
        Ok(left)
    }

    /// Gives a token back that this session logged in for; one that was there before stays.
    pub(super) fn end(&self, api: &Api) -> Result<(), Fault> {
        let token = self.state.lock().unwrap_or_else(PoisonError::into_inner).token.take();
        match token {
            Some(token) if token.is_own => {
                let answer = api.post("auth/token/revoke-self", empty(), Some(token.expose()))?;
                if answer.is_success() || answer.status == 403 { Ok(()) } else { Err(refusal(&answer)) }
            }
            _ => Ok(()),
        }
    }

    fn log_in(&self, api: &Api, state: &mut State) -> Result<Token, Fault> {
        match &self.login {
            Login::Token { file } => self.token_that_is_there(file.as_deref()),
            Login::Approle { mount, role_id, secret_id_file, secret_id_variable, role_name, wrapped } => {
                let secret = match state.secret_id.take() {
                    Some(secret) => secret,
                    None => {
                        let found =
                            self.material(secret_id_file.as_deref(), secret_id_variable.as_deref(), "secret id")?;
                        let mount = mount.as_deref().unwrap_or("approle");
                        if *wrapped { unwrap(api, &found, mount, role_name.as_deref())? } else { found }
                    }
                };
                let path = login_path(mount.as_deref(), "approle");
                let token = exchange(api, &path, &[("role_id", role_id), ("secret_id", &secret)], &secret);
                // Kept only where the file cannot give it again.
                state.secret_id = Some(secret).filter(|_| *wrapped);
                token
            }
            Login::Jwt { mount, role, token_file, token_variable } => {
                let jwt = self.material(token_file.as_deref(), token_variable.as_deref(), "token")?;
                let mut fields = vec![("jwt", jwt.as_str())];
                fields.extend(role.as_deref().map(|role| ("role", role)));
                exchange(api, &login_path(mount.as_deref(), "jwt"), &fields, &jwt)
            }
            Login::Kubernetes { mount, role, token_file } => {
                let file = token_file.as_deref().unwrap_or(Path::new(SERVICE_ACCOUNT));
                let jwt = read_token(file)?;
                let fields = [("role", role.as_str()), ("jwt", jwt.as_str())];
                exchange(api, &login_path(mount.as_deref(), "kubernetes"), &fields, &jwt)
            }
            Login::Certificate { mount, name } => {
                let fields: Vec<_> = name.as_deref().map(|name| ("name", name)).into_iter().collect();
                exchange(api, &login_path(mount.as_deref(), "cert"), &fields, "")
            }
        }
    }

    fn token_that_is_there(&self, file: Option<&Path>) -> Result<Token, Fault> {
        let text = match (file, self.variables.first(&["BAO_TOKEN", "VAULT_TOKEN"])) {
            (Some(file), _) => read_token(file)?,
            (None, Some(token)) => Zeroizing::new(token),
            (None, None) => {
                let helper = self.variables.home().map(|home| home.join(".vault-token"));
                let helper = helper.filter(|file| file.exists()).ok_or_else(|| {
                    Fault::unauthenticated(
                        "there is no token: neither BAO_TOKEN nor ~/.vault-token",
                        "log in (`bao login`), set BAO_TOKEN, or set `login` for this backend",
                    )
                })?;
                read_token(&helper)?
            }
        };
        Ok(Token { text: Zeroizing::new(text.trim().to_owned()), is_own: false, is_renewable: false, times: None })
    }

    fn material(&self, file: Option<&Path>, variable: Option<&str>, what: &str) -> Result<Zeroizing<String>, Fault> {
        if let Some(file) = file {
            return read_token(file);
        }
        let named = variable.ok_or_else(|| {
            Fault::configuration(format!("the login does not say where the {what} is"), "name its file or variable")
        })?;
        self.variables.get(named).map(Zeroizing::new).ok_or_else(|| {
            Fault::unauthenticated(format!("the variable {named} with the {what} is not set"), "set it, or name a file")
        })
    }
}

fn login_path(mount: Option<&str>, method: &str) -> String {
    let mount = super::super::location::encode_path(mount.unwrap_or(method).trim_matches('/'));
    format!("auth/{mount}/login")
}

fn empty() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(b"{}".to_vec())
}

/// An object of strings.
pub(super) fn object(fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::new());
    json::reserve(&mut body, 2 + fields.iter().map(|(name, value)| 8 + 6 * (name.len() + value.len())).sum::<usize>());
    body.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        json::quote(&mut body, name);
        body.push(b':');
        json::quote(&mut body, value);
    }
    body.push(b'}');
    body
}

fn exchange(api: &Api, path: &str, fields: &[(&str, &str)], secret: &str) -> Result<Token, Fault> {
    let answer = api.post_secret(path, object(fields), secret, None)?;
    if matches!(answer.status, 400 | 401 | 403) {
        let said = refusal(&answer);
        return Err(Fault::unauthenticated(
            format!("the login was refused: {}", said.why),
            "check the role, and that its credential is current",
        ));
    }
    let body = envelope(&answer, "the answer to the login")?;
    token_of(body.auth, true)
}

fn token_of(auth: Option<&RawValue>, is_own: bool) -> Result<Token, Fault> {
    let auth = auth.ok_or_else(|| Fault::malformed("the answer to the login holds no token"))?;
    let auth: Auth<'_> = json::parse(auth.get().as_bytes(), "the answer to the login")?;
    let text = auth.client_token.and_then(json::secret_text).filter(|token| !token.is_empty()).ok_or_else(|| {
        Fault::unauthenticated("the login gave no token: the server wants a second factor", "use another login")
    })?;
    Ok(Token { text, is_own, is_renewable: auth.renewable, times: times(auth.lease_duration) })
}

/// When a token of this life ends, and when two thirds of it are over.
fn times(seconds: u64) -> Option<(Instant, Instant)> {
    if seconds == 0 {
        return None;
    }
    let (now, life) = (Instant::now(), Duration::from_secs(seconds.min(10 * 365 * 24 * 3600)));
    Some((now + life, now + life * 2 / 3))
}

fn renew(api: &Api, token: &Token) -> Result<Token, Fault> {
    let answer = api.post("auth/token/renew-self", empty(), Some(token.expose()))?;
    if is_unknown_token(&answer) {
        return Err(refusal(&answer).with_kind(ErrorKind::Unauthenticated));
    }
    let body = envelope(&answer, "the answer to the renewal")?;
    let mut renewed = token_of(body.auth, token.is_own)?;
    renewed.text = token.text.clone();
    Ok(renewed)
}

fn look_up(api: &Api, token: &Token) -> Result<Token, Fault> {
    #[derive(Deserialize)]
    struct LookUp {
        #[serde(default)]
        ttl: u64,
        #[serde(default)]
        renewable: bool,
    }
    let answer = api.get("auth/token/lookup-self", Some(token.expose()))?;
    if is_unknown_token(&answer) {
        return Err(unknown_token());
    }
    let body = envelope(&answer, "the description of the token")?;
    let data = body.data.ok_or_else(|| Fault::malformed("the description of the token is empty"))?;
    let data: LookUp = json::parse(data.get().as_bytes(), "the description of the token")?;
    Ok(Token { is_renewable: data.renewable, times: times(data.ttl), ..token.clone() })
}

/// The server does not know the token.
pub(super) fn unknown_token() -> Fault {
    Fault::unauthenticated("the token is wrong, expired or revoked", "log in again")
}

/// Takes a secret id out of its wrapping. Who stole it before us has unwrapped it: then it fails here.
fn unwrap(api: &Api, wrapping: &str, mount: &str, role: Option<&str>) -> Result<Zeroizing<String>, Fault> {
    #[derive(Deserialize)]
    struct LookUp<'a> {
        #[serde(borrow, default)]
        creation_path: std::borrow::Cow<'a, str>,
    }
    let stolen = |why: &str| {
        Fault::unauthenticated(
            format!("the wrapped secret id {why}: it may have been stolen"),
            "find out who unwrapped it (audit log of the server), revoke it, and have a new one wrapped",
        )
    };
    let look_up = api.post_secret("sys/wrapping/lookup", object(&[("token", wrapping)]), wrapping, None)?;
    if matches!(look_up.status, 400 | 403 | 404) {
        return Err(stolen("was unwrapped before or has expired"));
    }
    let body = envelope(&look_up, "the description of the wrapping")?;
    let data = body.data.ok_or_else(|| Fault::malformed("the description of the wrapping is empty"))?;
    let data: LookUp<'_> = json::parse(data.get().as_bytes(), "the description of the wrapping")?;
    // Who exchanged it for one of their own would make us log in as somebody else.
    let path = data.creation_path.trim_matches('/');
    let folder = format!("auth/{}/role/", mount.trim_matches('/'));
    let made_for = path.strip_prefix(&folder).and_then(|rest| rest.strip_suffix("/secret-id"));
    if made_for.is_none_or(|name| name.contains('/') || role.is_some_and(|role| role != name)) {
        return Err(stolen("was not made by the role's own path"));
    }
    let answer = api.post("sys/wrapping/unwrap", empty(), Some(wrapping))?;
    if matches!(answer.status, 400 | 403 | 404) {
        return Err(stolen("was unwrapped before or has expired"));
    }
    let body = envelope(&answer, "the unwrapped secret id")?;
    let data = body.data.and_then(json::members).unwrap_or_default();
    data.iter()
        .find(|(name, _)| name == "secret_id")
        .and_then(|(_, raw)| json::secret_text(raw))
        .ok_or_else(|| Fault::malformed("what was wrapped is no secret id"))
}

/// Reads a file that holds one token; blanks around it do not count.
pub(crate) fn read_token(file: &Path) -> Result<Zeroizing<String>, Fault> {
    use std::io::Read;
    let shown = file.display();
    let failed = |why: String| Fault::unauthenticated(why, "check that the file is there and may be read");
    let opened =
        std::fs::File::open(file).map_err(|error| failed(format!("`{shown}` cannot be read: {}", error.kind())))?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = opened.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > MAX_TOKEN_BYTES {
        return Err(failed(format!("`{shown}` holds no token")));
    }
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() {
        return Err(failed(format!("`{shown}` is empty")));
    }
    Ok(token)
}

/// The usual path of a service account's token.
pub(crate) fn service_account() -> PathBuf {
    PathBuf::from(SERVICE_ACCOUNT)
}
