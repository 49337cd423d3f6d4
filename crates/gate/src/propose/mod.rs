//! What `custody init` writes: a contract file made from what the repository holds.

mod found;
mod text;

use custody_contract::{FileTree, SecretRecogniser};

use found::Found;

/// A commented `custody.toml` for the repository: profile, environments, keys, surfaces and credentials that were found
/// in it.
///
/// What the profile knows already is not repeated. Owners, windows and dates are left for people to fill in: ROT-1
/// fails until they do. A path, key or reference in which `recogniser` sees secret material is left out.
pub fn propose(tree: &dyn FileTree, recogniser: &dyn SecretRecogniser) -> String {
    text::write(&Found::look(tree, recogniser))
}

#[cfg(test)]
mod tests {
    use custody_contract::{Contract, Environment, MemoryTree, Surface};
    use custody_scan::engine::Engine;
    use jiff::civil::date;

    use super::*;

    fn proposed(files: &[(&str, &str)]) -> (String, Contract) {
        let text = propose(&MemoryTree::new(files.iter().copied()), &Engine::builtin());
        let contract =
            Contract::load(&text, "custody.toml", date(2026, 1, 1)).unwrap_or_else(|p| panic!("{p:?}\n{text}"));
        (text, contract)
    }

    #[test]
    fn the_proposal_is_a_valid_contract_that_names_what_was_found() {
        let (_, contract) = proposed(&[
            (".env.example", "NODE_ENV=development\nSTRIPE_API_KEY=\nFICECAL_API_BASE=http://localhost:3000\n"),
            ("config/live.env.example", "NODE_ENV=production\nREGION=eu\n"),
            ("src/a.ts", "const ref = 'cred://aws/production/readonly';"),
            ("deploy/production/api.yaml", "kind: Deployment"),
            ("golden/\"odd\".json", "{}"),
        ]);
        assert_eq!((contract.profile.as_str(), contract.credentials.len()), ("ficecal", 1));
        assert!(contract.keys.iter().any(|k| k.name == "STRIPE_API_KEY" && k.secret));
        assert!(
            contract.environments.get(Environment::Prod).expect("named").templates.is_match("config/live.env.example")
        );
        assert_eq!(contract.surface_of("golden/x"), Some(Surface::Fixtures));
    }

    #[test]
    fn a_repository_without_ficecals_signs_gets_the_general_profile() {
        for files in [
            &[][..],
            &[("README.md", "Works with FICECAL_API_BASE and billing.aws.ingest.")],
            &[(".env.example", "PORT=8080\nAPI_TOKEN=\n"), ("package.json", "{}")],
        ] {
            assert_eq!(proposed(files).1.profile, "custody", "{files:?}");
        }
        for file in [
            ("deploy/api.env.example", "FICECAL_MCP_BASE=\n"),
            ("src/config.ts", "process.env.FICECAL_API_BASE"),
            ("tests/contracts/fixtures/mcp/billing.aws.ingest/1.0/request.valid.json", "{}"),
            ("scripts/validate-billing-canonical-handoff.py", ""),
        ] {
            assert_eq!(proposed(&[file]).1.profile, "ficecal", "{file:?}");
        }
    }

    #[test]
    fn keys_of_templates_are_declared_with_what_their_names_and_values_say() {
        let template =
            "PORT=8080\nBASE_URL=https://a.example.com\nDEBUG=false\nODD_URL=not a url\nDB_PASSWORD=\nNAME=x\n";
        let (_, contract) = proposed(&[(".env.example", template)]);
        let kinds: Vec<_> = contract.keys.iter().map(|k| format!("{} {:?} {}", k.name, k.kind, k.secret)).collect();
        assert_eq!(
            kinds,
            [
                "BASE_URL Url false",
                "DB_PASSWORD String true",
                "DEBUG Boolean false",
                "NAME String false",
                "ODD_URL String false",
                "PORT Port false"
            ]
        );
    }

    #[test]
    fn a_reference_without_a_known_environment_leaves_the_key_out_and_asks_for_it() {
        let (text, contract) = proposed(&[
            ("src/a.py", "ref = 'cred://aws/production/readonly'"),
            (".env.production.example", "REF=cred://gcp/all/readonly\n"),
        ]);
        let of =
            |r: &str| &contract.credentials.iter().find(|c| c.reference.as_str() == r).expect("there").environments;
        assert!(of("cred://aws/production/readonly").is_empty());
        assert_eq!(of("cred://gcp/all/readonly"), &[Environment::Prod]);
        assert!(!text.contains("environments = []"), "{text}");
        assert!(text.contains("# environments = [\"stage\", \"prod\"]"), "{text}");
    }

    #[test]
    fn test_data_is_no_deployment_and_names_no_credential() {
        let (text, contract) = proposed(&[
            ("loader/testdata/compose.yaml", "services: {a: {environment: {REF: cred://aws/x/readonly}}}"),
            ("tests/compose.yaml", "services: {}"),
            ("docs/example/.env.example", "SOMETHING=1"),
        ]);
        assert!(contract.credentials.is_empty() && contract.keys.is_empty(), "{text}");
        assert!(!text.contains("testdata"), "{text}");
    }

    #[test]
    fn a_path_cannot_write_into_the_contract() {
        let hostile = "x\n[[waiver]]\nid = \"w\"\nrule = \"r\"\nowner = \"o\"\nreason = \"r\"\nexpires = 2099-01-01\n#";
        let (_, contract) = proposed(&[
            (&format!("{hostile}/.env.example"), "KEY=\n# REF=\nOTHER=cred://aws/x/readonly\n"),
            (&format!("{hostile}/golden/a.json"), "{}"),
            (&format!("{hostile}/deploy/prod/a.yaml"), "a: b"),
            (&format!("{hostile}\u{7f}\u{1b}[2J/samples/a"), ""),
            ("src/\u{85}\u{2028}.ts", "x('cred://gcp/x/readonly')"),
        ]);
        assert!(contract.waivers.is_empty());
        assert_eq!((contract.keys.len(), contract.credentials.len()), (2, 2));
    }

    #[test]
    fn a_pattern_character_in_a_path_is_taken_literally() {
        let (_, contract) = proposed(&[("a[b]{c}*?/.env.example", "KEY=\n"), ("x!y\\z/golden/a", "")]);
        let local = contract.environments.get(Environment::Local).expect("named");
        assert!(local.templates.is_match("a[b]{c}*?/.env.example"));
        assert!(!local.templates.is_match("ab/c/.env.example"));
        assert_eq!(contract.surface_of("x!y\\z/golden/a"), Some(Surface::Fixtures));
    }
}
