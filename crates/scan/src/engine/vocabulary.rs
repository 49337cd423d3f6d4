//! Words by which values without a format are told from what merely speaks of secrets.

/// Words which, after the word that names a secret, say that the value is something about it.
#[rustfmt::skip]
pub(super) const ABOUT: &[&str] = &[
    "name", "names", "id", "ids", "type", "types", "url", "uri", "endpoint", "path", "file", "filename", "dir",
    "arn", "ref", "reference", "header", "headers", "field", "fields", "label", "hint", "length", "len", "min",
    "max", "size", "count", "policy", "regex", "regexp", "pattern", "format", "prefix", "suffix", "expiry",
    "expires", "expiration", "expired", "ttl", "timeout", "age", "hash", "hashed", "hashes", "digest", "sha",
    "sha1", "sha256", "md5", "checksum", "fingerprint", "algorithm", "alg", "enabled", "enable", "disabled",
    "required", "valid", "invalid", "visible", "input", "placeholder", "text", "message", "msg", "error", "errors",
    "err", "title", "description", "desc", "help", "class", "selector", "element", "button", "form", "reset",
    "forgot", "strength", "manager", "provider", "service", "store", "storage", "version", "scope", "scopes",
    "audience", "issuer", "env", "var", "variable", "param", "parameter", "column", "property", "attribute", "attr",
    "index", "position", "offset", "limit", "budget", "usage", "rotation", "source", "mode", "method", "validator",
    "encoder", "encryption", "reader", "kind", "status", "state", "node", "tree", "stream", "list", "set", "map",
    "info", "date", "time", "schema", "template", "link", "page", "view", "screen", "dialog", "prompt", "char",
    "chars", "characters", "is", "has", "was", "changed", "change", "updated", "created", "at", "confirmation",
    "callback", "handler", "func", "fn", "test", "tests", "command", "cmd", "script", "location", "namespace",
    "group", "role", "user", "username", "owner", "host", "port", "region", "bucket", "resource", "backend",
    "engine", "cache", "lookup", "grant", "exchange", "request", "response", "model", "config", "spec", "options",
    "option", "key_ref", "alias", "number", "num", "bytes", "bits", "icon", "image", "color", "colour", "i18n",
    "locale", "constraint", "rule", "rules", "requirements", "generator", "factory",
];

/// Words which, before it, say the same.
#[rustfmt::skip]
pub(super) const BEFORE: &[&str] = &[
    "public", "max", "min", "num", "total", "no", "has", "is", "show", "hide", "forgot", "reset", "invalid",
    "wrong", "missing", "require", "requires", "enable", "disable", "use", "allow", "next", "page", "continuation",
    "pagination", "design", "sort", "partition", "primary", "foreign", "cache", "idempotency", "i18n", "label",
    "hashed", "hash", "input", "get", "parse", "check", "validate", "verify", "generate", "encode", "decode",
    "lexer", "syntax", "css", "unexpected", "expected", "without", "undo", "cancel", "cancellation", "bad",
    "incorrect", "weak", "type", "placeholder", "mask", "masked", "encrypted", "sealed",
];

/// What names a secret, as words of a name.
#[rustfmt::skip]
pub(super) const SECRET_WORDS: &[&str] = &[
    "password", "passwd", "pwd", "passphrase", "pass", "passcode", "secret", "secrets", "token", "apikey", "key",
    "credential", "credentials", "auth", "authtoken", "accesskey", "secretkey", "pw", "userpass", "dbpass",
    "apitoken", "accesstoken",
];

/// Beginnings of values that say where a secret is, not what it is.
#[rustfmt::skip]
pub(super) const REFERENCES: &[&[u8]] = &[
    b"cred://", b"op://", b"vault:", b"vault://", b"env:", b"env://", b"arn:", b"ssm:", b"secret:", b"secrets:",
    b"secret://", b"file:", b"file://", b"keyring:", b"keychain:", b"sops:", b"enc:", b"enc[", b"!vault",
    b"projects/", b"ref:", b"ref+", b"process.env", b"os.environ", b"os.getenv", b"secrets.", b"var.", b"env.",
    b"local.", b"data.", b"module.", b"config.", b"self.", b"this.", b"props.", b"req.", b"request.", b"settings.",
    b"options.", b"args.", b"params.", b"ctx.", b"http://", b"https://", b"urn:", b"data:", b"spring.", b"com.",
    b"org.", b"io.", b"net.", b"aws_", b"resolve:", b"{{resolve", b"@microsoft.keyvault", b"awskms:", b"gcpkms:",
    b"azurekms:", b"kms:",
];

/// Beginnings of digests and of what is not the password itself.
#[rustfmt::skip]
pub(super) const DIGESTS: &[&[u8]] = &[
    b"sha1-", b"sha256-", b"sha384-", b"sha512-", b"sha1:", b"sha256:", b"sha512:", b"md5:", b"h1:", b"$2a$",
    b"$2b$", b"$2y$", b"$argon2", b"$scrypt", b"$pbkdf2", b"pbkdf2", b"{sha", b"{ssha", b"{crypt", b"{bcrypt",
    b"$5$", b"$6$", b"$1$", b"$apr1$", b"scram-",
];
