{{/* Name of the chart in labels. */}}
{{- define "eventrouter.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* Name of all resources: the release's, with the chart's unless that is in it. */}}
{{- define "eventrouter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "eventrouter.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "eventrouter.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{/*
What runs the pods, as kubectl names its kind: with claims of the chart's own a StatefulSet, so that
each replica keeps its claim.
*/}}
{{- define "eventrouter.workload" -}}
{{- and .Values.persistence.enabled (not .Values.persistence.existingClaim) | ternary "statefulset" "deployment" -}}
{{- end }}

{{/* Its name. The StatefulSet's, with a dash and ten characters, is a label of its pods. */}}
{{- define "eventrouter.workloadName" -}}
{{- $isStateful := eq (include "eventrouter.workload" .) "statefulset" -}}
{{- include "eventrouter.fullname" . | trunc (ternary 52 63 $isStateful) | trimSuffix "-" -}}
{{- end }}

{{/* Name of what is outside the release's namespace, where two releases may have one name. */}}
{{- define "eventrouter.outsideName" -}}
{{- printf "%s:%s" (include "eventrouter.namespace" .) (include "eventrouter.fullname" .) -}}
{{- end }}

{{- define "eventrouter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "eventrouter.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* The labels that choose our pods. They never change: a Deployment's selector cannot. */}}
{{- define "eventrouter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "eventrouter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of everything. */}}
{{- define "eventrouter.labels" -}}
{{- $labels := dict
      "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
      "app.kubernetes.io/version" .Chart.AppVersion
      "app.kubernetes.io/managed-by" .Release.Service -}}
{{- merge (include "eventrouter.selectorLabels" . | fromYaml) $labels (.Values.commonLabels | default dict) | toYaml -}}
{{- end }}

{{/* The test's pod must not be taken for one of ours. */}}
{{- define "eventrouter.testLabels" -}}
app.kubernetes.io/name: {{ include "eventrouter.name" . | trunc 58 }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
What stands under `metadata:`. Takes `root`, and where they differ from the usual `name`, `labels`,
`annotations`, `namespace`, `isClusterScoped`.
*/}}
{{- define "eventrouter.metadata" -}}
{{- $root := .root -}}
name: {{ .name | default (include "eventrouter.fullname" $root) | quote }}
{{- if not .isClusterScoped }}
namespace: {{ .namespace | default (include "eventrouter.namespace" $root) }}
{{- end }}
labels:
  {{- merge (dict) (.labels | default dict) (include "eventrouter.labels" $root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* An image's full name. Takes the root, `image` and `tag`, the one to use by default. */}}
{{- define "eventrouter.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository -}}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag | default .tag }}{{ end -}}
{{- end }}

{{/* The pods' specification for pulling images, shared with the test's pod. */}}
{{- define "eventrouter.imagePullSecrets" -}}
{{- with concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Whether the sidecar is of a version, or newer: "true", "false", or "" if its tag is no version. Takes
`root` and `than`.
*/}}
{{- define "eventrouter.fluentBit.isNewer" -}}
{{- $tag := .root.Values.fluentBit.image.tag | trimPrefix "v" -}}
{{- if regexMatch "^[0-9]+\\.[0-9]+\\.[0-9]+" $tag -}}
{{- semverCompare (printf ">=%s-0" .than) $tag -}}
{{- end -}}
{{- end }}

{{/* Bytes of a quantity such as 1Gi. */}}
{{- define "eventrouter.bytes" -}}
{{- $units := dict
      "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000
      "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]+$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit | default 1) | int64 -}}
{{- end }}

{{/* A size as the watcher takes it. Helm reads a number in a file as a float, such as 3.3554432e+07. */}}
{{- define "eventrouter.size" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ int64 . }}{{ end -}}
{{- end }}

{{/* A container's variables: ours, but for those that are given in the values. */}}
{{- define "eventrouter.env" -}}
{{- $given := list -}}
{{- range .given -}}
{{- $given = append $given .name -}}
{{- end -}}
{{- $variables := list -}}
{{- range .ours -}}
{{- if not (has .name $given) -}}
{{- $variables = append $variables . -}}
{{- end -}}
{{- end -}}
{{- concat $variables (.given | default list) | toYaml -}}
{{- end }}

{{- define "eventrouter.watcher.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: EVENTROUTER_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: EVENTROUTER_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: EVENTROUTER_CHECKPOINT
  value: lease:$(POD_NAMESPACE)/{{ include "eventrouter.fullname" . }}
- name: EVENTROUTER_BUFFER_PATH
  value: /buffers/fluent-bit
- name: EVENTROUTER_OLD_EVENT_CACHE
  value: {{ include "eventrouter.size" .Values.watch.oldEventCache | quote }}
- name: EVENTROUTER_LOG_LEVEL
  value: {{ .Values.watcher.logLevel }}
{{- with .Values.watch.namespaces }}
- name: EVENTROUTER_NAMESPACE
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.watch.fieldSelector }}
- name: EVENTROUTER_FIELD_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- with .Values.clusterName }}
- name: EVENTROUTER_CLUSTER_NAME
  value: {{ . | quote }}
{{- end }}
{{- with include "eventrouter.extras.env" . | fromYamlArray }}
{{ toYaml . }}
{{- end }}
{{- with include "eventrouter.setup.reports" . }}
- name: EVENTROUTER_SETUP_REPORTS
  value: {{ . | quote }}
{{- end }}
{{- with include "eventrouter.check.env" . }}
{{ . }}
{{- end }}
{{- end }}

{{/* The sidecar's variables; fluent/fluent-bit.yaml says what each means. */}}
{{- define "eventrouter.fluentBit.env" -}}
- name: BUFFER_PATH
  value: /buffers/fluent-bit
# IPv4 and IPv6.
- name: HTTP_LISTEN
  value: "::"
- name: LOG_LEVEL
  value: {{ .Values.fluentBit.logLevel }}
{{- with include "eventrouter.outputs.env" . | fromYamlArray }}
{{ toYaml . }}
{{- end }}
{{- end }}
