//! `custody init` on arbitrary files at arbitrary paths: what it writes is a contract file that can be used, with nothing
//! in it that a path or a file's content put there.
#![no_main]

use std::sync::LazyLock;

use custody_contract::{Contract, MemoryTree};
use custody_gate::propose;
use custody_scan::engine::Engine;
use libfuzzer_sys::fuzz_target;

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::builtin);

fuzz_target!(|files: Vec<(String, String)>| {
    // The index picks what the proposal looks into; the path's own text goes before it, as a file tree has it.
    let names = [".env.example", "live.env.example", "deploy/prod/a.yaml", "golden/a", "src/a.ts", "compose.yml"];
    let files = files.into_iter().take(8).enumerate();
    let tree = MemoryTree::new(files.map(|(index, (path, content))| {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !["", ".", ".."].contains(part)).collect();
        parts.push(names[index % names.len()]);
        (parts.join("/"), content)
    }));
    let text = propose(&tree, &*ENGINE);
    let contract = Contract::load(&text, "custody.toml", jiff::civil::date(2026, 1, 1)).expect("a usable contract");
    assert!(contract.waivers.is_empty() && contract.surfaces.exclusions.is_empty());
    assert!(contract.disabled_rules.is_empty() && contract.notes.is_empty());
});
