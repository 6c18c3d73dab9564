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
{{- $scheme := .root.Values.tls.metrics | ternary ", scheme: HTTPS" "" -}}
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
  httpGet: { path: /ready, port: metrics{{ $scheme }} }
  periodSeconds: 2
  timeoutSeconds: 6
  failureThreshold: 60
readinessProbe:
  httpGet: { path: /ready, port: metrics{{ $scheme }} }
  periodSeconds: 5
  timeoutSeconds: 6
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /live, port: metrics{{ $scheme }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
envFrom:
  - configMapRef: { name: {{ include "daemon.fullname" .root }} }
env:
  {{- with include "daemon.heap" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- include "daemon.environment" . | nindent 2 }}
{{- end -}}

{{/*
Memory for objects: what the settings say, else half of the container's, 2048 MB at most. Where node is told as it starts, the
daemon needs no second process for it.
*/}}
{{- define "daemon.heap" -}}
{{- $settings := .root.Values.settings -}}
{{- $limit := dig "limits" "memory" "" .values.resources | toString -}}
{{- $units := dict "" 1 "k" 1000 "Ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 "T" 1000000000000 "Ti" 1099511627776 -}}
{{- $unit := get $units (regexFind "[A-Za-z]+$" $limit) -}}
{{- $half := ternary (divf (mulf (regexFind "^[0-9.]+" $limit | float64) ($unit | default 0)) 2097152 | int64) 0 (ne $limit "") -}}
{{- $heap := $settings.DAEMON_MAX_HEAP_MB | default (min 2048 $half) | int64 -}}
{{- if and $heap (not (hasKey $settings "NODE_OPTIONS")) -}}
- name: NODE_OPTIONS
  value: --max-old-space-size={{ $heap }}
{{- end -}}
{{- end -}}

{{- define "daemon.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- if .root.Values.files }}
- { name: files, mountPath: /etc/orchestrator, readOnly: true }
{{- end }}
{{- if include "daemon.tlsSecret" . }}
- { name: tls, mountPath: /etc/orchestrator-tls, readOnly: true }
{{- end }}
{{- end -}}

{{- define "daemon.volumes" -}}
- { name: tmp, emptyDir: {} }
{{- if .root.Values.files }}
- { name: files, configMap: { name: {{ include "daemon.fullname" .root }}-files } }
{{- end }}
{{- with include "daemon.tlsSecret" . }}
# 0440: for the group of the pod.
- { name: tls, secret: { secretName: {{ . }}, defaultMode: 288 } }
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
