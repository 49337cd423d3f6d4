//! Which language a document is written in, by what it holds.

use custody_contract::Place;

use super::document::{self};
use super::{Input, Language, ProveError, ProveOptions, aws};

/// The language of documents that act together.
pub(super) fn language(inputs: &[Input<'_>], _: &ProveOptions) -> Result<Language, ProveError> {
    let input = inputs.first();
    let Some(input) = input else { return Ok(Language::Aws) };
    let text = document::text(input.name, input.bytes)?;
    let node = document::parse(input.name, text)?;
    if aws::is_policy(&node) {
        return Ok(Language::Aws);
    }
    Err(ProveError::input(Place::file(input.name), "no known policy language", "say which with --as"))
}
