//! Masking: what a child process prints is searched for the values that it was given, and every place is replaced
//! before anybody sees it (ENV-5d).
//!
//! A value is found in any of the forms that [`Writing`] names, cut into writes anywhere, wrapped, indented, coloured,
//! escaped by whatever encoder; so are its lines, its PEM bodies, the password inside of a URL, the strings of a JSON
//! document. What is not found: compressed or encrypted values, hex dumps with addresses in between, values that are
//! cut to less than a line or reversed, values shorter than four bytes.
//!
//! A value is searched for without keeping it in memory in one piece ([`vault`]).

mod derive;
mod form;
mod step;
mod stream;
#[cfg(test)]
mod tests;
mod vault;

use std::sync::Arc;

use derive::derive;
use form::{Form, Shape};
use vault::Vault;

pub use form::Writing;
pub use stream::{Leak, MaskStream};
pub use vault::NoRandom;

use crate::SecretValue;

/// What a masked value is replaced with.
pub const MARK: &str = "***";

/// What is searched for: made once, used by any number of streams.
#[derive(Debug)]
pub struct Masker {
    vault: Vault,
    /// Which of the values each pattern comes from.
    owners: Vec<Vec<usize>>,
    forms: Vec<Form>,
    /// For each first byte whether a form may begin with it.
    firsts: Box<[bool; 256]>,
    /// For each two first bytes the list of forms that may begin with them; 0 for none.
    heads: Vec<u16>,
    lists: Vec<Vec<u32>>,
    unmasked: Vec<usize>,
}

impl Masker {
    /// A masker for these values; a [`Leak`] names one by its index here.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn new(values: &[&SecretValue]) -> Result<Arc<Masker>, NoRandom> {
        let (mut bytes, mut settings) = (Vec::<Vec<u8>>::new(), Vec::new());
        let mut owners = Vec::<Vec<usize>>::new();
        let mut unmasked = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let derived = derive(value.expose());
            if derived.is_empty() {
                unmasked.push(index);
            }
            for mut one in derived {
                if let Some(known) = bytes.iter().position(|b| *b == *one.bytes) {
                    if !owners[known].contains(&index) {
                        owners[known].push(index);
                    }
                    continue;
                }
                settings.push((one.encoded, one.wraps, std::str::from_utf8(&one.bytes).is_ok()));
                bytes.push(std::mem::take(&mut *one.bytes));
                owners.push(vec![index]);
            }
        }
        let (vault, places) = Vault::keep(&mut bytes)?;
        let mut forms = Vec::new();
        for (pattern, (place, (encoded, wraps, is_utf8))) in places.into_iter().zip(settings).enumerate() {
            let pattern = u32::try_from(pattern).unwrap_or(u32::MAX);
            let form = |shape, wraps| Form::new(pattern, place.clone(), shape, wraps, is_utf8);
            let mut add = |form: Form| {
                if form.symbols() >= 4 {
                    forms.push(form);
                    forms.extend(form.late());
                }
            };
            add(form(Shape::Text, wraps));
            if encoded {
                [0, 4, 2].into_iter().for_each(|first_bit| add(form(Shape::Base64 { first_bit }, true)));
                add(form(Shape::Hexadecimal, true));
            }
        }
        let mut masker = Masker {
            vault,
            owners,
            forms,
            firsts: Box::new([false; 256]),
            heads: vec![0; 1 << 16],
            lists: vec![Vec::new()],
            unmasked,
        };
        masker.index();
        Ok(Arc::new(masker))
    }

    /// The values that are too short to be masked.
    pub fn unmasked(&self) -> &[usize] {
        &self.unmasked
    }

    /// Whether there is anything to search for.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// A stream to mask.
    pub fn stream(self: &Arc<Self>) -> MaskStream {
        MaskStream::new(Arc::clone(self))
    }

    /// Finds out with which bytes each form may begin, by asking the form.
    fn index(&mut self) {
        let mut pairs = Vec::<(u16, u32)>::new();
        for (index, form) in self.forms.iter().enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            for head in form.heads(&self.vault) {
                self.firsts[usize::from(head[0])] = true;
                pairs.push((u16::from_be_bytes(head), index));
            }
        }
        pairs.sort_unstable();
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let forms: Vec<u32> = group.iter().map(|p| p.1).collect();
            // Many pairs have the same forms: those that begin with the same escape.
            let list = match self.lists.last() {
                Some(last) if *last == forms => self.lists.len() - 1,
                _ => {
                    self.lists.push(forms);
                    self.lists.len() - 1
                }
            };
            self.heads[usize::from(group[0].0)] = u16::try_from(list).unwrap_or(u16::MAX);
        }
    }
}
