{{- define "tollgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters, so that `-router-headless` and a revision still fit into 63. */}}
{{- define "tollgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "tollgate.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tollgate.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tollgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tollgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Routers have an account of their own where the chart makes accounts: only they may ask the API server, for endpoints. */}}
{{- define "tollgate.routerAccountName" -}}
{{- include "tollgate.serviceAccountName" . }}{{ if .Values.serviceAccount.create }}-router{{ end }}
{{- end -}}

{{/* Labels of one component: (dict "root" $ "component" "router"). */}}
{{- define "tollgate.selector" -}}
app.kubernetes.io/name: {{ include "tollgate.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "tollgate.labels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tollgate
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Without versions: a new chart alone must not restart pods, least of all engines that load weights for minutes. */}}
{{- define "tollgate.podLabels" -}}
{{ include "tollgate.selector" . }}
app.kubernetes.io/part-of: tollgate
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .root.Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Image of one of our own: (dict "root" $ "service" "router"). */}}
{{- define "tollgate.image" -}}
{{ .root.Values.image.repository }}/{{ .service }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* What every pod of ours has: (dict "root" $ "component" "router" "at" .Values.router). */}}
{{- define "tollgate.podSpec" -}}
{{- $asksApi := and (eq .component "router") .root.Values.discovery.kubernetes.enabled }}
serviceAccountName: {{ include (eq .component "router" | ternary "tollgate.routerAccountName" "tollgate.serviceAccountName") .root }}
automountServiceAccountToken: {{ $asksApi }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .at.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .at.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if .at.topologySpreadConstraints }}
  {{- toYaml .at.topologySpreadConstraints | nindent 2 }}
{{- else }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tollgate.selector" $ | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Our processes tell about themselves on the metrics port; the API port carries no probes. */}}
{{- define "tollgate.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{/* Base URLs of every worker that this chart is told about, and of those that it starts unless routers find them. */}}
{{- define "tollgate.workers" -}}
{{- $root := . -}}
{{- $full := include "tollgate.fullname" . -}}
{{- $list := .Values.workers -}}
{{- if not .Values.discovery.kubernetes.enabled -}}
{{- if .Values.devworker.enabled -}}
{{- range $i := until (int .Values.devworker.replicaCount) -}}
{{- $list = append $list (printf "http://%s-devworker-%d.%s-devworker.%s.svc:8000" $full $i $full $root.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- range $engine := .Values.engines -}}
{{- $name := printf "%s-engine-%s" $full $engine.name -}}
{{- range $i := until (int (default 1 $engine.replicaCount)) -}}
{{- $url := printf "http://%s-%d.%s.%s.svc:8000" $name $i $name $root.Release.Namespace -}}
{{- $list = append $list (eq (default "vllm" $engine.engine) "sglang" | ternary (printf "sglang=%s" $url) $url) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "," $list -}}
{{- end -}}

{{/* Seconds that a router's requests get at a stop. The router gives 0.6 of its grace to running requests. */}}
{{- define "tollgate.routerGraceSeconds" -}}
{{- div (add (mul (int .Values.router.longestStreamSeconds) 10) 5) 6 -}}
{{- end -}}

{{/* Rules of models whose engines may all be asleep: their requests wait until one is up. A JSON object. */}}
{{- define "tollgate.modelRules" -}}
{{- $rules := dict -}}
{{- range .Values.engines -}}
{{- $keda := default dict .keda -}}
{{- if and $keda.enabled (eq (int (default 0 $keda.minReplicas)) 0) -}}
{{- $waitMs := mul (default 60 .startupMinutes | int) 60000 -}}
{{- $_ := set $rules (default .modelURL .servedModelName) (dict "scaleFromZero" true "maxQueueMs" $waitMs) -}}
{{- end -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}
