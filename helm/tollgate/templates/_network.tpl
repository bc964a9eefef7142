{{- define "tollgate.egress.dns" -}}
- ports: [{ port: 53, protocol: UDP }, { port: 53, protocol: TCP }]
{{- end -}}

{{- define "tollgate.egress.redis" -}}
{{- if .Values.demo.redis.enabled -}}
- ports: [{ port: 6379, protocol: TCP }]
  to: [{ podSelector: { matchLabels: {{ include "tollgate.selector" (dict "root" . "component" "redis") | fromYaml | toJson }} } }]
{{- else -}}
- ports:
    {{- range .Values.networkPolicy.redisPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
  {{- with .Values.networkPolicy.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "tollgate.egress.postgres" -}}
{{- if .Values.demo.postgres.enabled -}}
- ports: [{ port: 5432, protocol: TCP }]
  to: [{ podSelector: { matchLabels: {{ include "tollgate.selector" (dict "root" . "component" "postgres") | fromYaml | toJson }} } }]
{{- else -}}
- ports:
    {{- range .Values.networkPolicy.postgresPorts }}
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
  {{- with .Values.networkPolicy.postgresTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Components that answer generations, as a JSON list. */}}
{{- define "tollgate.engineComponents" -}}
{{- $list := list -}}
{{- range .Values.engines -}}
{{- $list = append $list (printf "engine-%s" .name) -}}
{{- end -}}
{{- if .Values.devworker.enabled -}}
{{- $list = append $list "devworker" -}}
{{- end -}}
{{- toJson $list -}}
{{- end -}}

{{/* Ports of `workers`, as a JSON list of numbers. */}}
{{- define "tollgate.workerPorts" -}}
{{- $ports := list -}}
{{- range .Values.workers -}}
{{- $url := regexReplaceAll "^(vllm|sglang)=" . "" | urlParse -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $ports = append $ports (default (eq $url.scheme "https" | ternary "443" "80") $port | int) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* One of our own services: (dict "root" . "component" "router" "port" 8080). */}}
{{- define "tollgate.egress.to" -}}
- ports: [{ port: {{ .port }}, protocol: TCP }]
  to: [{ podSelector: { matchLabels: {{ include "tollgate.selector" (dict "root" .root "component" .component) | fromYaml | toJson }} } }]
{{- end -}}
