//! Engines that make credentials for the caller: what they give is leased.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::super::{ErrorKind, Fault, Lease, Metadata, json};
use super::api::{envelope, refusal};
use super::kv::{Secret, fields_of, plain_path};
use super::login::object;
use super::{OpenBao, Place};

/// The leases that were given and have not ended.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<String, Held>>);

/// A credential that was made: user name and password are asked for by two references but belong together.
struct Held {
    data: Zeroizing<Vec<u8>>,
    metadata: Metadata,
    fresh_until: Instant,
}

impl OpenBao {
    /// Reads from an engine; a credential that is leased is given again while more than half of its life is left.
    pub(super) fn read_leased(&self, place: &Place) -> Result<Secret, Fault> {
        let path = plain_path(place);
        {
            let mut held = self.leases.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, held| held.metadata.expires.is_none_or(|expires| expires > Timestamp::now()));
            if let Some(held) = held.get(&path).filter(|held| Instant::now() < held.fresh_until) {
                return Ok(Secret { data: held.data.clone(), metadata: held.metadata.clone() });
            }
        }
        let answer = self.get(&path)?;
        let envelope = envelope(&answer, "the credential")?;
        let data = fields_of(&envelope)?;
        let id = envelope.lease_id.filter(|id| !id.is_empty());
        let Some(id) = id else {
            let metadata = rotated(&data);
            return Ok(Secret { data, metadata });
        };
        let duration = Duration::from_secs(envelope.lease_duration.unwrap_or(0));
        let lease = Lease { id: id.into_owned(), duration, is_renewable: envelope.renewable.unwrap_or(false) };
        let now = Timestamp::now();
        let expires = SignedDuration::try_from(duration).ok().and_then(|life| now.checked_add(life).ok());
        let metadata = Metadata { version: None, created: Some(now), expires, lease: Some(lease) };
        let held = Held {
            data: data.clone(),
            metadata: metadata.clone(),
            fresh_until: Instant::now() + duration.min(Duration::from_secs(1 << 31)) / 2,
        };
        self.leases.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path, held);
        Ok(Secret { data, metadata })
    }

    /// Extends a lease.
    pub(super) fn renew_lease(&self, lease: &Lease) -> Result<Lease, Fault> {
        let answer = self.with_token(|token| {
            self.api.post("sys/leases/renew", object(&[("lease_id", &lease.id)]), Some(token.expose()))
        })?;
        if answer.status == 400 || answer.status == 404 {
            let said = refusal(&answer);
            return Err(Fault::new(
                ErrorKind::NotFound,
                format!("the lease cannot be extended: {}", said.why),
                "resolve it again",
            ));
        }
        let envelope = envelope(&answer, "the answer to the renewal")?;
        let duration = Duration::from_secs(envelope.lease_duration.unwrap_or(0));
        let renewed = Lease { id: lease.id.clone(), duration, is_renewable: envelope.renewable.unwrap_or(false) };
        let mut held = self.leases.0.lock().unwrap_or_else(PoisonError::into_inner);
        for held in held.values_mut().filter(|held| held.metadata.lease.as_ref().is_some_and(|own| own.id == lease.id))
        {
            held.metadata.expires =
                SignedDuration::try_from(duration).ok().and_then(|life| Timestamp::now().checked_add(life).ok());
            held.metadata.lease = Some(renewed.clone());
            held.fresh_until = Instant::now() + duration.min(Duration::from_secs(1 << 31)) / 2;
        }
        Ok(renewed)
    }

    /// Ends a lease; one that has ended is no fault.
    pub(super) fn revoke_lease(&self, id: &str) -> Result<(), Fault> {
        let mut held = self.leases.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| held.metadata.lease.as_ref().is_none_or(|own| own.id != id));
        drop(held);
        // `sync`: when this returns, the credential no longer works.
        let body = sync_revocation(id);
        let answer = self.with_token(|token| self.api.post("sys/leases/revoke", body.clone(), Some(token.expose())))?;
        if answer.is_success() { Ok(()) } else { Err(refusal(&answer)) }
    }

    /// Ends all leases that this backend was given.
    pub(super) fn revoke_leases(&self) -> Result<(), Fault> {
        let held = std::mem::take(&mut *self.leases.0.lock().unwrap_or_else(PoisonError::into_inner));
        let ids = held.into_values().filter_map(|held| held.metadata.lease).map(|lease| lease.id);
        // One that fails does not keep the others.
        ids.map(|id| self.revoke_lease(&id)).fold(Ok(()), Result::and)
    }
}

fn sync_revocation(id: &str) -> Zeroizing<Vec<u8>> {
    let mut body = object(&[("lease_id", id)]);
    body.pop();
    body.extend_from_slice(b",\"sync\":true}");
    body
}

/// What a static role tells of its password's age.
fn rotated(data: &[u8]) -> Metadata {
    #[derive(serde::Deserialize)]
    struct StaticRole<'a> {
        #[serde(borrow)]
        last_vault_rotation: std::borrow::Cow<'a, str>,
        #[serde(default)]
        ttl: Option<u32>,
    }
    let Ok(role) = json::parse::<StaticRole<'_>>(data, "the role") else { return Metadata::default() };
    let created = role.last_vault_rotation.parse().ok();
    let expires = role.ttl.and_then(|ttl| Timestamp::now().checked_add(SignedDuration::from_secs(i64::from(ttl))).ok());
    Metadata { version: None, created, expires, lease: None }
}
