{{/*
The init containers that run `eventrouter setup`: one for each output to Elasticsearch or OpenSearch.
*/}}

{{/*
The value for which an output's index cannot be set up from here, or nothing. Setup writes a template for
the indices of `indexPrefix`, checks certificates, has none of its own and signs no requests.
*/}}
{{- define "eventrouter.setup.obstacle" -}}
{{- $obstacles := list -}}
{{- if .cloudId -}}
{{- $obstacles = append $obstacles "cloudId" -}}
{{- end -}}
{{- if .tls.enabled -}}
{{- if not .tls.verify -}}
{{- $obstacles = append $obstacles "tls.verify" -}}
{{- end -}}
{{- if .tls.certKey -}}
{{- $obstacles = append $obstacles "tls.certKey" -}}
{{- end -}}
{{- end -}}
{{- range $key := list "aws_auth" "host" "index" "logstash_format" "logstash_prefix" "logstash_prefix_key" "logstash_prefix_separator" "path" "port" -}}
{{- if hasKey $.extra $key -}}
{{- $obstacles = append $obstacles (printf "extra.%s" $key) -}}
{{- end -}}
{{- end -}}
{{- with $obstacles -}}{{- first . -}}{{- end -}}
{{- end }}

{{/* The names of the outputs that have an index to set up, with commas. */}}
{{- define "eventrouter.setup.outputs" -}}
{{- $names := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- if and $.Values.setup.enabled $output.setup $output.setup.enabled -}}
{{- if not (include "eventrouter.setup.obstacle" $output) -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end }}

{{/*
Where an output's container leaves a report for the watcher. The volume is the pod's own, so that a new
pod knows nothing of an old run. Takes the output's name.
*/}}
{{- define "eventrouter.setup.report" -}}
/setup-reports/{{ . }}.json
{{- end }}

{{/* All of them, with commas. */}}
{{- define "eventrouter.setup.reports" -}}
{{- $reports := list -}}
{{- range include "eventrouter.setup.outputs" . | splitList "," | compact -}}
{{- $reports = append $reports (include "eventrouter.setup.report" .) -}}
{{- end -}}
{{- join "," $reports -}}
{{- end }}

{{/* The Kibana or OpenSearch Dashboards of an output, if it is known. Takes `root` and `output`. */}}
{{- define "eventrouter.setup.kibana" -}}
{{- dig "kibana" "url" "" .output.setup | default (dig "kibana" "url" "" .root.Values.setup) -}}
{{- end }}

{{/* The ports of all of them, as a NetworkPolicy has them. */}}
{{- define "eventrouter.setup.kibana.ports" -}}
{{- $outputs := include "eventrouter.outputs" . | fromYaml -}}
{{- $rules := list -}}
{{- range include "eventrouter.setup.outputs" . | splitList "," | compact -}}
{{- with include "eventrouter.setup.kibana" (dict "root" $ "output" (get $outputs .)) | urlParse -}}
{{- if .host -}}
{{- $scheme := eq .scheme "https" | ternary "443" "80" -}}
{{- $rules = append $rules (dict "port" (regexFind ":[0-9]+$" .host | trimPrefix ":" | default $scheme | int)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $rules | toYaml -}}
{{- end }}

{{/* Where an output's server is. */}}
{{- define "eventrouter.output.url" -}}
{{- $host := contains ":" .host | ternary (printf "[%s]" .host) .host -}}
http{{ if .tls.enabled }}s{{ end }}://{{ $host }}:{{ .port }}{{ with .path }}/{{ trimAll "/" . }}{{ end }}
{{- end }}

{{/* The options for an output, but for those of a run in a pod. Takes `root` and `output`. */}}
{{- define "eventrouter.setup.options" -}}
- --{{ .output.type }}
- {{ not (empty .output.cloudId) | ternary "https://HOST" (include "eventrouter.output.url" .output) | quote }}
- --index-prefix
- {{ .output.indexPrefix | quote }}
{{- range $key := list "retention" "shards" "replicas" }}
{{- $value := get $.root.Values.setup $key }}
{{- if ne ($value | toString) "" }}
- --{{ $key }}
- {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The login for an output: of the Secret for setup, else the writer's own. Where the Secret has been taken
away there is no login; the server then says so, and the pod starts. Takes `root` and `output`.
*/}}
{{- define "eventrouter.setup.env" -}}
{{- $env := list -}}
{{- $variables := dict "username" "USER" "password" "PASSWORD" "apiKey" "API_KEY" -}}
{{- $secret := .output.setup.existingSecret | default .root.Values.setup.existingSecret -}}
{{- $credentials := include "eventrouter.output.credentials" . | fromYaml -}}
{{- range $part := list "username" "password" "apiKey" -}}
{{- $variable := printf "EVENTROUTER_SETUP_%s" (get $variables $part) -}}
{{- $credential := get $credentials $part -}}
{{- if $secret -}}
{{- $reference := dict "name" $secret "key" $part "optional" true -}}
{{- $env = append $env (dict "name" $variable "valueFrom" (dict "secretKeyRef" $reference)) -}}
{{- else if and $credential $credential.key -}}
{{- $reference := dict "name" $.output.auth.existingSecret "key" $credential.key "optional" true -}}
{{- $env = append $env (dict "name" $variable "valueFrom" (dict "secretKeyRef" $reference)) -}}
{{- else if $credential -}}
{{- $env = append $env (dict "name" $variable "value" $credential.value) -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end }}

{{/*
The containers. Capture comes first: whatever becomes of setup, its container ends well, and soon.
*/}}
{{- define "eventrouter.setup.containers" -}}
{{- $outputs := include "eventrouter.outputs" . | fromYaml -}}
{{- range $name := include "eventrouter.setup.outputs" . | splitList "," | compact }}
{{- $context := dict "root" $ "output" (get $outputs $name) }}
{{- $tls := $context.output.tls }}
{{- $seconds := int $.Values.setup.waitSeconds }}
- name: setup-{{ $name }}
  image: {{ include "eventrouter.image" (dict "root" $ "image" $.Values.image "tag" $.Chart.AppVersion) }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  command:
    - sh
    - -c
    - >-
      timeout -k 5 {{ add $seconds 15 }} eventrouter setup "$@" ||
      echo "Not all of it is set up (exit code $?). The pod starts all the same." >&2
    - setup
  args:
    {{- include "eventrouter.setup.options" $context | nindent 4 }}
    - --wait
    - {{ $seconds | quote }}
    - --report
    - {{ include "eventrouter.setup.report" $name | quote }}
    {{- with include "eventrouter.setup.kibana" $context }}
    - --kibana
    - {{ . | quote }}
    {{- if dig "kibana" "dashboards" true $.Values.setup }}
    - --dashboards
    {{- end }}
    {{- end }}
    {{- if $.Values.setup.replaceIndex }}
    - --replace-index
    {{- end }}
    {{- if $.Values.setup.force }}
    - --force
    {{- end }}
    {{- if and $tls.enabled $tls.existingSecret $tls.caKey }}
    - --ca-file
    - {{ include "eventrouter.output.certificate" (dict "output" $context.output "key" $tls.caKey) | quote }}
    {{- end }}
  {{- with include "eventrouter.setup.env" $context | fromYamlArray }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "eventrouter.fields" (dict "values" $.Values.watcher "fields" (list "resources" "securityContext")) }}
  {{- . | nindent 2 }}
  {{- end }}
  volumeMounts:
    - name: setup-reports
      mountPath: /setup-reports
  {{- if and $tls.enabled $tls.existingSecret }}
    - name: tls-{{ $name }}
      mountPath: /etc/eventrouter/tls/{{ $name }}
      readOnly: true
  {{- end }}
{{- end }}
{{- end }}
