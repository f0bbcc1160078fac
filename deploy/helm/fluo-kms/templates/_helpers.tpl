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

{{/* The host of a Service: of gRPC, of HTTP for callers ("-http"), and of HTTP of every replica ("-admin"). Parts: root, and suffix. */}}
{{- define "fluo-kms.host" -}}
{{- printf "%s%s.%s.svc" (include "fluo-kms.fullname" .root) .suffix .root.Release.Namespace -}}
{{- end -}}

{{/* A DNS name that the certificate has. "-http" and not "-admin": certificates that were made for older releases of the chart have it. */}}
{{- define "fluo-kms.serverName" -}}
{{- .Values.tls.publicName | default (include "fluo-kms.host" (dict "root" . "suffix" "-http")) -}}
{{- end -}}

{{- define "fluo-kms.selector" -}}
app.kubernetes.io/name: {{ include "fluo-kms.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The chart's own labels of an object. */}}
{{- define "fluo-kms.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "fluo-kms.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Merges maps of a list into one, the last of them first in rank, without what is null. */}}
{{- define "fluo-kms.layers" -}}
{{- $merged := dict -}}
{{- range . -}}
{{- range $name, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $merged $name $value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{/*
Labels and annotations of an object or a pod: its own come before the common ones. The pods of the service alone have the component
that selectors look for. Parts: root; component, labels and annotations, if it has any.
*/}}
{{- define "fluo-kms.metadata" -}}
{{- $own := include "fluo-kms.labels" .root | fromYaml -}}
{{- with .component }}{{ $_ := set $own "app.kubernetes.io/component" . }}{{ end -}}
labels:
  {{- include "fluo-kms.layers" (list .root.Values.commonLabels .labels $own) | nindent 2 }}
{{- with include "fluo-kms.layers" (list .root.Values.commonAnnotations .annotations) | fromYaml }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The same of a pod. Parts: root and component; of, which has podLabels and podAnnotations; annotations, if it has any of its own; provider,
true if it calls the provider and so needs an identity there.
*/}}
{{- define "fluo-kms.podMetadata" -}}
{{- $azure := dict -}}
{{- if and .provider .root.Values.credentials.azureWorkloadIdentity -}}
{{- $azure = dict "azure.workload.identity/use" "true" -}}
{{- end -}}
{{- $labels := include "fluo-kms.layers" (list .of.podLabels $azure) | fromYaml -}}
{{- $annotations := include "fluo-kms.layers" (list .of.podAnnotations .annotations) | fromYaml -}}
{{- include "fluo-kms.metadata" (dict "root" .root "component" .component "labels" $labels "annotations" $annotations) -}}
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
{{- include "fluo-kms.cores" .Values.resources.cpu | float64 | ceil | int | min 64 -}}
{{- end -}}

{{/* A quantity of CPU as a number of cores. */}}
{{- define "fluo-kms.cores" -}}
{{- if hasSuffix "m" . -}}{{- divf (trimSuffix "m" . | float64) 1000 -}}{{- else -}}{{- . -}}{{- end -}}
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
  {{- with .Values.resources.cpuLimit }}
  cpu: {{ . | quote }}
  {{- end }}
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
{{- with .Values.resources -}}
{{- if and .cpuLimit (lt (include "fluo-kms.cores" .cpuLimit | float64) (include "fluo-kms.cores" .cpu | float64)) -}}
{{- fail (printf "resources.cpuLimit is %s, and resources.cpu, which is requested, %s: a limit is no less" .cpuLimit .cpu) -}}
{{- end -}}
{{- end -}}
{{- include "fluo-kms.checkedExtras" . -}}
{{- end -}}

{{/* Refuses extras that would take the place of what the chart sets, or that Kubernetes would refuse only when it makes the pods. */}}
{{- define "fluo-kms.checkedExtras" -}}
{{- $settings := include "fluo-kms.settings" (dict "root" . "job" false) | fromYaml -}}
{{- range .Values.extraEnv -}}
{{- $variable := .name -}}
{{- range $name, $_ := $settings -}}
{{- if eq $variable (regexReplaceAll "[^a-zA-Z0-9]" (regexReplaceAll "^%[a-z]+\\." $name "") "_" | upper) -}}
{{- fail (printf "extraEnv: %s would take the place of the setting %s, which the chart sets: change it by the value that it comes from" $variable $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $pod := (include "fluo-kms.servicePod" . | fromYaml).spec -}}
{{- $container := first $pod.containers -}}
{{- $volumes := concat $pod.volumes (list (dict "name" "state") (dict "name" "work") (dict "name" "backup")) -}}
{{- $ofJobs := list (dict "name" "migrate") (dict "name" "backup") (dict "name" "drill") -}}
{{- $containers := concat $pod.containers (default list $pod.initContainers) -}}
{{- include "fluo-kms.once" (dict "value" "extraEnv" "all" $container.env "by" "name" "given" .Values.extraEnv) -}}
{{- include "fluo-kms.once" (dict "value" "extraVolumes" "all" $volumes "by" "name" "given" .Values.extraVolumes) -}}
{{- include "fluo-kms.once" (dict "value" "extraVolumeMounts" "all" $container.volumeMounts "by" "mountPath" "given" .Values.extraVolumeMounts) -}}
{{- include "fluo-kms.once" (dict "value" "extraContainers" "all" $containers "by" "name" "given" .Values.extraContainers) -}}
{{- include "fluo-kms.once" (dict "value" "extraInitContainers" "all" (concat $containers $ofJobs) "by" "name" "given" .Values.extraInitContainers) -}}
{{- end -}}

{{/* Refuses what is given and is there twice. Parts: value, its name; given, its entries; all, these among others; by, the field. */}}
{{- define "fluo-kms.once" -}}
{{- range .given -}}
{{- $name := get . $.by -}}
{{- $count := 0 -}}
{{- range $.all }}{{ if eq $name (get . $.by) }}{{ $count = add $count 1 }}{{ end }}{{ end -}}
{{- if gt (int $count) 1 -}}
{{- fail (printf "%s: the %s %s is there already, of the chart or of another entry" $.value $.by $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
