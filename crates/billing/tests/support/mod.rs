//! What the tests share: the real packs, the engine, and checks over trees in memory.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use custody_billing::{BillingCheck, Mode};
use custody_contract::{Contract, Environment, MemoryTree};
use custody_scan::engine::Engine;
use serde_json::Value;

pub const PACKS: &str = "tests/contracts/fixtures/mcp";
pub const PROVIDERS: [&str; 4] = ["openops", "aws", "azure", "gcp"];

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::builtin);
static CONTRACT: LazyLock<Contract> = LazyLock::new(Contract::builtin);
static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

pub fn check(environment: Environment, mode: Mode) -> BillingCheck<'static> {
    BillingCheck { contract: &CONTRACT, environment, detector: &*ENGINE, variables: &NO_VARIABLES, mode }
}

pub fn local() -> BillingCheck<'static> {
    check(Environment::Local, Mode::Strict)
}

pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/ficecal/testdata/ficecal")
}

/// All files of the real packs, by path.
pub fn files() -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).expect("test data").map(|e| e.expect("entry").path()) {
            if entry.is_dir() {
                walk(root, &entry, out);
            } else {
                let name = entry.strip_prefix(root).expect("below").to_str().expect("UTF-8").replace('\\', "/");
                out.insert(name, std::fs::read(&entry).expect("readable"));
            }
        }
    }
    let (root, mut out) = (testdata(), BTreeMap::new());
    walk(&root, &root.join("tests"), &mut out);
    out
}

pub fn tree(files: &BTreeMap<String, Vec<u8>>) -> MemoryTree {
    MemoryTree::new(files.clone())
}

pub fn path(provider: &str, file: &str) -> String {
    format!("{PACKS}/billing.{provider}.ingest/1.0/{file}")
}

pub fn json(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Value {
    serde_json::from_slice(&files[path]).expect("JSON")
}

/// A fake AWS key id, put together at run time.
pub fn fake_key() -> String {
    ["AK", "IA", "Q7XW", "3NPL", "ZR5T", "BV2K"].concat()
}

/// A fake GitHub token with a right checksum is not needed: classic AWS secret keys have none.
pub fn fake_secret() -> String {
    ["wJ4lrX", "UtnF9M", "K7aPx2", "bQzCy8", "Rg3EhV", "5kT0dN", "oSi1"].concat()
}
