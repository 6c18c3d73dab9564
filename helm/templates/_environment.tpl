{{/* The variables of a role: what the chart itself decides, and from the Secret only what the role needs. */}}

{{- define "daemon.fromSecret" -}}
{{- $reference := index .root.Values.secret.references .key -}}
- name: {{ .key }}
  valueFrom:
    {{- if $reference }}
    secretKeyRef: { name: {{ $reference.name }}, key: {{ $reference.key | default .key }}, optional: {{ .optional | default false }} }
    {{- else }}
    secretKeyRef: { name: {{ include "daemon.secret" .root }}, key: {{ .key }}, optional: {{ .optional | default false }} }
    {{- end }}
{{- end -}}

{{- define "daemon.secret" -}}
{{- required "secret.name is missing: make a Secret with the key DAEMON_JWT_SECRET (and more, see values.yaml) and name it there" .Values.secret.name -}}
{{- end -}}

{{- define "daemon.environment" -}}
- name: DAEMON_ROLE
  value: {{ .role }}
- name: DAEMON_NAME
  valueFrom:
    fieldRef: { fieldPath: metadata.name }
- name: DAEMON_HOST
  value: 0.0.0.0
- name: DAEMON_PORT
  value: '8787'
- name: METRICS_ENABLED
  value: 'true'
- name: METRICS_HOST
  value: 0.0.0.0
- name: METRICS_PORT
  value: '9090'
{{- if include "daemon.tlsSecret" . }}
{{- include "daemon.certificate" . }}
- name: METRICS_TLS
  value: {{ .root.Values.tls.metrics | quote }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DAEMON_TLS_KEY_PASSPHRASE" "optional" true) }}
{{- end }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "OTEL_EXPORTER_OTLP_HEADERS" "optional" true) }}
{{ include "daemon.redis" . }}
{{ include "daemon.database" . }}
{{- if eq .role "edge" }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DAEMON_JWT_SECRET") }}
{{- range list "DAEMON_JWT_PREVIOUS_SECRETS" "DAEMON_AUTH_API_KEYS" "NEOLITH_API_KEY" "NEOLITH_API_SECRET" }}
{{ include "daemon.fromSecret" (dict "root" $.root "key" . "optional" true) }}
{{- end }}
{{- end }}
{{- if eq .role "worker" }}
- name: WORKSPACE_ROOT
  value: /workspaces
{{- range list "ANTHROPIC_API_KEY" "NEOLITH_API_KEY" "TOKEN_BUDGET_WEBHOOK_URL" "TOKEN_BUDGET_WEBHOOK_SECRET" "TOKEN_BUDGET_CHAT_URL" }}
{{ include "daemon.fromSecret" (dict "root" $.root "key" . "optional" true) }}
{{- end }}
{{- end }}
{{- /* Memory is searched by meaning wherever it is searched. */}}
{{- if or (eq .role "worker") (hasKey .root.Values.settings "MEMORY_EMBEDDING_MODEL") }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "OPENAI_API_KEY" "optional" true) }}
{{- end }}
{{- end -}}

{{/* Whose certificate a role shows, if any: no key is where it is not needed. */}}
{{- define "daemon.tlsSecret" -}}
{{- $tls := .root.Values.tls -}}
{{- if or (eq .role "edge") (eq .role "test") -}}{{ $tls.secret }}{{- else if $tls.metrics -}}{{ $tls.metricsSecret }}{{- end -}}
{{- end -}}

{{/* By these a node is known over TLS, and a command knows it. */}}
{{- define "daemon.certificate" }}
- name: DAEMON_TLS_CERT_FILE
  value: /etc/orchestrator-tls/tls.crt
- name: DAEMON_TLS_KEY_FILE
  value: /etc/orchestrator-tls/tls.key
{{- end -}}

{{- define "daemon.redis" -}}
{{- $settings := .root.Values.settings -}}
{{- if .root.Values.redis.bundled -}}
- name: REDIS_URL
  value: redis://{{ include "daemon.fullname" .root }}-redis:6379
{{- else if or $settings.REDIS_CLUSTER_NODES $settings.REDIS_SENTINELS -}}
{{ include "daemon.fromSecret" (dict "root" .root "key" "REDIS_PASSWORD" "optional" true) }}
{{- if $settings.REDIS_SENTINELS }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "REDIS_SENTINEL_PASSWORD" "optional" true) }}
{{- end }}
{{- else -}}
{{ include "daemon.fromSecret" (dict "root" .root "key" "REDIS_URL") }}
{{- end }}
{{- end -}}

{{- define "daemon.database" -}}
{{- if .root.Values.postgres.bundled -}}
{{ include "daemon.fromSecret" (dict "root" .root "key" "POSTGRES_PASSWORD") }}
- name: POSTGRES_HOST
  value: {{ include "daemon.fullname" .root }}-postgres
{{- else -}}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DATABASE_URL") }}
{{- end }}
{{- end -}}
