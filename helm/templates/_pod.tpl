{{/* What the pods of all roles have in common. Each takes root, role and values (of the role). */}}

{{- define "daemon.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "daemon.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "daemon.podMetadata" -}}
labels:
  {{- include "daemon.labels" . | nindent 2 }}
annotations:
  # Pods begin anew when their settings change.
  checksum/settings: {{ .root.Values.settings | toJson | sha256sum }}
{{- end -}}

{{- define "daemon.podCommon" -}}
serviceAccountName: {{ include "daemon.serviceAccount" .root }}
automountServiceAccountToken: false
# Variables such as REDIS_PORT=tcp://…, made from Services of the namespace, would be taken for settings.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "daemon.podSecurity" 1000 | nindent 2 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "daemon.selector" . | nindent 8 }}
{{- end -}}

{{- define "daemon.container" -}}
name: daemon
image: {{ printf "%s:%s" .root.Values.image.repository (.root.Values.image.tag | default .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [start]
securityContext:
  {{- include "daemon.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
# Starting means: the database is up to date, and the process is known to the cluster.
startupProbe:
  httpGet: { path: /ready, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 6
  failureThreshold: 60
readinessProbe:
  httpGet: { path: /ready, port: metrics }
  periodSeconds: 5
  timeoutSeconds: 6
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /live, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
envFrom:
  - configMapRef: { name: {{ include "daemon.fullname" .root }} }
env:
  {{- include "daemon.environment" . | nindent 2 }}
{{- end -}}
