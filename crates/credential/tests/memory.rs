//! A resolved value is in the process's memory while it is used, and nowhere in it afterwards.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use custody_contract::{Contract, CredentialRef, Environment};
use custody_credential::{Context, Resolver, SecretValue};

/// What hides the value that is looked for, so that the search itself does not find its own needle.
const MASK: u8 = 0xa5;

/// How often the value stands in this process's memory.
fn copies(masked: &[u8]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("readable");
    let memory = File::open("/proc/self/mem").expect("readable");
    let mut buffer = vec![0u8; 1 << 20];
    let own = buffer.as_ptr_range();
    let mut found = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, modes) = (words.next().expect("a range"), words.next().expect("modes"));
        if !modes.starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two ends");
        let (start, end) = (u64::from_str_radix(start, 16).expect("hex"), u64::from_str_radix(end, 16).expect("hex"));
        let mut at = start;
        while at < end {
            let length = usize::try_from(end - at).expect("fits").min(buffer.len());
            let Ok(read) = memory.read_at(&mut buffer[..length], at) else { break };
            for (offset, window) in buffer[..read].windows(masked.len()).enumerate() {
                let address = at + offset as u64;
                let is_buffer = (own.start as u64..own.end as u64).contains(&address);
                if !is_buffer && window.iter().zip(masked).all(|(byte, masked)| byte ^ MASK == *masked) {
                    found += 1;
                }
            }
            buffer[..read].fill(0);
            if read < length || read <= masked.len() || at + read as u64 >= end {
                break;
            }
            at += (read - masked.len()) as u64;
        }
    }
    found
}

#[test]
fn nothing_of_a_value_is_left_after_its_last_use() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().display().to_string();
    let context = Context::process(directory.path()).with_variables(BTreeMap::from([("HOME".to_owned(), home)]));
    let resolver = Resolver::new(&Contract::builtin(), Environment::Local, context).expect("valid");
    let reference = CredentialRef::parse("cred://aws/local/readonly").expect("valid");
    let mut masked = [0u8; 48];
    getrandom::fill(&mut masked).expect("random");
    let value = SecretValue::fill(masked.len(), |out| {
        out.iter_mut().zip(&masked).for_each(|(byte, masked)| *byte = masked ^ MASK);
        Ok::<usize, ()>(masked.len())
    });
    let value = value.expect("filled");
    assert!(copies(&masked) >= 1, "the search finds what is there");
    resolver.put(&reference, &value).expect("written");
    drop(value);
    assert_eq!(copies(&masked), 0, "copies after it was written");
    let resolved = resolver.resolve(&[reference]).remove(0).expect("resolves");
    assert_eq!(copies(&masked), 1, "copies while it is used");
    assert!(resolved.value.is_locked());
    drop(resolved);
    assert_eq!(copies(&masked), 0, "copies after its last use");
}
