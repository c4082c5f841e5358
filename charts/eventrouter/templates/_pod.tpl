{{/*
The pods: two containers that share a volume, the sidecar first.

A value that has the name of Kubernetes' field is put there as it is.
*/}}

{{/* Fields that are set in the values, by their names. Takes `values` and `fields`. */}}
{{- define "eventrouter.fields" -}}
{{- $fields := dict -}}
{{- range .fields -}}
{{- $value := get $.values . -}}
{{- if $value -}}
{{- $_ := set $fields . $value -}}
{{- end -}}
{{- end -}}
{{- if $fields -}}
{{- toYaml $fields -}}
{{- end -}}
{{- end }}

{{- define "eventrouter.podTemplate" -}}
{{- $certificates := include "eventrouter.outputs.certificates" . | fromYaml -}}
metadata:
  labels:
    {{- merge (include "eventrouter.labels" . | fromYaml) (.Values.podLabels | default dict) | toYaml | nindent 4 }}
  annotations:
    {{- include "eventrouter.podAnnotations" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "eventrouter.serviceAccountName" . }}
  # The token is mounted into the watcher only, below.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with include "eventrouter.imagePullSecrets" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "eventrouter.fields" (dict "values" .Values "fields" (list
        "priorityClassName" "runtimeClassName" "schedulerName" "terminationGracePeriodSeconds"
        "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsPolicy" "dnsConfig")) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "eventrouter.topologySpreadConstraints" . | fromYamlArray }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  initContainers:
    {{- with .Values.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with include "eventrouter.setup.containers" . }}
    # Once at each start: index template and policy, before the first event.
    {{- . | trim | nindent 4 }}
    {{- end }}
    # A native sidecar: it is up before the watcher, and stopped after it.
    - name: fluent-bit
      image: {{ include "eventrouter.image" (dict "root" . "image" .Values.fluentBit.image) }}
      imagePullPolicy: {{ .Values.fluentBit.image.pullPolicy }}
      restartPolicy: Always
      command: [/fluent-bit/bin/fluent-bit]
      args: [-q, -c, /etc/eventrouter/config/fluent-bit.yaml]
      env:
        {{- include "eventrouter.env" (dict
              "ours" (include "eventrouter.fluentBit.env" . | fromYamlArray) "given" .Values.fluentBit.env) | nindent 8 }}
      ports:
        - name: fluent-bit
          containerPort: 2020
      {{- with include "eventrouter.fields" (dict "values" (include "eventrouter.sidecar" . | fromYaml) "fields" (list
            "envFrom" "startupProbe" "livenessProbe" "readinessProbe" "resources" "securityContext")) }}
      {{- . | nindent 6 }}
      {{- end }}
      volumeMounts:
        - name: config
          mountPath: /etc/eventrouter/config
          readOnly: true
        - name: buffers
          mountPath: /buffers
        {{- range $output, $_ := $certificates }}
        - name: tls-{{ $output }}
          mountPath: /etc/eventrouter/tls/{{ $output }}
          readOnly: true
        {{- end }}
        {{- with .Values.fluentBit.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  containers:
    - name: watcher
      image: {{ include "eventrouter.image" (dict "root" . "image" .Values.image "tag" .Chart.AppVersion) }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      env:
        {{- include "eventrouter.env" (dict
              "ours" (include "eventrouter.watcher.env" . | fromYamlArray) "given" .Values.watcher.env) | nindent 8 }}
      ports:
        - name: http
          containerPort: 8080
      {{- with include "eventrouter.fields" (dict "values" .Values.watcher "fields" (list
            "envFrom" "livenessProbe" "readinessProbe" "resources" "securityContext")) }}
      {{- . | nindent 6 }}
      {{- end }}
      volumeMounts:
        - name: token
          mountPath: /var/run/secrets/kubernetes.io/serviceaccount
          readOnly: true
        # It sees there what has been delivered, and leaves a file that names the buffer.
        - name: buffers
          mountPath: /buffers
        {{- if include "eventrouter.setup.reports" . }}
        # What setup could not do, for /metrics and /readyz.
        - name: setup-reports
          mountPath: /setup-reports
        {{- end }}
        {{- range $name, $output := include "eventrouter.check.outputs" . | fromYaml }}
        {{- if include "eventrouter.output.hasCA" $output }}
        # For `eventrouter check`.
        - name: tls-{{ $name }}
          mountPath: /etc/eventrouter/tls/{{ $name }}
          readOnly: true
        {{- end }}
        {{- end }}
        {{- with .Values.watcher.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ .Values.fluentBit.existingConfigMap | default (include "eventrouter.fullname" .) }}
    {{- if not .Values.persistence.enabled }}
    - name: buffers
      emptyDir:
        sizeLimit: {{ .Values.buffer.size }}
    {{- else if .Values.persistence.existingClaim }}
    - name: buffers
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim }}
    {{- end }}
    {{- if include "eventrouter.setup.reports" . }}
    - name: setup-reports
      emptyDir:
        sizeLimit: 1Mi
    {{- end }}
    - name: token
      projected:
        sources:
          - serviceAccountToken:
              path: token
              expirationSeconds: 3607
          - configMap:
              name: kube-root-ca.crt
              items:
                - key: ca.crt
                  path: ca.crt
          - downwardAPI:
              items:
                - path: namespace
                  fieldRef:
                    fieldPath: metadata.namespace
    {{- range $output, $tls := $certificates }}
    - name: tls-{{ $output }}
      secret:
        secretName: {{ $tls.secret }}
        items:
          {{- range $tls.keys }}
          - key: {{ . | quote }}
            path: {{ . | quote }}
          {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/*
The sidecar's values. A buffer in an emptyDir is requested as ephemeral storage: when a node is short of
it, pods that use more than they requested are evicted first.
*/}}
{{- define "eventrouter.sidecar" -}}
{{- $values := deepCopy .Values.fluentBit -}}
{{- if not .Values.persistence.enabled -}}
{{- $request := dict "requests" (dict "ephemeral-storage" .Values.buffer.size) -}}
{{- $_ := set $values "resources" (mergeOverwrite $request ($values.resources | default dict)) -}}
{{- end -}}
{{- toYaml $values -}}
{{- end }}

{{/* Annotations of the pods. A sum of what the release puts into the cluster restarts them with it. */}}
{{- define "eventrouter.podAnnotations" -}}
{{- $annotations := dict "kubectl.kubernetes.io/default-container" "fluent-bit" -}}
{{- if include "eventrouter.outputs.toElasticsearch" . -}}
{{- /* Else the EFK stack's own node agent would store what is printed a second time. */ -}}
{{- $_ := set $annotations "fluentbit.io/exclude_stdout-fluent-bit" "true" -}}
{{- end -}}
{{- if not .Values.fluentBit.existingConfigMap -}}
{{- $_ := set $annotations "checksum/config" (include (print $.Template.BasePath "/configmap.yaml") . | sha256sum) -}}
{{- end -}}
{{- with .Values.extraObjects -}}
{{- $_ := set $annotations "checksum/extra-objects" (include (print $.Template.BasePath "/extra-objects.yaml") $ | sha256sum) -}}
{{- end -}}
{{- mergeOverwrite $annotations (.Values.commonAnnotations | default dict) (.Values.podAnnotations | default dict) | toYaml -}}
{{- end }}

{{/* Without a wish, replicas that stand by for one another are on different nodes, if there are any. */}}
{{- define "eventrouter.topologySpreadConstraints" -}}
{{- $spread := list -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- $spread = list (dict
      "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway"
      "labelSelector" (dict "matchLabels" (include "eventrouter.selectorLabels" . | fromYaml))) -}}
{{- end -}}
{{- .Values.topologySpreadConstraints | default $spread | toYaml -}}
{{- end }}
