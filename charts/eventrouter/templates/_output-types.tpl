{{/*
The properties of each type of output, on top of what all have: name, match, login, TLS, limit.
Each takes `root` and `output`.
*/}}

{{/*
The file that the repository's own config uses too, with this output's address and index. From Fluent Bit
5.1.3 on, what the server refuses for good is dropped and counted, and not tried for ever.
*/}}
{{- define "eventrouter.output.type.elasticsearch" -}}
{{- $file := .root.Files.Get "files/fluent/outputs/elasticsearch.yaml" | fromYaml -}}
{{- $properties := omit (first $file.pipeline.outputs)
      "name" "alias" "match" "host" "port" "path" "http_user" "http_passwd"
      "tls" "tls.verify" "tls.verify_hostname" "tls.ca_file" -}}
{{- with .output -}}
{{- $_ := set $properties "logstash_prefix" .indexPrefix -}}
{{- if .cloudId -}}
{{- $_ := set $properties "cloud_id" .cloudId -}}
{{- else -}}
{{- $_ := set $properties "host" .host -}}
{{- $_ := set $properties "port" .port -}}
{{- end -}}
{{- with trimAll "/" .path -}}
{{- $_ := set $properties "path" (printf "/%s" .) -}}
{{- end -}}
{{- if or .cloudId .auth.apiKeyKey -}}
{{- $_ := set $properties "name" "es" -}}
{{- end -}}
{{- end -}}
{{- if eq "true" (include "eventrouter.fluentBit.isNewer" (dict "root" .root "than" "5.1.3")) -}}
{{- $_ := set $properties "drop_unrecoverable_records" true -}}
{{- end -}}
{{- toYaml $properties -}}
{{- end }}

{{- define "eventrouter.output.type.opensearch" -}}
{{- include "eventrouter.output.type.elasticsearch" . -}}
{{- end }}

{{- define "eventrouter.output.type.stdout" -}}
{{- $file := .root.Files.Get "files/fluent/outputs/stdout.yaml" | fromYaml -}}
{{- omit (first $file.pipeline.outputs) "name" "alias" "match" | toYaml -}}
{{- end }}

{{- define "eventrouter.output.type.http" -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
{{- if not .output.auth.pathKey }}
uri: {{ .output.uri | quote }}
{{- end }}
{{- if .output.body }}
{{ include "eventrouter.output.body" (dict "root" .root "template" .output.body) }}
{{- else }}
format: {{ .output.format }}
json_date_key: false
{{- end }}
{{ include "eventrouter.output.headers" . }}
{{- end }}

{{/*
Properties for a request for each event, with a body of the caller's own. Takes `root`, `template`,
and `hasMarkup` if the receiver takes & < > for markup.
*/}}
{{- define "eventrouter.output.body" -}}
body_key: $body
headers_key: $headers
processors:
  logs:
    - name: lua
      call: body
      code: |
        {{- $template := regexReplaceAll "\\$\\{([A-Za-z0-9_]+)\\}" .template "%{env:$1}" }}
        local template = [===[{{ $template | nindent 8 | trim }}]===]
        {{- if .hasMarkup }}
        local entities = {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;"}
        {{- else }}
        local entities = nil
        {{- end }}
        {{- .root.Files.Get "files/body.lua" | nindent 8 }}
{{- end }}

{{- define "eventrouter.output.type.kafka" -}}
{{- $tls := .output.tls -}}
{{- $hasLogin := not (empty .output.auth.existingSecret) -}}
brokers: {{ .output.brokers | quote }}
topics: {{ .output.topics | quote }}
format: json
message_key_field: {{ ternary "id" "objectUid" (eq .output.messageKey "id") }}
timestamp_format: iso8601_ns
rdkafka.enable.idempotence: true
# Never give a record up: 0 is no limit.
rdkafka.message.timeout.ms: 0
# The default tries ten times a second at first, and writes lines of each try.
rdkafka.reconnect.backoff.ms: 10000
rdkafka.security.protocol: {{ ternary "SASL_" "" $hasLogin }}{{ ternary "SSL" "PLAINTEXT" $tls.enabled }}
{{- if $hasLogin }}
rdkafka.sasl.mechanism: {{ .output.auth.mechanism }}
{{- end }}
{{- if $tls.enabled }}
rdkafka.ssl.endpoint.identification.algorithm: {{ ternary "https" "none" $tls.verify }}
{{- end }}
{{- if eq .output.messageKey "objectUid" }}
# The plugin finds its key only at the top of a record: taken apart, copied, put together again.
processors:
  logs:
    - {name: nest, operation: lift, nested_under: event, add_prefix: event.}
    - {name: nest, operation: lift, nested_under: event.involvedObject, add_prefix: object.}
    - {name: modify, copy: object.uid objectUid}
    - {name: nest, operation: nest, wildcard: object.*, nest_under: event.involvedObject, remove_prefix: object.}
    - {name: nest, operation: nest, wildcard: event.*, nest_under: event, remove_prefix: event.}
{{- end }}
{{- end }}

{{- define "eventrouter.output.type.s3" -}}
bucket: {{ .output.bucket | quote }}
region: {{ .output.region | quote }}
{{- with .output.endpoint }}
endpoint: {{ . | quote }}
{{- end }}
# Beside Fluent Bit's own buffer, on the same volume; its default is below /tmp.
store_dir: /buffers/s3/{{ .output.name }}
{{- if .output.isOptional }}
{{- $tenth := div (include "eventrouter.bytes" .root.Values.buffer.size | int64) 10 }}
# In bytes: Fluent Bit takes 5Gi for no limit at all.
store_dir_limit_size: {{ if .output.limit }}{{ include "eventrouter.bytes" .output.limit }}{{ else }}{{ $tenth }}{{ end }}
{{- end }}
# This output takes `no_limits` for 5 tries, after which it never sends that file again.
retry_limit: 1000000
use_put_object: true
total_file_size: {{ .output.fileSize }}
upload_timeout: {{ .output.uploadTimeout }}
s3_key_format: {{ .output.keyFormat | quote }}
json_date_key: false
{{- end }}

{{- define "eventrouter.output.type.loki" -}}
{{- $labels := list -}}
{{- range $name, $value := .output.labels -}}
{{- $labels = append $labels (printf "%s=%s" $name $value) -}}
{{- end -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
uri: {{ .output.uri | quote }}
{{- with .output.tenantId }}
tenant_id: {{ . | quote }}
{{- end }}
labels: {{ join ", " $labels | quote }}
line_format: json
{{- end }}

{{- define "eventrouter.output.type.forward" -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
require_ack_response: true
compress: gzip
{{- end }}

{{/* The event's message is the body; all the rest is in the attributes. */}}
{{- define "eventrouter.output.type.opentelemetry" -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
logs_uri: {{ .output.uri | quote }}
logs_body_key: $event['message']
logs_body_key_attributes: true
{{ include "eventrouter.output.headers" . }}
{{- end }}

{{- define "eventrouter.output.type.slack" -}}
{{- $text := "*%{event.type}* %{event.reason}: %{event.involvedObject.kind} %{event.involvedObject.namespace}/%{event.involvedObject.name}\n%{event.message}" -}}
{{- if .root.Values.clusterName -}}
{{- $text = print "[%{cluster}] " $text -}}
{{- end -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
{{ include "eventrouter.output.body" (dict
    "root" .root "template" (dict "text" (.output.text | default $text) | toJson) "hasMarkup" true) }}
{{- end }}

{{- define "eventrouter.output.type.custom" -}}
{}
{{- end }}
