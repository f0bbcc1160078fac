{{/* Names. */}}
{{- define "fluo-kms.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "fluo-kms.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "fluo-kms.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "fluo-kms.serviceAccount" -}}
{{- default (include "fluo-kms.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "fluo-kms.tlsSecret" -}}
{{- default (printf "%s-tls" (include "fluo-kms.fullname" .)) .Values.tls.secretName -}}
{{- end -}}

{{- define "fluo-kms.backupClaim" -}}
{{- default (printf "%s-backup" (include "fluo-kms.fullname" .)) .Values.backup.existingClaim -}}
{{- end -}}

{{/* The name by which a client inside the cluster reaches HTTP, and that the certificate has. */}}
{{- define "fluo-kms.httpHost" -}}
{{- printf "%s-http.%s.svc" (include "fluo-kms.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "fluo-kms.selector" -}}
app.kubernetes.io/name: {{ include "fluo-kms.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object; the pods of the service alone have the component that selectors look for. */}}
{{- define "fluo-kms.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "fluo-kms.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "fluo-kms.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Threads: a whole one for each core that is requested, or part of one; the service has 64 at most. */}}
{{- define "fluo-kms.threads" -}}
{{- $cpu := .Values.resources.cpu -}}
{{- if hasSuffix "m" $cpu -}}
{{- divf (trimSuffix "m" $cpu | float64) 1000 | ceil | int | min 64 -}}
{{- else -}}
{{- float64 $cpu | ceil | int | min 64 -}}
{{- end -}}
{{- end -}}

{{/*
MiB that the service may need: 192, and 64 a thread, and 160, and 16 KiB for each place in its caches. A data and a signing key of a
tenant were measured at 8.7 KiB together; the public keys and what waits to be collected have the rest. Where the service makes backups,
their process has what it needs besides.
*/}}
{{- define "fluo-kms.leastMemory" -}}
{{- $caches := divf (mul .Values.cache.maxEntries 16) 1024 | ceil | int -}}
{{- add 192 (mul 64 (include "fluo-kms.threads" . | int)) 160 $caches (include "fluo-kms.backupMemory" . | int) -}}
{{- end -}}

{{/* MiB of the process that makes a backup beside the service: 104 were measured. 0 where the service makes none. */}}
{{- define "fluo-kms.backupMemory" -}}
{{- $names := include "fluo-kms.settings" (dict "root" . "job" false) | fromYaml | keys -}}
{{- $crons := list -}}
{{- range $names -}}
{{- if regexMatch "^(%[a-z]+\\.)?fluo\\.kms\\.backup\\.cron$" . }}{{ $crons = append $crons . }}{{ end -}}
{{- end -}}
{{- ternary 0 130 (empty $crons) -}}
{{- end -}}

{{- define "fluo-kms.memory" -}}
{{- $least := include "fluo-kms.leastMemory" . | int -}}
{{- if not .Values.resources.memory -}}
{{- $least -}}
{{- else -}}
{{- $given := trimSuffix "Mi" .Values.resources.memory | int -}}
{{- if lt $given $least -}}
{{- $backups := ternary "" ", with the service's own backups," (eq (include "fluo-kms.backupMemory" .) "0") -}}
{{- fail (printf "resources.memory is %dMi, and %s threads and %d cached keys%s need %dMi" $given (include "fluo-kms.threads" .) (int .Values.cache.maxEntries) $backups $least) -}}
{{- end -}}
{{- $given -}}
{{- end -}}
{{- end -}}

{{- define "fluo-kms.resources" -}}
requests:
  cpu: {{ .Values.resources.cpu | quote }}
  memory: {{ include "fluo-kms.memory" . }}Mi
limits:
  memory: {{ include "fluo-kms.memory" . }}Mi
{{- end -}}

{{/* Refuses what the schema cannot see. */}}
{{- define "fluo-kms.checked" -}}
{{- $fullname := include "fluo-kms.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $fullname) -}}
{{- fail (printf "all objects would be named %s, and a Service's name begins with a letter and has no dot: set fullnameOverride" $fullname) -}}
{{- end -}}
{{- $postgres := .Values.store.postgres -}}
{{- if eq .Values.store.kind "postgres" -}}
{{- $replicas := ternary .Values.autoscaling.maxReplicas .Values.replicas .Values.autoscaling.enabled | int -}}
{{- $needed := add (mul (add $replicas 1) (add $postgres.maxConnections 3)) 10 -}}
{{- if gt $needed (int $postgres.serverMaxConnections) -}}
{{- fail (printf "%d replicas and one more in an upgrade need %d connections, and store.postgres.serverMaxConnections is %d" $replicas $needed (int $postgres.serverMaxConnections)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" -}}
{{- end -}}
{{- end -}}
