use super::*;

fn read(format: Format, text: &str) -> Deployment {
    parse(format, text).expect("readable")
}

fn of<'a>(keys: &'a [DeployedKey], name: &str) -> &'a DeployedKey {
    keys.iter().find(|k| k.name == name).unwrap_or_else(|| panic!("{name} in {keys:?}"))
}

#[test]
fn compose_takes_maps_lists_anchors_merges_and_files() {
    let text = "\
x-common: &common
  NODE_ENV: production
  PORT: 8080
services:
  api:
    profiles: [full]
    env_file:
      - .env
      - path: ./more.env
        required: false
    environment:
      <<: *common
      DEBUG: true
      API: ${API_BASE:-http://localhost:3000}
      MUST: ${MUST:?set it}
      INHERITED:
      MIXED: http://${HOST}/x
      PRICE: 5$$
  worker:
    env_file: worker.env
    environment:
      - A=b=c
      - PASSED
";
    let found = read(Format::Compose, text);
    assert_eq!(of(&found.keys, "NODE_ENV").source, Source::Literal("production".into()));
    assert_eq!(of(&found.keys, "NODE_ENV").line, 2);
    assert_eq!(of(&found.keys, "PORT").source, Source::Literal("8080".into()));
    assert_eq!(of(&found.keys, "DEBUG").source, Source::Literal("true".into()));
    assert_eq!(of(&found.keys, "API").source, Source::Process { default: Some("http://localhost:3000".into()) });
    assert_eq!(of(&found.keys, "API").line, 14);
    for name in ["MUST", "INHERITED", "PASSED"] {
        assert_eq!(of(&found.keys, name).source, Source::Process { default: None }, "{name}");
    }
    assert!(matches!(of(&found.keys, "MIXED").source, Source::Mixed(_)));
    assert_eq!(of(&found.keys, "PRICE").source, Source::Literal("5$".into()));
    assert_eq!(of(&found.keys, "A").source, Source::Literal("b=c".into()));
    let files: Vec<_> = found.imports.iter().map(|i| (&i.what, i.optional, i.owner.as_str())).collect();
    assert_eq!(files.len(), 3);
    assert_eq!(files[1], (&Imported::File("./more.env".into()), true, "api"));
    assert_eq!(files[2], (&Imported::File("worker.env".into()), false, "worker"));
}

#[test]
fn kubernetes_takes_containers_sets_and_references() {
    let text = "\
apiVersion: batch/v1
kind: CronJob
metadata: {name: sync}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          initContainers:
            - name: init
              env: [{name: A, value: \"1\"}]
          containers:
            - name: main
              env:
                - name: TOKEN
                  valueFrom: {secretKeyRef: {name: s, key: k}}
                - name: MODE
                  valueFrom: {configMapKeyRef: {name: c, key: k}}
                - name: URL
                  value: http://$(HOST)
              envFrom:
                - prefix: P_
                  configMapRef: {name: settings}
                - secretRef: {name: outside, optional: true}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  NODE_ENV: production
---
kind: List
items:
  - kind: Secret
    metadata: {name: s}
    data:
      k: c3dvcmRmaXNo
    stringData:
      empty: ''
---
kind: Kustomization
secretGenerator:
  - name: gen
    literals: [A=b]
    envs: [.env.secret]
";
    let found = read(Format::Kubernetes, text);
    assert_eq!(of(&found.keys, "A").owner, "CronJob sync/init");
    assert_eq!(of(&found.keys, "TOKEN").source, Source::Secret);
    assert_eq!(of(&found.keys, "MODE").source, Source::Configuration);
    assert!(matches!(of(&found.keys, "URL").source, Source::Mixed(_)));
    assert_eq!(found.imports.len(), 2);
    assert_eq!(found.imports[0].prefix, "P_");
    assert!(found.imports[1].optional);
    assert_eq!(found.sets[0].keys[0].line, 30);
    let secret = found.sets.iter().find(|s| s.name == "s").expect("secret");
    assert_eq!(secret.keys[0].source, Source::Literal("swordfish".into()));
    let generated = found.sets.iter().find(|s| s.name == "gen").expect("generated");
    assert_eq!((generated.secret, generated.files.as_slice()), (true, &[".env.secret".to_owned()][..]));
    let set = imported(&found.sets[0].keys, false, &found.imports[0]);
    assert_eq!(set[0].name, "P_NODE_ENV");
}

#[test]
fn kustomizations_name_resources_generators_and_patches() {
    let text = "\
resources: [../base, app.yaml, https://example.com/x?ref=v1]
patches:
  - path: replicas.yaml
  - patch: |-
      - op: add
        path: /spec/template/spec/containers/0/env/-
        value: {name: ADDED, value: \"1\"}
      - op: add
        path: /spec/template/spec/containers/0/env
        value: [{name: LIST, value: \"2\"}]
  - patch: |-
      kind: Deployment
      metadata: {name: app}
      spec: {template: {spec: {containers: [{name: c, env: [{name: MERGED, value: \"3\"}]}]}}}
configMapGenerator:
  - name: cfg
    literals: [A=b=c, 'Q=\"quoted\"', P=5$$]
    envs: [cfg.env]
    files: [app.json, K=path/x]
";
    let found = read(Format::Kubernetes, text);
    for name in ["ADDED", "LIST", "MERGED"] {
        assert!(found.keys.iter().any(|k| k.name == name), "{name}");
    }
    assert_eq!(of(&found.keys, "ADDED").line, 7);
    assert_eq!(found.links.len(), 4);
    let set = &found.sets[0];
    assert_eq!(set.files, ["cfg.env"]);
    assert_eq!(of(&set.keys, "A").source, Source::Literal("b=c".into()));
    assert_eq!(of(&set.keys, "Q").source, Source::Literal("quoted".into()));
    assert_eq!(of(&set.keys, "P").source, Source::Literal("5$$".into()));
    assert!(set.keys.iter().any(|k| k.name == "app.json") && set.keys.iter().any(|k| k.name == "K"));
    let patch =
        read(Format::Kubernetes, "- op: replace\n  path: /spec/containers/0/env/0\n  value: {name: A, value: b}\n");
    assert_eq!(patch.keys.len(), 1);
}

#[test]
fn lists_of_objects_and_templates_are_unfolded() {
    let text = "kind: ConfigMapList\nitems:\n  - kind: ConfigMap\n    metadata: {name: a}\n    data: {A: b}\n---\nkind: Template\nobjects:\n  - kind: Secret\n    metadata: {name: s}\n    stringData: {T: ''}\n  - kind: StatefulSet\n    metadata: {name: db}\n    spec: {template: {spec: {containers: [{name: c, env: [{name: B, value: c}]}]}}}\n";
    let found = read(Format::Kubernetes, text);
    assert_eq!(found.sets.len(), 2);
    assert_eq!(of(&found.keys, "B").owner, "StatefulSet db/c");
}

#[test]
fn compose_names_what_it_extends_includes_and_takes() {
    let text = "\
include:
  - db.yml
  - path: [a.yml, b.yml]
    env_file: x.env
services:
  app:
    extends: {file: base.yml, service: web}
    environment:
      A: ${A_FROM:-${B_FROM}}
      C:
      D: ${E:+literal}
  other:
    extends: app
    environment: [F, G=h]
    image: img:${TAG:-latest}
configs:
  one: {content: 'x=${CONTENT}'}
  two: {environment: CONFIG_VARIABLE}
secrets:
  key: {environment: SECRET_VARIABLE}
  file: {file: ./secrets/key.txt}
";
    let found = read(Format::Compose, text);
    let links: Vec<&Linked> = found.links.iter().map(|l| &l.to).collect();
    assert_eq!(
        links,
        [&Linked::Include("db.yml".into()), &Linked::Include("a.yml".into()), &Linked::Include("b.yml".into()),]
    );
    let extends: Vec<(&str, &Linked)> = found.extends.iter().map(|(s, l)| (s.as_str(), &l.to)).collect();
    assert_eq!(
        extends,
        [
            ("app", &Linked::Extends { file: Some("base.yml".into()), base: "web".into() }),
            ("other", &Linked::Extends { file: None, base: "app".into() }),
        ]
    );
    assert_eq!(found.services, ["app", "other"]);
    assert_eq!(of(&found.keys, "D").source, Source::Alternative("literal".into()));
    let reads: Vec<(&str, bool)> = found.reads.iter().map(|r| (r.key.as_str(), r.default)).collect();
    for expected in [
        ("A_FROM", true),
        ("B_FROM", false),
        ("C", false),
        ("E", true),
        ("F", false),
        ("TAG", true),
        ("CONTENT", false),
        ("CONFIG_VARIABLE", false),
        ("SECRET_VARIABLE", false),
    ] {
        assert!(reads.contains(&expected), "{expected:?}: {reads:?}");
    }
    assert_eq!(reads.len(), 9, "{reads:?}");
    assert_eq!(found.secret_files, [SecretFile { name: "file".into(), path: "./secrets/key.txt".into(), line: 21 }]);
    let reset = "services:\n  a:\n    environment: !override\n      A: !reset null\n      B: c\n    ports: !reset []\n";
    assert_eq!(of(&read(Format::Compose, reset).keys, "B").source, Source::Literal("c".into()));
}

#[test]
fn workflows_name_what_they_call_and_write() {
    let text = "\
on: push
jobs:
  build:
    steps:
      - uses: ./.github/actions/setup
      - uses: actions/checkout@v4
      - run: |
          echo \"API_BASE=https://api.internal\" >> $GITHUB_ENV
          echo TOKEN=${{ secrets.TOKEN }} >> \"$GITHUB_ENV\"
          echo \"SHA=$(git rev-parse HEAD)\" >> ${GITHUB_ENV}
          echo OUT=1 >> $GITHUB_OUTPUT
  call:
    uses: ./.github/workflows/deploy.yml
    secrets: inherit
  far:
    uses: org/repo/.github/workflows/x.yml@v1
    secrets: inherit
";
    let found = read(Format::Workflow, text);
    let links: Vec<&Linked> = found.links.iter().map(|l| &l.to).collect();
    assert_eq!(
        links,
        [&Linked::Called("./.github/actions/setup".into()), &Linked::Called("./.github/workflows/deploy.yml".into())]
    );
    assert_eq!(of(&found.keys, "API_BASE").source, Source::Literal("https://api.internal".into()));
    assert_eq!(of(&found.keys, "TOKEN").source, Source::Secret);
    assert_eq!(of(&found.keys, "SHA").source, Source::Process { default: None });
    assert!(!found.keys.iter().any(|k| k.name == "OUT"));
    assert_eq!(found.not_evaluated.len(), 1);
    let action = read(
        Format::Workflow,
        "runs:\n  using: composite\n  steps:\n    - run: x\n      shell: bash\n      env: {A: '${{ inputs.a }}'}\n",
    );
    assert_eq!(of(&action.keys, "A").source, Source::Process { default: None });
}

#[test]
fn workflows_take_env_at_every_level() {
    let text = "\
on: push
env: {TOP: '1'}
jobs:
  build:
    env:
      JOB: ${{ vars.JOB }}
    container: {image: x, env: {BOX: y}}
    steps:
      - name: deploy
        uses: a/b@v1
        with:
          token: ${{ secrets.TOKEN }}
          key: literal
        env:
          STEP: ${{ secrets.STEP }}
          TEXT: a-${{ github.sha }}
          OR: ${{ vars.X || 'dev' }}
";
    let found = read(Format::Workflow, text);
    assert_eq!(of(&found.keys, "TOP").source, Source::Literal("1".into()));
    assert_eq!(of(&found.keys, "JOB").source, Source::Configuration);
    assert_eq!(of(&found.keys, "BOX").source, Source::Literal("y".into()));
    assert_eq!(of(&found.keys, "STEP").source, Source::Secret);
    assert_eq!(of(&found.keys, "STEP").owner, "job build step deploy");
    assert!(matches!(of(&found.keys, "TEXT").source, Source::Mixed(_)));
    assert_eq!(of(&found.keys, "OR").source, Source::Process { default: Some("dev".into()) });
    assert_eq!(of(&found.values, "key").source, Source::Literal("literal".into()));
    assert_eq!(of(&found.values, "token").source, Source::Secret);
}

#[test]
fn dockerfiles_and_gitlab_are_read() {
    let found =
        read(Format::Dockerfile, "FROM x\nENV A=b C=\"d e\" \\\n  # note\n  F=g\nenv OLD some value\nARG V=1\nARG W\n");
    assert_eq!(of(&found.keys, "C").source, Source::Literal("d e".into()));
    assert_eq!(of(&found.keys, "F").line, 4);
    assert_eq!(of(&found.keys, "OLD").source, Source::Literal("some value".into()));
    assert_eq!(of(&found.values, "W").source, Source::Process { default: None });
    let found = read(
        Format::GitLab,
        "variables:\n  A: b\n  C: {value: d, description: e}\njob:\n  variables: {F: $G}\n  script: !reference [x, y]\n",
    );
    assert_eq!(of(&found.keys, "C").source, Source::Literal("d".into()));
    assert_eq!(of(&found.keys, "F").source, Source::Process { default: None });
}

#[test]
fn bad_yaml_is_not_read_and_says_where() {
    let bomb =
        format!("a: &a [x]\n{}", (0..40).map(|i| format!("b{i}: &b{i} [{}]\n", "*a,".repeat(50))).collect::<String>());
    for (text, template) in [
        ("services: [".to_owned(), false),
        ("a: {{ .Values.x }}\nb: [{{- if x }}\n".to_owned(), true),
        ("[".repeat(5_000), false),
        (format!("kind: X\n{}", (0..2_000).map(|i| " ".repeat(i) + "a:\n").collect::<String>()), false),
    ] {
        let error = parse(Format::Compose, &text).expect_err("not readable");
        assert_eq!(error.why.contains("rendered"), template);
    }
    let _ = parse(Format::Compose, &bomb);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_format_panic(
        text in "(ENV |ARG |RUN |<<EOF|EOF|A=|\\$\\{A:-|\\$\\{|\\}|\\$A|\"|'|\\\\|\n|\r\n| |#|escape=`|`|\\[\"sh\", \"-c\", \"|\\]|services:|\n  a:|\n    environment:|extends: |include: |- |kind: |\\{\\{|\\}\\}|: |é|patch: \\|-|resources:|uses: \\./|run: ){0,60}"
    ) {
        for format in [Format::Compose, Format::Kubernetes, Format::Helm, Format::Workflow, Format::GitLab, Format::Dockerfile] {
            let _ = parse(format, &text);
        }
        let _ = Values::parse(&text).map(|values| values.keys("a.b", ""));
        interpolated(&text);
        with_defaults(&text);
    }
}
