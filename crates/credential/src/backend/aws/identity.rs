//! IAM and STS as a credential itself may ask them: for the read-only proof of that credential.

use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

use super::super::http::Request;
use super::super::{ErrorKind, Fault, Variables};
use super::client::{Context, meaning, signed};
use super::credentials::Keys;
use super::settings::AwsSettings;

/// Most values in one answer.
const MAX_NODES: u32 = 200_000;
/// Most pages of one list.
const MAX_PAGES: usize = 100;

/// The services that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Who is it?
    Sts,
    /// What is it granted?
    Iam,
}

/// A credential that asks.
pub(crate) struct Identity {
    context: Context,
    keys: Keys,
}

impl Identity {
    /// Keys as JSON with the names that AWS and its tools use.
    pub(crate) fn of_json(secret: &[u8], variables: &Variables) -> Result<Self, Fault> {
        const NAMES: [[&str; 4]; 5] = [
            ["access_key_id", "secret_access_key", "session_token", "expiration"],
            ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "expiration"],
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"],
            ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"],
            ["accessKeyId", "secretAccessKey", "sessionToken", "expiration"],
        ];
        let found = NAMES.iter().find_map(|names| Keys::of_json(secret, *names, "the credential").ok());
        let keys = found.ok_or_else(|| {
            Fault::configuration(
                "the credential holds no pair of keys",
                "store it as JSON with access_key_id and secret_access_key, or give its policies: custody cred prove POLICY --for REFERENCE",
            )
        })?;
        Ok(Self { context: Context::new(AwsSettings::default(), variables)?, keys })
    }

    /// Calls an operation; the XML of an answer that worked.
    pub(crate) fn ask(&self, asked: Asked, operation: &str, fields: &[(&str, &str)]) -> Result<String, Fault> {
        let (name, version) = match asked {
            Asked::Sts => ("sts", "2011-06-15"),
            Asked::Iam => ("iam", "2010-05-08"),
        };
        let region = self.context.region().unwrap_or_else(|_| "us-east-1".to_owned());
        let (address, region) = match asked {
            Asked::Sts => (self.context.endpoint("sts", "sts", &region)?, region),
            Asked::Iam => self.iam(&region)?,
        };
        let url = format!("{address}/");
        let all: Vec<(&str, &str)> =
            [("Action", operation), ("Version", version)].into_iter().chain(fields.iter().copied()).collect();
        let request = Request::post(&url).form(&all, &[]);
        let body = request.body_bytes().to_vec();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let request = signed(request, &url, &headers, &body, &self.keys, name, &region)?;
        let answer = self.context.http.send(&request)?;
        let text = String::from_utf8(answer.body.to_vec())
            .map_err(|_| Fault::malformed(format!("{} answered no text", answer.place)))?;
        if answer.is_success() {
            return Ok(text);
        }
        let code = texts(&text, "Code").ok().and_then(|codes| codes.into_iter().next()).unwrap_or_default();
        let fault = meaning(&code, answer.fault(Some(&format!("{operation}: {code}"))));
        Err(match fault.kind {
            ErrorKind::Denied => Fault::new(
                ErrorKind::Denied,
                format!("the credential may not ask what it is granted (iam:{operation})"),
                "allow it iam:Get* and iam:List* on itself, or give its policies: custody cred prove POLICY… --together --for REFERENCE",
            ),
            _ => fault,
        })
    }

    /// IAM is one for each partition.
    fn iam(&self, region: &str) -> Result<(String, String), Fault> {
        let configured = self.context.endpoint("iam", "iam", region)?;
        if !configured.starts_with("https://iam.") {
            return Ok((configured, "us-east-1".into()));
        }
        Ok(match region {
            r if r.starts_with("cn-") => ("https://iam.cn-north-1.amazonaws.com.cn".into(), "cn-north-1".into()),
            r if r.starts_with("us-gov-") => ("https://iam.us-gov.amazonaws.com".into(), "us-gov-west-1".into()),
            _ => ("https://iam.amazonaws.com".into(), "us-east-1".into()),
        })
    }

    /// The texts of all elements of one name, over all pages of a list.
    pub(crate) fn list(&self, operation: &str, fields: &[(&str, &str)], element: &str) -> Result<Vec<String>, Fault> {
        let (mut all, mut marker) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut fields = fields.to_vec();
            fields.extend(marker.as_deref().map(|marker| ("Marker", marker)));
            let answer = self.ask(Asked::Iam, operation, &fields)?;
            all.extend(texts(&answer, element)?);
            let is_cut = texts(&answer, "IsTruncated")?.first().is_some_and(|text| text == "true");
            marker = texts(&answer, "Marker")?.into_iter().next().filter(|_| is_cut);
            if marker.is_none() {
                return if is_cut {
                    Err(Fault::malformed("a list has another page and does not say where"))
                } else {
                    Ok(all)
                };
            }
        }
        Err(Fault::malformed(format!("{operation} has more than {MAX_PAGES} pages")))
    }

    /// A policy document in an answer: JSON, percent-encoded.
    pub(crate) fn document(&self, operation: &str, fields: &[(&str, &str)], element: &str) -> Result<Vec<u8>, Fault> {
        let answer = self.ask(Asked::Iam, operation, fields)?;
        let text = texts(&answer, element)?.into_iter().next();
        let text = text.ok_or_else(|| Fault::malformed(format!("{operation} answered without a document")))?;
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(&text).collect();
        let is_json = serde_json::from_slice::<Value>(&decoded).is_ok();
        Ok(if is_json { decoded } else { text.into_bytes() })
    }
}

/// The texts of all elements of one name, whatever its namespace.
pub(crate) fn texts(xml: &str, name: &str) -> Result<Vec<String>, Fault> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(xml, options)
        .map_err(|_| Fault::malformed("the answer is no XML that can be read"))?;
    let found = document.descendants().filter(|node| node.tag_name().name() == name);
    Ok(found.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect())
}
