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
    assert_eq!(found.imports.len(), 3);
    assert_eq!(found.imports[0].prefix, "P_");
    assert!(found.imports[1].optional);
    assert_eq!(found.sets[0].keys[0].line, 30);
    let secret = found.sets.iter().find(|s| s.name == "s").expect("secret");
    assert_eq!(secret.keys[0].source, Source::Literal("swordfish".into()));
    assert_eq!(found.sets.iter().find(|s| s.name == "gen").map(|s| s.secret), Some(true));
    let set = imported(&found.sets[0].keys, false, &found.imports[0]);
    assert_eq!(set[0].name, "P_NODE_ENV");
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
    assert_eq!(of(&found.keys, "F").line, 2);
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
