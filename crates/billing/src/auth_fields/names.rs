//! Field names that carry authentication.

use std::borrow::Cow;

use crate::plain::plain;

/// Whole names, without separators and in lower case.
const NAMES: &str = "\
    accesskey accesskeyid accountkey apikey apikeyid apitoken assertion auth authentication authheader \
    authheaders authkey awsaccesskeyid bearer cert certificate clientassertion clientcert clientcertificate \
    connectionstring connstr connstring consumerkey cookie cookies credential credentials creds databaseurl dsn \
    encryptionkey headers hmac hmackey httpheaders jwt keystore keytab kubeconfig login masterkey mfacode otp \
    pass passcode passphrase passwd password pat pem pfx pin pkcs12 privatekey privatekeyid proxyauth pwd \
    requestheaders sas sastoken sasurl sasuri secret secretaccesskey secretkey secrets secretvalue securitytoken \
    serviceaccount serviceaccountjson serviceaccountkey sessionid sessionkey setcookie sharedaccesskey \
    sharedaccesssignature sharedkey sig signature signingkey sshkey storagekey subscriptionkey token tokens totp \
    webhook webhookurl xamzsignature xamzsecuritytoken xapikey";

/// Last words of longer names, such as `dbPassword` or `X-Vault-Token`.
const LAST: &str = "\
    apikey authorization authorisation bearer connectionstring cookie credential credentials jwt passphrase \
    passwd password privatekey pwd secret secrets signature token tokens";

/// Words that make a following `key` one that opens something.
const BEFORE_KEY: &str = "\
    access account admin api auth client encryption function host license master primary private pub publishable \
    secondary secret service shared signing ssh storage";

/// Words that may follow without changing what the field carries.
const FORM: &str = "\
    b64 base64 data encoded encrypted enc hash header hex json pem plain raw string text value";

/// Words before `token` that make it a cursor of a listing.
const CURSOR: &str = "\
    continuation cursor marker next page pagination paging resume skip sync";

/// Ends of names that are written in one word, such as `dbpassword`.
const ENDS: &str = "\
    password passwd apikey secretkey accesskey accesstoken authtoken clientsecret privatekey connectionstring sessiontoken \
    refreshtoken idtoken bearertoken accesskeyid";

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|w| w == word)
}

/// Whether a field of this name carries authentication.
pub(crate) fn is_auth_bearing(name: &str) -> bool {
    let mut words = words(name);
    loop {
        if carries(&words) {
            return true;
        }
        match words.last() {
            Some(last) if words.len() > 1 && (has(FORM, last) || last.bytes().all(|b| b.is_ascii_digit())) => {
                words.pop();
            }
            _ => return false,
        }
    }
}

fn carries(words: &[String]) -> bool {
    let joined = words.concat();
    if joined == "credentialref" || joined == "authmode" {
        return false;
    }
    if has(NAMES, &joined) {
        return true;
    }
    let Some((last, before)) = words.split_last() else { return false };
    let previous = before.last().map_or("", String::as_str);
    if last.starts_with("token") && has(CURSOR, previous) {
        return false;
    }
    has(LAST, last)
        || has(LAST, &format!("{previous}{last}"))
        || (last == "key" && has(BEFORE_KEY, previous))
        || joined.ends_with("accesskeyid")
        || (words.len() == 1 && ENDS.split_ascii_whitespace().any(|end| joined.ends_with(end)))
}

/// The lower-case words of a name in any spelling: `X-Api_keyID2` is `x`, `api`, `key`, `id`, `2`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    let name = plain(name).map_or(Cow::Borrowed(name), Cow::Owned);
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() {
            let next_lower = chars.peek().is_some_and(|n| n.is_lowercase());
            let new = !previous.is_alphanumeric()
                || (c.is_uppercase() && (!previous.is_uppercase() || next_lower))
                || (c.is_numeric() && !previous.is_numeric() && words.last().is_some_and(|w| w.len() > 3));
            if new {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(c.to_lowercase());
            }
        }
        previous = c;
    }
    words
}

pub(super) fn compact(name: &str) -> String {
    let name = plain(name).map_or(Cow::Borrowed(name), Cow::Owned);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_carry_authentication_are_told_in_any_spelling() {
        let names = "apiKey|api_key|api-key|APIKEY|x-api-key|X-Api-Key|password|Password|passwd|pwd|token|accessToken|\
             refresh_token|id-token|bearer|authorization|Proxy-Authorization|cookie|Set-Cookie|secret|\
             clientSecret|secretAccessKey|AWS_SECRET_ACCESS_KEY|accessKeyId|awsAccessKeyID|sessionToken|\
             privateKey|private_key_pem|connectionString|sas|sasToken|signature|certificate|webhookUrl|\
             credentials|headers|dbPassword|password2|tokenValue|passwordHash|x-vault-token|client.secret|\
             client secret|pass\u{200b}word|ａｐｉＫｅｙ|раѕѕword|accountKey|githubToken|serviceAccountKey|dbpassword";
        for name in names.split('|') {
            assert!(is_auth_bearing(name), "{name}");
        }
    }

    #[test]
    fn harmless_fields_are_not() {
        let names = "tokenCount|nextPageToken|pageToken|continuationToken|next_token|currency|authMode|credentialRef|\
             author|authority|accountScope|keyword|monkey|passenger|secretary|billingAccountScope|datasetRegion|\
             exportSink|costKey|partitionKey|groupKey|tokenizer|compass|signatureless|passthrough|key|sortKey|\
             tenantScope|spinCount|pattern";
        for name in names.split('|') {
            assert!(!is_auth_bearing(name), "{name}");
        }
    }
}
