{{/* Ingress and HTTPRoute of a Service: (dict "root" $ "component" "router" "at" .Values.router "port" 80 "seconds" 900). */}}
{{- define "tollgate.entry" -}}
{{- $name := printf "%s-%s" (include "tollgate.fullname" .root) .component -}}
{{- $labels := dict "root" .root "component" .component -}}
{{- with .at.ingress }}
{{- if .enabled }}
{{- if not .hosts }}{{ fail (printf "%s.ingress.hosts: name a host" $.component) }}{{ end }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ $name }}
  labels:
    {{- include "tollgate.labels" $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range .hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ $name }}
                port: { name: api }
    {{- end }}
{{- end }}
{{- end }}
{{- with .at.httpRoute }}
{{- if .enabled }}
{{- if not .parentRefs }}{{ fail (printf "%s.httpRoute.parentRefs: name a Gateway" $.component) }}{{ end }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {{ $name }}
  labels:
    {{- include "tollgate.labels" $labels | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  parentRefs:
    {{- toYaml .parentRefs | nindent 4 }}
  {{- with .hostnames }}
  hostnames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    - matches: [{ path: { type: PathPrefix, value: / } }]
      # Answers stream: the gateway may cut none that the router itself would let go on.
      timeouts: { request: {{ $.seconds }}s, backendRequest: {{ $.seconds }}s }
      backendRefs: [{ name: {{ $name }}, port: {{ $.port }} }]
{{- end }}
{{- end }}
{{- end -}}
