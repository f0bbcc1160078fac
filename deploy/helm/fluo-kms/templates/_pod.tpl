{{/* What every pod of the chart has. Values choose users and groups; that a pod is not root, and under a list of calls, is fixed. */}}
{{- define "fluo-kms.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- $fixed := dict "runAsNonRoot" true }}
{{- $standard := dict "seccompProfile" (dict "type" "RuntimeDefault") }}
securityContext:
  {{- include "fluo-kms.layers" (list $standard .Values.podSecurityContext $fixed) | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "fluo-kms.containerSecurity" -}}
image: {{ include "fluo-kms.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- $fixed := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
securityContext:
  {{- include "fluo-kms.layers" (list .Values.containerSecurityContext $fixed) | nindent 2 }}
{{- end -}}

{{- define "fluo-kms.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Environment of the service and of jobs. A third of the memory is the heap's; the rest is that of threads and sodium. */}}
{{- define "fluo-kms.env" -}}
- name: NODE_OPTIONS
  value: --max-old-space-size={{ div (sub (include "fluo-kms.memory" .) (include "fluo-kms.backupMemory" .)) 3 }}
{{- end -}}

{{- define "fluo-kms.otlpEnv" -}}
{{- with .Values.otlp }}
{{- if and .endpoint (or .traces .metrics) }}
- name: POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: >-
    service.instance.id=$(POD_UID),k8s.pod.uid=$(POD_UID),k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE)
    {{- range $name, $value := .attributes }},{{ $name }}={{ $value }}{{ end }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol }}
{{- range $signal := list "traces" "metrics" }}
{{- if get $.Values.otlp $signal }}
- name: OTEL_EXPORTER_OTLP_{{ upper $signal }}_ENDPOINT
  value: {{ ternary $.Values.otlp.endpoint (printf "%s/v1/%s" (trimSuffix "/" $.Values.otlp.endpoint) $signal) (eq $.Values.otlp.protocol "grpc") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A Secret of variables for the provider, and what else is given. */}}
{{- define "fluo-kms.envFrom" -}}
{{- if or .Values.credentials.envSecretName .Values.extraEnvFrom }}
envFrom:
  {{- with .Values.credentials.envSecretName }}
  - secretRef: { name: {{ . }} }
  {{- end }}
  {{- with .Values.extraEnvFrom }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Mounts and volumes that the service and the jobs have. Folders, never subPath: a file mounted by that is never renewed. */}}
{{- define "fluo-kms.mounts" -}}
- { name: config, mountPath: /etc/fluo-kms/config, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- if eq .Values.store.kind "postgres" }}
- { name: postgres, mountPath: /etc/fluo-kms/postgres, readOnly: true }
{{- if .Values.store.postgres.caSecret.name }}
- { name: postgres-ca, mountPath: /etc/fluo-kms/postgres-ca, readOnly: true }
{{- end }}
{{- end }}
{{- if .Values.tenants.secretName }}
- { name: tenants, mountPath: /etc/fluo-kms/tenants, readOnly: true }
{{- end }}
{{- if .Values.credentials.secretName }}
- { name: credentials, mountPath: /etc/fluo-kms/credentials, readOnly: true }
{{- end }}
{{- if .Values.credentials.projectedToken.enabled }}
- { name: provider-token, mountPath: /var/run/secrets/fluo-kms, readOnly: true }
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Parts: root, and config, the name of the ConfigMap. Mode 288 is 0440, which readers of YAML take for two numbers: the pod's group may read, others may not. */}}
{{- define "fluo-kms.volumes" -}}
{{- $v := .root.Values -}}
- name: config
  configMap: { name: {{ .config }} }
- name: tmp
  emptyDir: { sizeLimit: 256Mi }
{{- if eq $v.store.kind "postgres" }}
- name: postgres
  secret: { secretName: {{ $v.store.postgres.passwordSecret.name }}, defaultMode: 288 }
{{- with $v.store.postgres.caSecret.name }}
- name: postgres-ca
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- end }}
{{- with $v.tenants.secretName }}
- name: tenants
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- with $v.credentials.secretName }}
- name: credentials
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- with $v.credentials.projectedToken }}
{{- if .enabled }}
- name: provider-token
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          audience: {{ .audience }}
          expirationSeconds: {{ .expirationSeconds }}
          path: token
{{- end }}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Spreads replicas over zones and hosts, or as the values have it. One without a selector is for the service's pods. */}}
{{- define "fluo-kms.spread" -}}
{{- $selector := include "fluo-kms.selector" . | fromYaml -}}
{{- $selector = dict "matchLabels" (set $selector "app.kubernetes.io/component" "service") -}}
{{- $constraints := default list .Values.topologySpreadConstraints -}}
{{- if and (empty $constraints) (eq .Values.store.kind "postgres") -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $each := dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "matchLabelKeys" (list "pod-template-hash") -}}
{{- $constraints = append $constraints $each -}}
{{- end -}}
{{- end -}}
{{- range $constraints }}
- {{ include "fluo-kms.layers" (list (dict "labelSelector" $selector) .) | nindent 2 | trim }}
{{- end -}}
{{- end -}}
