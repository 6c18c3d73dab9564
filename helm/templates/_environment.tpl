{{/* The variables of a role: what the chart itself decides, and from the Secret only what the role needs. */}}

{{- define "daemon.fromSecret" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef: { name: {{ include "daemon.secret" .root }}, key: {{ .key }}, optional: {{ .optional | default false }} }
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
{{ include "daemon.stores" . }}
{{- if eq .role "edge" }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DAEMON_JWT_SECRET") }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DAEMON_AUTH_API_KEYS" "optional" true) }}
{{- end }}
{{- if eq .role "worker" }}
- name: WORKSPACE_ROOT
  value: /workspaces
{{ include "daemon.fromSecret" (dict "root" .root "key" "OPENAI_API_KEY" "optional" true) }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "ANTHROPIC_API_KEY" "optional" true) }}
{{- end }}
{{- end -}}

{{- define "daemon.stores" -}}
{{- $name := include "daemon.fullname" .root -}}
{{- if .root.Values.redis.bundled -}}
- name: REDIS_URL
  value: redis://{{ $name }}-redis:6379
{{- else -}}
{{ include "daemon.fromSecret" (dict "root" .root "key" "REDIS_URL") }}
{{- end }}
{{- if .root.Values.postgres.bundled }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "POSTGRES_PASSWORD") }}
- name: POSTGRES_HOST
  value: {{ $name }}-postgres
{{- else }}
{{ include "daemon.fromSecret" (dict "root" .root "key" "DATABASE_URL") }}
{{- end }}
{{- end -}}
