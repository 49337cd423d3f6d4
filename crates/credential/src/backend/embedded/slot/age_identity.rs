//! Recipients of the program age (age-encryption.org/v1): whoever has one of their identities opens the store.

use std::io::{BufReader, Read, Write};
use std::str::FromStr;

use crate::SecretValue;
use crate::backend::age_files;
use crate::backend::embedded::error::StoreError;

use super::{Keys, Slot};

pub(super) fn make(recipients: &[String], data_key: &SecretValue) -> Result<Slot, StoreError> {
    let key = |why: String| StoreError::Key(why);
    if recipients.is_empty() {
        return Err(key("no age recipient is named".to_owned()));
    }
    let parsed: Vec<age::x25519::Recipient> = recipients
        .iter()
        .map(|r| age::x25519::Recipient::from_str(r).map_err(|_| key("an age recipient starts with age1".to_owned())))
        .collect::<Result<_, _>>()?;
    let refer = parsed.iter().map(|r| r as &dyn age::Recipient);
    let wrapped = (|| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let mut sealed = Vec::new();
        let armored = age::armor::ArmoredWriter::wrap_output(&mut sealed, age::armor::Format::AsciiArmor)?;
        let mut writer = age::Encryptor::with_recipients(refer)?.wrap_output(armored)?;
        writer.write_all(data_key.expose())?;
        writer.finish()?.finish()?;
        Ok(sealed)
    })();
    let wrapped = wrapped.map_err(|e| key(format!("the key cannot be wrapped: {e}")))?;
    let wrapped = String::from_utf8(wrapped).map_err(|_| key("age wrote no text".to_owned()))?;
    Ok(Slot::Age { recipients: recipients.to_vec(), wrapped })
}

pub(super) fn open(keys: &Keys, wrapped: &str) -> Result<SecretValue, String> {
    let path = keys.identity_file.as_ref().ok_or("no identity-file is named")?;
    let identities = age_files::identities(path)?;
    let armored = age::armor::ArmoredReader::new(BufReader::new(wrapped.as_bytes()));
    let decryptor = age::Decryptor::new_buffered(armored).map_err(|e| e.to_string())?;
    let reader = decryptor
        .decrypt(identities.iter().map(|i| &**i as &dyn age::Identity))
        .map_err(|_| format!("{} has no identity of its recipients", path.display()))?;
    SecretValue::read_from(reader.take(1024), 1024).map_err(|e| e.to_string())
}
