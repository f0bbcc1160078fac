{{/*
Settings by name. A service and a job share those of store and provider; a job listens nowhere and needs no certificate.
Parts: root, and job (true or false).
*/}}
{{- define "fluo-kms.settings" -}}
{{- $v := .root.Values -}}
{{- $s := dict "fluo.kms.profile" "prod" "fluo.kms.issuer" $v.issuer "fluo.kms.auth" $v.auth -}}
{{- $_ := set $s "fluo.kms.policy.file" "/etc/fluo-kms/policy/policy.yaml" -}}
{{- $_ := set $s "fluo.kms.provider" $v.provider.name -}}
{{- $_ := set $s "fluo.kms.store" $v.store.kind -}}
{{- $_ := set $s "fluo.kms.files.group-readable" "true" -}}
{{- if not .job -}}
{{- $_ := set $s "fluo.kms.host" $v.host -}}
{{- $_ := set $s "fluo.kms.grpc.port" "9000" -}}
{{- $_ := set $s "fluo.kms.http.port" "8080" -}}
{{- /* For kubectl exec. The root of the volume is open to its group; the service makes the folder in it, for itself alone. */ -}}
{{- $_ := set $s "fluo.kms.local-socket" "/run/fluo-kms/local/kms.sock" -}}
{{- $_ := set $s "fluo.kms.tls.certificate" "/etc/fluo-kms/tls/tls.crt" -}}
{{- $_ := set $s "fluo.kms.tls.key" "/etc/fluo-kms/tls/tls.key" -}}
{{- $_ := set $s "fluo.kms.shutdown.delay" (printf "%ds" (int $v.shutdown.delay)) -}}
{{- $_ := set $s "fluo.kms.shutdown.grace" (printf "%ds" (int $v.shutdown.grace)) -}}
{{- $_ := set $s "fluo.kms.threads" (include "fluo-kms.threads" .root) -}}
{{- $_ := set $s "kms.cache.max-entries" (int $v.cache.maxEntries) -}}
{{- end -}}
{{- if eq $v.store.kind "postgres" -}}
{{- with $v.store.postgres -}}
{{- $_ := set $s "fluo.kms.postgres.url" (printf "postgres://%s@%s:%d/%s?sslmode=verify-full" .user .host (int .port) .database) -}}
{{- $_ := set $s "fluo.kms.postgres.password-file" (printf "/etc/fluo-kms/postgres/%s" .passwordSecret.key) -}}
{{- $_ := set $s "fluo.kms.postgres.max-connections" (int .maxConnections) -}}
{{- if .caSecret.name -}}
{{- $_ := set $s "fluo.kms.postgres.ca" (printf "/etc/fluo-kms/postgres-ca/%s" .caSecret.key) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $s "fluo.kms.store.migrate" "never" -}}
{{- if not .job -}}
{{- /* On the pod's own disk: it notices a database that is put back under replicas. A new pod begins a new one, so none is required. */ -}}
{{- $_ := set $s "fluo.kms.audit.heads-file" "/var/lib/fluo-kms/heads" -}}
{{- $_ := set $s "fluo.kms.audit.heads-file.required" "false" -}}
{{- end -}}
{{- else -}}
{{- /* The kubelet owns the root of a volume; the store lies in a folder that the service makes. */ -}}
{{- $_ := set $s "fluo.kms.sqlite.file" "/var/lib/fluo-kms/state/fluo-kms.db" -}}
{{- end -}}
{{- if $v.backup.enabled -}}
{{- $_ := set $s "fluo.kms.backup.interval" $v.backup.interval -}}
{{- if eq $v.store.kind "sqlite" -}}
{{- $_ := set $s "fluo.kms.backup.cron" $v.backup.cron -}}
{{- $_ := set $s "fluo.kms.backup.directory" "/var/lib/fluo-kms-backup" -}}
{{- $_ := set $s "fluo.kms.backup.keep" (int $v.backup.keep) -}}
{{- end -}}
{{- end -}}
{{- if $v.tenants.secretName -}}
{{- $name := ternary "fluo.kms.provider-keys.file" "fluo.kms.tenants.file" (regexMatch "\\.(yaml|yml|json)$" $v.tenants.key) -}}
{{- $_ := set $s $name (printf "/etc/fluo-kms/tenants/%s" $v.tenants.key) -}}
{{- end -}}
{{- range $name, $value := merge (dict) (default dict $v.settings) $v.provider.settings -}}
{{- if hasKey $s (regexReplaceAll "^%[a-z]+\\." $name "") -}}
{{- fail (printf "settings: %s is set by another value of the chart" $name) -}}
{{- end -}}
{{- if not (and $.job (regexMatch "^(%[a-z]+\\.)?fluo\\.kms\\.(tls|host|grpc|http)\\." $name)) -}}
{{- $_ := set $s $name $value -}}
{{- end -}}
{{- end -}}
{{- toYaml $s -}}
{{- end -}}

{{/* The settings as a file. */}}
{{- define "fluo-kms.properties" -}}
{{- include "fluo-kms.lines" (include "fluo-kms.settings" . | fromYaml) -}}
{{- end -}}

{{/* Lines of a file. Every number is a float here, and would be written as 1e+06. */}}
{{- define "fluo-kms.lines" -}}
{{- range $name, $value := . }}
{{ $name }}={{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end -}}

{{/* The settings of a drill's copy: the provider of the service, and a store of its own. */}}
{{- define "fluo-kms.drillProperties" -}}
{{- $s := include "fluo-kms.settings" (dict "root" . "job" true) | fromYaml -}}
{{- range $name, $_ := $s -}}
{{- if regexMatch "^fluo\\.kms\\.(postgres|store|backup|audit)\\b" $name -}}
{{- $_ := unset $s $name -}}
{{- end -}}
{{- end -}}
{{- $_ := set $s "fluo.kms.store" "sqlite" -}}
{{- $_ := set $s "fluo.kms.sqlite.file" "/var/lib/fluo-kms/drill/fluo-kms.db" -}}
{{- include "fluo-kms.lines" $s -}}
{{- end -}}
