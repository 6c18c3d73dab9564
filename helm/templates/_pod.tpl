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

{{- define "daemon.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "daemon.podMetadata" -}}
labels:
  {{- include "daemon.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
annotations:
  # Pods begin anew when their settings or files change.
  checksum/settings: {{ list .root.Values.settings .root.Values.files | toJson | sha256sum }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
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
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "daemon.podSecurity" 1000 | nindent 2 }}
{{- with .root.Values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey }}
    maxSkew: {{ .maxSkew }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "daemon.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "daemon.container" -}}
name: daemon
image: {{ include "daemon.image" .root }}
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

{{- define "daemon.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if .root.Values.files }}
- { name: files, mountPath: /etc/orchestrator, readOnly: true }
{{- end }}
{{- end -}}

{{- define "daemon.volumes" -}}
- { name: tmp, emptyDir: {} }
{{- if .root.Values.files }}
- { name: files, configMap: { name: {{ include "daemon.fullname" .root }}-files } }
{{- end }}
{{- end -}}

{{/*
How many pods: as the values say, or where an autoscaler decides as many as there are. An upgrade that left the number out
would bring it to 1 for a moment. Takes root, kind, name, replicas and autoscaled.
*/}}
{{- define "daemon.replicas" -}}
{{- if .autoscaled -}}
{{- with lookup "apps/v1" .kind .root.Release.Namespace .name | dig "spec" "replicas" 0 -}}
replicas: {{ . }}
{{- end -}}
{{- else -}}
replicas: {{ .replicas }}
{{- end -}}
{{- end -}}
