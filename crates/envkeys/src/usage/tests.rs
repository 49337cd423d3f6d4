use super::*;

fn path(language: Language) -> &'static str {
    match language {
        Language::JavaScript => "a.ts",
        Language::Python => "a.py",
        Language::Rust => "a.rs",
        Language::Go => "a.go",
        Language::Shell => "a.sh",
    }
}

fn usage(language: Language, text: &str) -> FileUsage {
    read_keys(path(language), text.as_bytes())
}

fn lines(language: Language, text: &str) -> Vec<u32> {
    let mut lines: Vec<u32> = usage(language, text).dynamic.into_iter().map(|d| d.0).collect();
    lines.dedup();
    lines
}

fn names(language: Language, text: &str) -> Vec<String> {
    let mut names: Vec<String> = usage(language, text).reads.into_iter().map(|r| r.key).collect();
    names.sort();
    names
}

fn defaults(language: Language, text: &str) -> Vec<String> {
    usage(language, text).reads.into_iter().filter(|r| r.default).map(|r| r.key).collect()
}

#[test]
fn javascript_reads_are_found_in_all_their_forms() {
    let text = r#"
// process.env.COMMENT
/* process.env.BLOCK */
const s = "process.env.STRING"; const re = /process.env.REGEX/;
const a = process.env.A, b = process.env['B'], c = process.env?.C, d = process?.env?.["D"];
const { E, F: f = 'x', 'G': g, ...rest } = process.env;
const KEY = 'H'; const h = process.env[KEY];
const url = `http://${process.env.I}/${`x${process.env.J}`}`;
process.env.WRITTEN = '1';
if (import.meta.env.VITE_K === 'x' || import.meta.env.DEV) {}
Deno.env.get("L"); Bun.env.M;
const env = process.env; use(env.N, other.env.NOT);
const o = process.env.O ?? 1 / 2 / 3;
schema.parse(process.env); process.env[name];
const p = process.env!.P as string;
"#;
    let found = names(Language::JavaScript, text);
    assert_eq!(found, ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "L", "M", "N", "O", "P", "VITE_K"]);
    let usage = usage(Language::JavaScript, text);
    assert_eq!(lines(Language::JavaScript, text), [6, 14]);
    assert_eq!(usage.reads.iter().find(|r| r.key == "B").map(|r| (r.line, r.column)), Some((5, 43)));
    assert_eq!(names(Language::JavaScript, "import { env } from 'node:process';\nx(env.A);"), ["A"]);
}

#[test]
fn python_reads_are_found_in_all_their_forms() {
    let text = r#"
import os
from environs import Env
from decouple import config
from pydantic import Field
# os.environ["COMMENT"]
"""os.environ["DOC"]"""
a = os.environ["A"]; b = os.environ.get('B', 'x'); c = os.getenv("C")
NAME = "D"
d = os.environ[NAME]
os.environ["WRITTEN"] = "1"
f"{os.environ['E']} {{os.environ['NOT']}}"
if "F" in os.environ and "G" not in os.environ: pass
h = env.bool("H"); i = config("I", default=False)
j: str = Field(..., env="J")
k = r"\"" + os.getenv("K")
subprocess.run(x, env=dict(os.environ), check=True)
os.getenv(prefix + "X")
"#;
    assert_eq!(names(Language::Python, text), ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K"]);
    assert_eq!(lines(Language::Python, text), [17, 18]);
    assert_eq!(
        names(Language::Python, "from os import environ, getenv\nenviron['A']\ngetenv('B')\nx.environ['C']"),
        ["A", "B"]
    );
}

#[test]
fn rust_reads_are_found_in_all_their_forms() {
    let text = r##"
// env::var("COMMENT") /* */
/* outer /* env::var("NESTED") */ env::var("BLOCK") */
const KEY: &str = "A";
fn f<'a>(x: &'a str) { let c = '"'; std::env::var(KEY); env::var_os("B"); env!("C"); option_env!("D"); }
let s = r#"env::var("RAW")"#; dotenvy::var("E");
#[arg(long, env = "F")] use clap::Parser; Arg::new("x").env("G"); Command::new("x").env("SET", "1");
std::env::vars();
"##;
    assert_eq!(names(Language::Rust, text), ["A", "B", "C", "D", "E", "F", "G"]);
    assert_eq!(names(Language::Rust, "use std::env::{self, var};\nlet a = var(\"A\");"), ["A"]);
}

#[test]
fn go_reads_are_found_in_all_their_forms() {
    let text = "package x\n// os.Getenv(\"COMMENT\")\nconst key = \"A\"\nvar a = os.Getenv(key)\nvar b, _ = os.LookupEnv(\"B\")\n\
        var c = os.ExpandEnv(\"${C}/$D\")\nvar s = `os.Getenv(\"RAW\")`\nvar r = '\"'\ntype T struct { X string `json:\"x\" env:\"E,required\"` }\n\
        func f() { viper.BindEnv(\"f.g\"); viper.BindEnv(\"h\", \"H\"); os.Environ() }\n";
    assert_eq!(names(Language::Go, text), ["A", "B", "C", "D", "E", "F_G", "H"]);
}

#[test]
fn shell_reads_are_what_the_script_does_not_set() {
    let text = "#!/bin/sh\n# $COMMENT\nLOCAL=1\necho \"$A ${B:-x} $LOCAL $1 $? ${#C}\" '$QUOTED'\nfor i in $D; do echo $i; done\n\
        read -r line rest\necho $line $rest\nexport E\nF=${F:-d}\nLOCAL=${LOCAL}x\n: \"${G:=x}\"\ncat <<'EOF'\n$HERE\nEOF\ncat <<EOF\n$I\nEOF\necho \\$NOT $$ x#$J\n";
    assert_eq!(names(Language::Shell, text), ["A", "B", "C", "D", "F", "G", "I", "J"]);
}

#[test]
fn foreign_and_standard_things_are_left_out() {
    assert!(skip("a/node_modules/b/c.js") && skip("x.min.js") && skip("tests/fixtures/a.py"));
    assert!(!skip("src/vendors.ts"));
    assert!(
        is_standard("GITHUB_TOKEN")
            && is_standard("PATH")
            && is_standard("npm_config_x")
            && !is_standard("FICECAL_API_BASE")
    );
}

#[test]
fn a_fallback_is_told_from_a_plain_read() {
    let js = "const { A = 'x', B, C: c = 1 } = process.env; process.env.D ?? 1; process.env.E || 2; process.env.F;\n\
        Deno.env.get('G') ?? 'x'; Deno.env.get('H');";
    assert_eq!(defaults(Language::JavaScript, js), ["A", "C", "D", "E", "G"]);
    let python = "import os\nfrom decouple import config\nos.getenv('A', 'x'); os.getenv('B'); os.environ.get('C') or 1; os.environ['D']\n\
        os.environ.setdefault('E', '1'); config('F', default=1); config('G', cast=int); os.getenv('H', None)";
    assert_eq!(defaults(Language::Python, python), ["A", "C", "E", "F"]);
    let rust = "use clap::Parser; env::var(\"A\").unwrap_or_default(); env::var(\"B\").ok().map(f(1)).unwrap_or(x); env::var(\"C\")?;\n\
        struct S { #[arg(long, env = \"D\", default_value = \"x\")] d: u8, #[arg(env = \"E\")] e: u8 }";
    assert_eq!(defaults(Language::Rust, rust), ["A", "B", "D"]);
    assert_eq!(
        defaults(Language::Go, "type T struct { A string `env:\"A\" envDefault:\"x\"`; B string `env:\"B\"` }"),
        ["A"]
    );
    assert_eq!(defaults(Language::Shell, "echo ${A:-x} ${B-x} ${C:?no} $D ${E%%-x} \"$F:-x\"\n"), ["A", "B"]);
}

#[test]
fn aliases_and_writes_in_javascript_are_understood() {
    let text = "const e: NodeJS.ProcessEnv = process.env; e.A; const { B } = e; delete process.env.NOT;\nconst { C }: Env = process.env;";
    assert_eq!(names(Language::JavaScript, text), ["A", "B", "C"]);
    assert_eq!(lines(Language::JavaScript, "process.env['A' + x]"), [1]);
    let vue = "<template>Don't `process.env.NOT`</template>\n<script setup>\nprocess.env.A\n</script>\n<style>process.env.NOT</style>";
    let found = read_keys("a.vue", vue.as_bytes());
    assert_eq!(found.reads, [KeyRead { key: "A".into(), line: 3, column: 13, default: false }]);
}

#[test]
fn aliases_in_python_are_understood() {
    let text = "import os as o\nfrom os import (environ as e, getenv as g)\nenv = os.environ\no.environ['A']; e.get('B'); g('C'); env['D']; del e['NOT']\n";
    assert_eq!(names(Language::Python, text), ["A", "B", "C", "D"]);
    assert_eq!(names(Language::Python, "x = config('A')\nenv('B')\n# environ"), [""; 0]);
}

#[test]
fn shell_quotes_nest_and_documents_have_none() {
    let text = "x=\"$(awk '{print $NF}' \"$A\")\"\ncat <<EOF\nit's $B # $C \\$NOT\nEOF\nn=$((1 << 2))\nuse $D $lower '$NOT'\nif [ $E ]; then E=1; fi\n$E ${!NOT_SET}";
    assert_eq!(names(Language::Shell, text), ["A", "B", "C", "D", "E", "NOT_SET"]);
    assert_eq!(lines(Language::Shell, text), [8]);
    assert_eq!(read_keys("bin/run", b"#!/usr/bin/env bash\necho $A\n").reads.len(), 1);
    assert!(read_keys("notes.txt", b"echo $A").reads.is_empty());
}

#[test]
fn what_is_too_large_is_reported_as_unread() {
    let text = format!("process.env.A;{}", " ".repeat(MAX_CODE_BYTES));
    assert!(read_keys("a.js", text.as_bytes()).unread);
}

fn sorted(language: Language, text: &str) -> Vec<String> {
    let mut names = names(language, text);
    names.sort();
    names.dedup();
    names
}

#[test]
fn schemas_and_whole_environments_say_their_names() {
    let zod = "const S = z.object({ KEY_A: z.string(), KEY_B: z.coerce.number().default(3), lower: z.any() });\nS.safeParse(process.env);\n\
        z.object({ KEY_C: z.string().optional() }).parse(process.env); other.parse(process.env);";
    assert_eq!(sorted(Language::JavaScript, zod), ["KEY_A", "KEY_B", "KEY_C"]);
    let mut with_default = defaults(Language::JavaScript, zod);
    with_default.sort();
    assert_eq!(with_default, ["KEY_B", "KEY_C"]);
    assert_eq!(lines(Language::JavaScript, zod), [3]);
}

#[test]
fn frameworks_of_javascript_are_known() {
    let text = "cleanEnv(process.env, { APP_A: str(), APP_B: port({ default: 3 }) });\n\
        createEnv({ server: { APP_C: z.string() }, client: { NEXT_PUBLIC_D: z.string() }, runtimeEnv: process.env });\n\
        configService.get<string>('NEST_A'); this.configService.getOrThrow('NEST_B'); config.get('NOT');\n\
        requireEnv('HELP_A'); getEnv(\"HELP_B\", 'x'); vi.stubEnv('NOT_B', '1'); setEnv('NOT_C', 1); getEnvironment('NOT_D');";
    let expected = ["APP_A", "APP_B", "APP_C", "HELP_A", "HELP_B", "NEST_A", "NEST_B", "NEXT_PUBLIC_D"];
    assert_eq!(sorted(Language::JavaScript, text), expected);
    assert!(lines(Language::JavaScript, text).is_empty());
    let svelte = "import { env as e } from '$env/dynamic/private'; e.SV_A;\nimport { SV_B, SV_C as c } from '$env/static/public';";
    assert_eq!(sorted(Language::JavaScript, svelte), ["SV_A", "SV_B", "SV_C"]);
}

#[test]
fn casts_and_other_names_of_the_process_are_followed() {
    let text = "(process.env as any).CAST_A; (process.env as Record<string, string>)['CAST_B']; 'IN_A' in process.env;\n\
        const { env: { NEST_A, NEST_B: b } } = process; const { env: penv } = process; penv.PENV_A;\n\
        import { env as e2 } from 'node:process'; e2.TWO_A; import proc from 'process'; proc.env.PROC_A;\n\
        Object.hasOwn(process.env, 'OWN_A');";
    let expected = ["CAST_A", "CAST_B", "IN_A", "NEST_A", "NEST_B", "OWN_A", "PENV_A", "PROC_A", "TWO_A"];
    assert_eq!(sorted(Language::JavaScript, text), expected);
}

#[test]
fn fields_of_settings_classes_are_variables() {
    let text = "from pydantic_settings import BaseSettings, SettingsConfigDict\nfrom pydantic import Field, AliasChoices\n\
class Part(BaseModel):\n    not_one: str\n\
class Settings(BaseSettings):\n    \"\"\"a: doc\"\"\"\n    model_config = SettingsConfigDict(env_prefix='APP_')\n    api_base: str\n    timeout: int = 30\n    \
token: str = Field(alias='ALIAS_A')\n    dsn: str = Field(default='x', validation_alias=AliasChoices('CHOICE_A', 'CHOICE_B'))\n    part: Part\n    _private: int = 1\n    \
CONST: ClassVar[int] = 3\n    hosts: dict[str, list[int]] = Field(default_factory=dict)\n\n    def method(self) -> str:\n        local: int = 3\n        return ''\n\
class Child(Settings):\n    child: Optional[str] = None\n\nother: int = 3\n";
    assert_eq!(
        sorted(Language::Python, text),
        ["ALIAS_A", "APP_API_BASE", "APP_HOSTS", "APP_TIMEOUT", "CHILD", "CHOICE_A", "CHOICE_B"]
    );
    let mut defaults = defaults(Language::Python, text);
    defaults.sort();
    assert_eq!(defaults, ["APP_HOSTS", "APP_TIMEOUT", "CHILD", "CHOICE_A", "CHOICE_B"]);
    let long = format!("class S(BaseSettings): {}", "a: int; ".repeat(50_000));
    assert!(names(Language::Python, &long).is_empty());
}

#[test]
fn frameworks_of_python_are_known() {
    let text = "import environ\nenv = environ.Env()\nenv('DJ_A'); env.bool('DJ_B', default=True); env.db(); env.cache(default='x')\n\
        @click.option('--x', envvar='CLICK_A')\ndef f(x=typer.Option(..., envvar=['TYPER_A', 'TYPER_B'])): pass\nget_env('HELP_A'); monkeypatch.setenv('NOT', 'x')\n";
    assert_eq!(
        sorted(Language::Python, text),
        ["CACHE_URL", "CLICK_A", "DATABASE_URL", "DJ_A", "DJ_B", "HELP_A", "TYPER_A", "TYPER_B"]
    );
    assert_eq!(sorted(Language::Python, "from config.base import env\nenv('DJ_C')\n"), ["DJ_C"]);
}

#[test]
fn fields_flags_and_helpers_of_rust_and_go_are_known() {
    let rust = "use clap::Parser;\nstruct A { #[arg(long, env)] pub api_base: String, #[arg(env(\"ARG_B\"), default_value = \"x\")] b: u8,\n\
        #[clap(env)] #[serde(default)] pub(crate) other_one: u8 }\nuse std::env::{self, var as v};\nfn f() { v(\"V_A\"); var(\"NOT\"); std::env::var(\"B_A\"); env_or(\"HELP_A\", \"x\"); c.env(\"NOT_B\", 1); }";
    assert_eq!(sorted(Language::Rust, rust), ["API_BASE", "ARG_B", "B_A", "HELP_A", "OTHER_ONE", "V_A"]);
    let go = "viper.SetEnvPrefix(\"app\"); viper.BindEnv(\"db.url\"); f := &cli.StringFlag{EnvVars: []string{\"CLI_A\", \"CLI_B\"}, EnvVar: \"CLI_C\"}\n\
        mustEnv(\"HELP_A\"); getenv(\"HELP_B\", \"x\"); os.Setenv(\"NOT\", \"x\")\nfunc getenv(k, d string) string { return os.Getenv(k) }";
    assert_eq!(sorted(Language::Go, go), ["APP_DB_URL", "CLI_A", "CLI_B", "CLI_C", "HELP_A", "HELP_B"]);
    assert_eq!(lines(Language::Go, go), [3]);
}

#[test]
fn functions_read_what_the_script_sets_further_down() {
    let text = "use() {\n  echo $OWNER $TOKEN\n  BIN=${BIN:-./bin}\n}\nmore() {\n  ls $BIN \"${OWNER}/x\"\n}\necho $EARLY\nEARLY=1\nOWNER=me; use\n";
    assert_eq!(names(Language::Shell, text), ["BIN", "EARLY", "TOKEN"]);
}

#[test]
fn shell_asks_for_variables_by_name_too() {
    assert_eq!(names(Language::Shell, "printenv A; [[ -v B ]] && grep -v C\n[ ! -v D ]"), ["A", "B", "D"]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_tokeniser_panic(text in "(process\\.env|os\\.environ|env|[\\[\\]{}()'\"`$\\\\/#\n.=:?é]|EOF|<<|r#|f\"|[A-Z]{1,3}| ){0,60}") {
        for language in [Language::JavaScript, Language::Python, Language::Rust, Language::Go, Language::Shell] {
            read_keys(path(language), text.as_bytes());
        }
    }
}
