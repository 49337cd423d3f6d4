//! Policies judged per second: `cargo run --profile quick -p custody-credential --example bench_prove`.

use std::time::Instant;

use custody_credential::prove::{Input, ProveOptions, aws, prove};

fn main() {
    let policies: Vec<aws::Managed> = aws::managed_policies().collect();
    let rounds = 50;
    for pass in ["first round, table not yet parsed", "further rounds"] {
        let rounds = if pass.starts_with("first") { 1 } else { rounds };
        let (started, mut offences) = (Instant::now(), 0);
        for _ in 0..rounds {
            for policy in &policies {
                let input = [Input::grant(policy.name, policy.document.as_bytes())];
                let verdict = prove(&input, &ProveOptions::default()).expect("a policy");
                offences += verdict.offences.len();
            }
        }
        let (count, seconds) = (rounds * policies.len(), started.elapsed().as_secs_f64());
        println!(
            "{pass}: {count} policies, {seconds:.4} s, {:.0} a second, {offences} offences",
            count as f64 / seconds
        );
    }
}
