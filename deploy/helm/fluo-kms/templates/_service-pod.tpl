{{/* The pod of the service, once for Deployment and StatefulSet: its metadata and spec. Nothing of the policy is in it. */}}
{{- define "fluo-kms.servicePod" -}}
{{- $postgres := eq .Values.store.kind "postgres" -}}
metadata:
  {{- /* Settings are read at the start alone. Policy, tenants and certificates are watched, and not in this sum. */ -}}
  {{- $checksum := include "fluo-kms.properties" (dict "root" . "job" false) | trim | sha256sum }}
  {{- $own := dict "checksum/config" $checksum }}
  {{- include "fluo-kms.podMetadata" (dict "root" . "component" "service" "of" .Values "annotations" $own "provider" true) | nindent 2 }}
spec:
  {{- include "fluo-kms.podSecurity" . | nindent 2 }}
  serviceAccountName: {{ include "fluo-kms.serviceAccount" . }}
  terminationGracePeriodSeconds: {{ add .Values.shutdown.delay .Values.shutdown.grace 15 }}
  {{- with include "fluo-kms.placement" . | trim }}{{ . | nindent 2 }}{{- end }}
  {{- with include "fluo-kms.spread" . | fromYamlArray }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: fluo-kms
      {{- include "fluo-kms.containerSecurity" . | nindent 6 }}
      args: [--config, /etc/fluo-kms/config/application.properties]
      env:
        {{- include "fluo-kms.env" . | nindent 8 }}
        # Of commands by kubectl exec; the service itself does not read it.
        - { name: FLUO_KMS_ADDR, value: "unix:/run/fluo-kms/local/kms.sock" }
        {{- with include "fluo-kms.otlpEnv" . | trim }}{{ . | nindent 8 }}{{- end }}
        {{- with .Values.extraEnv }}{{ toYaml . | nindent 8 }}{{- end }}
      {{- with include "fluo-kms.envFrom" . | trim }}{{ . | nindent 6 }}{{- end }}
      ports:
        - { name: grpc, containerPort: 9000 }
        - { name: http, containerPort: 8080 }
      # By HTTP: a probe of gRPC speaks no TLS. Never Validate, which costs calls of the provider. A dependency that is away makes
      # a replica not ready, and restarts none.
      startupProbe:
        httpGet: { path: /q/health/live, port: http, scheme: HTTPS }
        periodSeconds: 2
        failureThreshold: 60
      readinessProbe:
        httpGet: { path: /q/health/ready, port: http, scheme: HTTPS }
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: { path: /q/health/live, port: http, scheme: HTTPS }
        periodSeconds: 20
        timeoutSeconds: 10
        failureThreshold: 6
      resources:
        {{- include "fluo-kms.resources" . | nindent 8 }}
      volumeMounts:
        {{- include "fluo-kms.mounts" . | nindent 8 }}
        - { name: policy, mountPath: /etc/fluo-kms/policy, readOnly: true }
        - { name: tls, mountPath: /etc/fluo-kms/tls, readOnly: true }
        - { name: state, mountPath: /var/lib/fluo-kms }
        - { name: run, mountPath: /run/fluo-kms }
        {{- if .Values.policy.clusterToken }}
        - { name: cluster-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
        {{- end }}
        {{- if and .Values.backup.enabled (not $postgres) }}
        - { name: backup, mountPath: /var/lib/fluo-kms-backup }
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "fluo-kms.volumes" (dict "root" . "config" (include "fluo-kms.fullname" .)) | nindent 4 }}
    - name: policy
      projected:
        defaultMode: 288
        sources:
          {{- if .Values.policy.files }}
          - configMap: { name: {{ include "fluo-kms.fullname" . }}-policy }
          {{- end }}
          {{- range .Values.policy.configMaps }}
          - configMap: { name: {{ . }} }
          {{- end }}
          {{- range .Values.policy.secrets }}
          - secret: { name: {{ . }} }
          {{- end }}
    - name: tls
      secret: { secretName: {{ include "fluo-kms.tlsSecret" . }}, defaultMode: 288 }
    - name: run
      emptyDir: { sizeLimit: 1Mi }
    {{- if .Values.policy.clusterToken }}
    - name: cluster-token
      projected:
        defaultMode: 288
        sources:
          - serviceAccountToken: { expirationSeconds: 3600, path: token }
          - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
    {{- end }}
    {{- if $postgres }}
    - name: state
      emptyDir: { sizeLimit: 256Mi }
    {{- end }}
{{- end -}}
