{{/*
Variables of every process, one block per component. test/kube/chart.test.ts compares the names with the services' own
configuration and with docker-compose.yml.
*/}}
{{- define "tollgate.env.redis" -}}
{{- if .Values.demo.redis.enabled }}
- name: REDIS_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ default .Values.auth.existingSecret .Values.redis.existingSecret }}, key: {{ .Values.demo.redis.passwordKey }} } }
- name: REDIS_URL
  value: redis://:$(REDIS_PASSWORD)@{{ include "tollgate.fullname" . }}-redis:6379
{{- else }}
- name: REDIS_URL
  valueFrom: { secretKeyRef: { name: {{ default .Values.auth.existingSecret .Values.redis.existingSecret }}, key: {{ .Values.redis.urlKey }} } }
{{- end }}
{{- end -}}

{{- define "tollgate.env.postgres" -}}
{{- if .Values.demo.postgres.enabled }}
- name: POSTGRES_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ default .Values.auth.existingSecret .Values.postgres.existingSecret }}, key: {{ .Values.demo.postgres.passwordKey }} } }
- name: DATABASE_URL
  value: postgres://tollgate:$(POSTGRES_PASSWORD)@{{ include "tollgate.fullname" . }}-postgres:5432/tollgate
{{- else }}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ default .Values.auth.existingSecret .Values.postgres.existingSecret }}, key: {{ .Values.postgres.urlKey }} } }
{{- end }}
{{- end -}}

{{- define "tollgate.env.pepper" -}}
- name: TOLLGATE_KEY_PEPPER
  valueFrom: { secretKeyRef: { name: {{ .Values.auth.existingSecret }}, key: {{ .Values.auth.pepperKey }} } }
{{- end -}}

{{- define "tollgate.env.adminToken" -}}
- name: TOLLGATE_ADMIN_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .Values.auth.existingSecret }}, key: {{ .Values.auth.adminTokenKey }} } }
{{- end -}}

{{- define "tollgate.env.serviceToken" -}}
- name: TOLLGATE_SERVICE_TOKEN
  valueFrom: { secretKeyRef: { name: {{ .Values.auth.existingSecret }}, key: {{ .Values.auth.serviceTokenKey }} } }
{{- end -}}

{{- define "tollgate.env.sealKey" -}}
- name: TOLLGATE_SEAL_KEY
  valueFrom: { secretKeyRef: { name: {{ .Values.auth.existingSecret }}, key: {{ .Values.auth.sealKeyKey }}, optional: true } }
{{- end -}}

{{/* How services of one release find each other. */}}
{{- define "tollgate.env.routerUrl" -}}
- name: TOLLGATE_ROUTER_URL
  value: http://{{ include "tollgate.fullname" . }}-router:{{ .Values.router.service.port }}
{{- end -}}

{{- define "tollgate.env.consoleUrl" -}}
- name: TOLLGATE_CONSOLE_URL
  value: http://{{ include "tollgate.fullname" . }}-console:{{ .Values.console.service.port }}
{{- end -}}

{{- define "tollgate.env.retrievalUrl" }}
- name: TOLLGATE_RETRIEVAL_URL
  value: {{ .Values.retrieval.enabled | ternary (printf "http://%s-retrieval:8083" (include "tollgate.fullname" .)) "" | quote }}
{{- end -}}

{{- define "tollgate.env.router" -}}
- name: TOLLGATE_ROUTER_LISTEN
  value: ":8080"
- name: TOLLGATE_ROUTER_METRICS_LISTEN
  value: ":9100"
- name: TOLLGATE_ROUTER_ID
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: TOLLGATE_WORKERS
  value: {{ include "tollgate.workers" . | quote }}
- name: TOLLGATE_DISCOVERY
  value: {{ join "," (concat (.Values.discovery.redis | ternary (list "redis") list) (.Values.discovery.kubernetes.enabled | ternary (list "kubernetes") list)) | quote }}
- name: TOLLGATE_MODEL_RULES
  value: {{ include "tollgate.modelRules" . | quote }}
- name: TOLLGATE_WORKER_CONCURRENCY
  value: {{ .Values.router.workerConcurrency | int | quote }}
- name: TOLLGATE_BUCKETS
  value: {{ .Values.buckets | int | quote }}
{{ include "tollgate.env.pepper" . }}
{{ include "tollgate.env.serviceToken" . }}
- name: TOLLGATE_METERING_URL
  value: http://{{ include "tollgate.fullname" . }}-metering:8082
{{ include "tollgate.env.consoleUrl" . }}
{{- include "tollgate.env.retrievalUrl" . }}
- name: TOLLGATE_SPOOL_DIR
  value: /var/lib/tollgate/spool
- name: TOLLGATE_SPOOL_MAX_BYTES
  value: {{ .Values.router.spool.maxBytes | int64 | quote }}
- name: TOLLGATE_TOTAL_TIMEOUT_MS
  value: {{ mul (int .Values.router.longestStreamSeconds) 1000 | quote }}
- name: TOLLGATE_PLAIN_TIMEOUT_MS
  value: {{ mul (min (int .Values.router.longestStreamSeconds) 600) 1000 | quote }}
- name: TOLLGATE_DRAIN_DELAY_MS
  value: {{ mul (int .Values.router.drainDelaySeconds) 1000 | quote }}
- name: TOLLGATE_STOP_GRACE_MS
  value: {{ mul (include "tollgate.routerGraceSeconds" . | int) 1000 | quote }}
- name: TOLLGATE_ACCESS_LOG
  value: {{ .Values.router.accessLog }}
{{- include "tollgate.env.redis" . }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "tollgate.env.console" -}}
- name: TOLLGATE_CONSOLE_LISTEN
  value: ":8081"
- name: TOLLGATE_CONSOLE_METRICS_LISTEN
  value: ":9100"
- name: TOLLGATE_BUCKETS
  value: {{ .Values.buckets | int | quote }}
- name: TOLLGATE_CONSOLE_HOSTS
  value: {{ join "," .Values.console.hosts | quote }}
- name: TOLLGATE_CONSOLE_ORIGINS
  value: {{ join "," .Values.console.origins | quote }}
- name: TOLLGATE_CONSOLE_DB_CONNECTIONS
  value: {{ .Values.console.dbConnections | int | quote }}
- name: TOLLGATE_FILES_DIR
  value: {{ .Values.console.files.enabled | ternary "/var/lib/tollgate/files" "" | quote }}
{{ include "tollgate.env.routerUrl" . }}
{{- include "tollgate.env.retrievalUrl" . }}
{{ include "tollgate.env.pepper" . }}
{{ include "tollgate.env.adminToken" . }}
{{ include "tollgate.env.serviceToken" . }}
{{ include "tollgate.env.sealKey" . }}
{{- include "tollgate.env.postgres" . }}
{{- include "tollgate.env.redis" . }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "tollgate.env.metering" -}}
- name: TOLLGATE_METERING_LISTEN
  value: ":8082"
- name: TOLLGATE_METERING_METRICS_LISTEN
  value: ":9100"
- name: TOLLGATE_BUCKETS
  value: {{ .Values.buckets | int | quote }}
- name: TOLLGATE_REDIS_STANDALONE
  value: {{ or .Values.demo.redis.enabled .Values.redis.standalone | quote }}
- name: TOLLGATE_METERING_DB_CONNECTIONS
  value: {{ .Values.metering.dbConnections | int | quote }}
{{- /* One of several that stops must not take the leases away that the others go on with. */}}
- name: TOLLGATE_METERING_RECLAIM_ON_STOP
  value: {{ le (int .Values.metering.replicaCount) 1 | quote }}
{{ include "tollgate.env.routerUrl" . }}
{{ include "tollgate.env.consoleUrl" . }}
{{ include "tollgate.env.pepper" . }}
{{ include "tollgate.env.serviceToken" . }}
{{ include "tollgate.env.sealKey" . }}
{{- include "tollgate.env.postgres" . }}
{{- include "tollgate.env.redis" . }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "tollgate.env.retrieval" -}}
- name: TOLLGATE_RETRIEVAL_LISTEN
  value: ":8083"
- name: TOLLGATE_RETRIEVAL_METRICS_LISTEN
  value: ":9100"
- name: TOLLGATE_EMBEDDING_MODELS
  value: {{ join "," .Values.retrieval.embeddingModels | quote }}
- name: TOLLGATE_RETRIEVAL_DB_CONNECTIONS
  value: {{ .Values.retrieval.dbConnections | int | quote }}
{{ include "tollgate.env.routerUrl" . }}
{{ include "tollgate.env.consoleUrl" . }}
{{ include "tollgate.env.serviceToken" . }}
{{- include "tollgate.env.postgres" . }}
{{- include "tollgate.env.redis" . }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{- define "tollgate.env.migrate" -}}
{{- include "tollgate.env.postgres" . }}
{{- end -}}

{{- define "tollgate.env.cli" -}}
- name: TOLLGATE_CONSOLE_URL
  value: http://{{ include "tollgate.fullname" . }}-console:{{ .Values.console.service.port }}
- name: TOLLGATE_ROUTER_URL
  value: http://{{ include "tollgate.fullname" . }}-router:{{ .Values.router.service.port }}
- name: TOLLGATE_METERING_URL
  value: http://{{ include "tollgate.fullname" . }}-metering:8082
{{ include "tollgate.env.adminToken" . }}
{{ include "tollgate.env.serviceToken" . }}
{{- include "tollgate.env.postgres" . }}
{{- include "tollgate.env.redis" . }}
{{- end -}}

{{- define "tollgate.env.devworker" -}}
- name: TOLLGATE_DEVWORKER_LISTEN
  value: ":8000"
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}
