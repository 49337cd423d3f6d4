//! Keys in memory, for tests and for logs that end with their process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::KeyStore;
use crate::error::AuditError;

/// A [`KeyStore`] in memory. Clones share what is stored.
#[derive(Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<BTreeMap<String, Zeroizing<Vec<u8>>>>>);

impl KeyStore for MemoryKeys {
    fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, AuditError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<(), AuditError> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(name.to_owned(), Zeroizing::new(value.to_vec()));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), AuditError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}
