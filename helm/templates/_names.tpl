{{/* Names and labels. A role's name is the release's with the role behind it. */}}

{{- define "daemon.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "daemon.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "daemon.fullname" .) "default") -}}
{{- end -}}

{{- define "daemon.secret" -}}
{{- required "secret.name is missing: make a Secret with the key DAEMON_JWT_SECRET (and more, see values.yaml) and name it there" .Values.secret.name -}}
{{- end -}}

{{/* What selects pods: may never change. Takes root and role. */}}
{{- define "daemon.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "daemon.labels" -}}
{{ include "daemon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}
