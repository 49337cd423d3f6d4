//! AWS: Secrets Manager and the Parameter Store of Systems Manager.

mod caller;
mod client;
mod credentials;
mod identity;
mod kms;
mod parameters;
mod profile;
mod secrets;
mod settings;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::json;

pub(crate) use caller::caller_identity;
pub(crate) use identity::{Asked, Identity, texts};
pub(crate) use kms::decrypt;
pub use parameters::AwsParameterStore;
pub use secrets::AwsSecretsManager;
pub use settings::{AssumeRole, AwsSettings};

/// A time as the services write it: seconds since 1970 with a fraction.
fn time(seconds: Option<f64>) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| seconds.is_finite())?;
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

/// A JSON object of strings, some of them left out.
fn object(fields: &[(&str, Option<&str>)]) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::new());
    body.push(b'{');
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        if body.len() > 1 {
            body.push(b',');
        }
        json::quote(&mut body, name);
        json::reserve(&mut body, 1);
        body.push(b':');
        json::quote(&mut body, value);
        json::reserve(&mut body, 2);
    }
    body.push(b'}');
    body
}

/// A list of strings.
fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(items).to_string()
}
