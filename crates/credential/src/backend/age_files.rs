//! Files of age identities, for whoever decrypts with them.

use std::path::Path;

use crate::SecretValue;

/// Largest file of identities, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The identities in a file, as `age-keygen` writes them.
///
/// # Errors
/// What is wrong with the file; never with its content.
pub(crate) fn identities(path: &Path) -> Result<Vec<Box<dyn age::Identity>>, String> {
    let shown = path.display();
    let text = SecretValue::read_file(path, MAX_BYTES).map_err(|e| format!("cannot read {shown}: {e}"))?;
    identities_of(&text).map_err(|why| format!("{shown} {why}"))
}

/// The identities in a text.
pub(crate) fn identities_of(text: &SecretValue) -> Result<Vec<Box<dyn age::Identity>>, String> {
    let file = age::IdentityFile::from_buffer(text.expose());
    // The library's message may quote a line.
    let file = file.map_err(|_| "is no file of age identities".to_owned())?;
    let identities = file.into_identities().map_err(|_| "has identities that cannot be used here".to_owned())?;
    if identities.is_empty() {
        Err("has no age identity".to_owned())
    } else {
        Ok(identities.into_iter().map(|i| i as _).collect())
    }
}
