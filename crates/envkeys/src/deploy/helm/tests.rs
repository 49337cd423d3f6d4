use super::*;

const DEPLOYMENT: &str = r#"{{- if .Values.enabled }}
{{- /* a comment
that goes on: here */}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.fullname" . }}
  labels: {{- include "app.labels" . | nindent 4 }}
spec:
  template:
    metadata:
      annotations:
        checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    spec:
      containers:
        - name: {{ .Chart.Name }}
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          env:
            - name: NODE_ENV
              value: production
            {{- if .Values.api.base }}
            - name: FICECAL_API_BASE
              value: {{ .Values.api.base | quote }} # the base
            {{- end }}
            - name: TOKEN
              valueFrom:
                secretKeyRef:
                  name: {{ .Values.secretName }}
                  key: token
            - { name: FLOW, value: "1" }
            - name: POD
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: SCRIPT
              value: |
                line one
                - name: NOT
                  value: no
            {{- range $key, $value := .Values.extra }}
            - name: {{ $key }}
              value: {{ $value | quote }}
            {{- end }}
            {{- with .Values.env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
            {{- include "app.moreEnv" . | nindent 12 }}
          envFrom:
          - configMapRef:
              name: {{ include "app.fullname" . }}-config
          - prefix: P_
            secretRef:
              name: outside
              optional: true
          ports:
            - name: http
              containerPort: {{ .Values.port }}
          httpGet:
            httpHeaders:
              - name: X-Not
                value: no
        - name: sidecar
          env:
            - name: SIDE
              value: "2"
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
{{- end }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "app.fullname" . }}-config
data:
  FICECAL_MCP_BASE: {{ .Values.mcp | default "https://mcp.internal" | quote }}
  FILE: |
    NOT_A_KEY: x
  {{- range $k, $v := .Values.config }}
  {{ $k }}: {{ $v | quote }}
  {{- end }}
---
apiVersion: v1
kind: Secret
metadata: 
  name: s
data:
  k: c3dvcmRmaXNo
stringData:
  t: "{{ .Values.t }}"
"#;

#[test]
fn templates_are_read_without_being_rendered() {
    let found = parse(DEPLOYMENT);
    let names: Vec<&str> = found.keys.iter().map(|k| k.name.as_str()).collect();
    assert_eq!(names, ["NODE_ENV", "FICECAL_API_BASE", "TOKEN", "FLOW", "POD", "SCRIPT", "SIDE"]);
    let key = |name: &str| found.keys.iter().find(|k| k.name == name).expect(name);
    assert_eq!((&key("NODE_ENV").source, key("NODE_ENV").line), (&Source::Literal("production".into()), 20));
    assert_eq!(key("FICECAL_API_BASE").source, Source::Values { path: "api.base".into(), default: None });
    assert_eq!(key("TOKEN").source, Source::Secret);
    assert_eq!(key("FLOW").source, Source::Literal("1".into()));
    assert_eq!(key("POD").source, Source::Configuration);
    assert!(key("SCRIPT").source.text().is_some_and(|t| t.starts_with("line one\n")));
    assert!(key("SIDE").owner.ends_with("/sidecar") && key("NODE_ENV").owner.ends_with("/{{ .Chart.Name }}"));
    let paths: Vec<&str> = found
        .links
        .iter()
        .map(|l| match &l.to {
            Linked::Values { path, .. } => path.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["env", "extra", "config"]);
    assert_eq!(found.imports.len(), 2);
    assert_eq!(found.imports[0].what, Imported::ConfigMap("{{ include \"app.fullname\" . }}-config".into()));
    assert_eq!((found.imports[1].prefix.as_str(), found.imports[1].optional), ("P_", true));
    assert_eq!(found.not_evaluated.len(), 1, "{:?}", found.not_evaluated);
    assert_eq!(found.sets.len(), 2);
    assert_eq!(found.sets[0].keys.len(), 2);
    assert_eq!(
        found.sets[0].keys[0].source,
        Source::Values { path: "mcp".into(), default: Some("https://mcp.internal".into()) }
    );
    assert_eq!(found.sets[1].keys[0].source, Source::Literal("swordfish".into()));
    assert_eq!(found.sets[1].keys[1].source, Source::Values { path: "t".into(), default: None });
}

#[test]
fn named_templates_with_entries_are_read() {
    let found = parse(
        "{{- define \"app.env\" -}}\n- name: A\n  value: \"1\"\n- name: B\n  valueFrom:\n    secretKeyRef:\n      name: s\n      key: k\n{{- end }}\n",
    );
    let names: Vec<_> = found.keys.iter().map(|k| (k.name.as_str(), &k.source)).collect();
    assert_eq!(names, [("A", &Source::Literal("1".into())), ("B", &Source::Secret)]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(env:|envFrom:|- name: |value: |data:|kind: Secret|\\{\\{|\\}\\}|range|toYaml|end|\\.Values\\.a| |  |\n|\"|'|\\||é|#|-|:){0,80}") {
        parse(&text);
        source(&text);
    }
}
