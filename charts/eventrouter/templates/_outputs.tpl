{{/*
The outputs: from `.Values.outputs` to properties of Fluent Bit, to the variables and the volumes
that these need, and to the ports that must be open.

Nothing secret is in a property: `${…}` is a variable of the container, from a Secret.
*/}}

{{/* The typed outputs that are in use, by name: a list. */}}
{{- define "eventrouter.outputs.used" -}}
{{- $used := list -}}
{{- range $name := list "elasticsearch" "opensearch" "stdout" "http" "kafka" "s3" "loki" "forward" -}}
{{- $output := index $.Values.outputs $name -}}
{{- $isSet := or (ne $name "elasticsearch") $output.host $output.cloudId $output.eck.clusterName -}}
{{- if and $output.enabled $isSet (not $.Values.fluentBit.existingConfigMap) -}}
{{- $used = append $used $name -}}
{{- end -}}
{{- end -}}
{{- toYaml $used -}}
{{- end }}

{{/* The values of one typed output, with what an ECK cluster's name stands for. */}}
{{- define "eventrouter.output.values" -}}
{{- $output := index .root.Values.outputs .name | deepCopy -}}
{{- with ($output.eck | default dict).clusterName -}}
{{- $_ := set $output "host" (printf "%s-es-http.%s.svc" . (include "eventrouter.namespace" $.root)) -}}
{{- if not $output.auth.existingSecret -}}
{{- $_ := set $output "auth" (dict
      "existingSecret" (printf "%s-es-elastic-user" .) "username" "elastic" "passwordKey" "elastic") -}}
{{- end -}}
{{- if not $output.tls.existingSecret -}}
{{- $_ := set $output.tls "existingSecret" (printf "%s-es-http-certs-public" .) -}}
{{- end -}}
{{- end -}}
{{- toYaml $output -}}
{{- end }}

{{/* The variables with one output's login: a map from what it is to the variable's name. */}}
{{- define "eventrouter.output.credentials" -}}
{{- $auth := .output.auth | default dict -}}
{{- $prefix := get (dict "elasticsearch" "ES" "s3" "AWS") .name | default (upper .name) -}}
{{- $names := dict "username" "USER" "password" "PASSWORD" "token" "TOKEN" "apiKey" "API_KEY"
      "sharedKey" "SHARED_KEY" "accessKeyId" "ACCESS_KEY_ID" "secretAccessKey" "SECRET_ACCESS_KEY" -}}
{{- $used := dict -}}
{{- if $auth.existingSecret -}}
{{- $isTokenUsed := or $auth.tokenKey $auth.apiKeyKey -}}
{{- range $field, $suffix := $names -}}
{{- $isGiven := or (get $auth (printf "%sKey" $field)) (and (eq $field "username") $auth.username) -}}
{{- if and $isGiven (not (and $isTokenUsed (has $field (list "username" "password")))) -}}
{{- $_ := set $used $field (printf "%s_%s" $prefix $suffix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $used -}}
{{- end }}

{{/* The properties of each output in use, as a list for Fluent Bit. */}}
{{- define "eventrouter.outputs" -}}
{{- $outputs := list -}}
{{- range $name := include "eventrouter.outputs.used" . | fromYamlArray -}}
{{- $output := include "eventrouter.output.values" (dict "root" $ "name" $name) | fromYaml -}}
{{- $credentials := include "eventrouter.output.credentials" (dict "name" $name "output" $output) | fromYaml -}}
{{- $context := dict "root" $ "name" $name "output" $output "credentials" $credentials -}}
{{- $properties := include (printf "eventrouter.output.%s" $name) $context | fromYaml -}}
{{- if not $output.required -}}
{{- $_ := set $properties "storage.total_limit_size" (include "eventrouter.output.limit" $context) -}}
{{- end -}}
{{- $outputs = append $outputs (mergeOverwrite
      (dict "name" $name "alias" $name "retry_limit" "no_limits") $properties
      (dict "match" $output.match) $output.extra) -}}
{{- end -}}
{{- if not .Values.fluentBit.existingConfigMap -}}
{{- range $name, $custom := .Values.outputs.custom -}}
{{- $defaults := dict "alias" $name "retry_limit" "no_limits" -}}
{{- if not $custom.match_regex -}}
{{- $_ := set $defaults "match" "*" -}}
{{- end -}}
{{- if not $custom.required -}}
{{- $context := dict "root" $ "name" (printf "custom.%s" $name) "output" $custom -}}
{{- $_ := set $defaults "storage.total_limit_size" (include "eventrouter.output.limit" $context) -}}
{{- end -}}
{{- $outputs = append $outputs (mergeOverwrite $defaults (omit $custom "required" "limit")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $outputs -}}
{{- end }}

{{/*
The part of the volume that an output may fill, in bytes: a tenth by default.

Fluent Bit's chunks have 2 MB and the one being filled counts: with a limit of little more, the
intake stops where the oldest chunk should have been dropped.
*/}}
{{- define "eventrouter.output.limit" -}}
{{- $least := 8000000 -}}
{{- if .output.limit -}}
{{- $limit := include "eventrouter.bytes" .output.limit | int64 -}}
{{- if lt $limit $least -}}
{{- fail (printf "outputs.%s.limit: %s is too little; 8M is the least" .name .output.limit) -}}
{{- end -}}
{{- $limit -}}
{{- else -}}
{{- max (div (include "eventrouter.bytes" .root.Values.buffer.size | int64) 10) $least -}}
{{- end -}}
{{- end }}

{{/* Where one key of an output's Secret with certificates is to be found. */}}
{{- define "eventrouter.output.certificate" -}}
/etc/eventrouter/tls/{{ .name }}/{{ .key }}
{{- end }}

{{/* Properties for TLS. */}}
{{- define "eventrouter.output.tls" -}}
tls: {{ .output.tls.enabled }}
{{- if .output.tls.enabled }}
tls.verify: {{ .output.tls.verify }}
tls.verify_hostname: {{ .output.tls.verify }}
{{- if and .output.tls.existingSecret .output.tls.caKey }}
tls.ca_file: {{ include "eventrouter.output.certificate" (dict "name" .name "key" .output.tls.caKey) }}
{{- end }}
{{ include "eventrouter.output.clientCertificate" . }}
{{- end }}
{{- end }}

{{- define "eventrouter.output.clientCertificate" -}}
{{- if and .output.tls.enabled .output.tls.certKey }}
tls.crt_file: {{ include "eventrouter.output.certificate" (dict "name" .name "key" .output.tls.certKey) }}
tls.key_file: {{ include "eventrouter.output.certificate" (dict "name" .name "key" .output.tls.keyKey) }}
{{- end }}
{{- end }}

{{/* Properties for a login by name and password. */}}
{{- define "eventrouter.output.login" -}}
{{- with .credentials.username }}
http_user: ${ {{- . -}} }
{{- end }}
{{- with .credentials.password }}
http_passwd: ${ {{- . -}} }
{{- end }}
{{- end }}

{{/* The file that the repository's own config uses too; all of it but the login is in variables. */}}
{{- define "eventrouter.output.elasticsearch" -}}
{{- $file := .root.Files.Get "files/fluent/outputs/elasticsearch.yaml" | fromYaml -}}
{{- $properties := first $file.pipeline.outputs -}}
{{- if or .output.cloudId .credentials.apiKey -}}
{{- $_ := set $properties "name" "es" -}}
{{- end -}}
{{- if .output.cloudId -}}
{{- $properties = omit $properties "host" "port" -}}
{{- $_ := set $properties "cloud_id" .output.cloudId -}}
{{- end -}}
{{- if .credentials.apiKey -}}
{{- $properties = omit $properties "http_user" "http_passwd" -}}
{{- $_ := set $properties "http_api_key" "${ES_API_KEY}" -}}
{{- end -}}
{{- $certificate := include "eventrouter.output.clientCertificate" . | fromYaml -}}
{{- merge $certificate $properties | toYaml -}}
{{- end }}

{{/* The same file, with variables of its own names. */}}
{{- define "eventrouter.output.opensearch" -}}
{{- $file := .root.Files.Get "files/fluent/outputs/elasticsearch.yaml" | replace "${ES_" "${OPENSEARCH_" | fromYaml -}}
{{- $certificate := include "eventrouter.output.clientCertificate" . | fromYaml -}}
{{- merge (dict "alias" "opensearch") $certificate (first $file.pipeline.outputs) | toYaml -}}
{{- end }}

{{- define "eventrouter.output.stdout" -}}
{{- $file := .root.Files.Get "files/fluent/outputs/stdout.yaml" | fromYaml -}}
{{- first $file.pipeline.outputs | toYaml -}}
{{- end }}

{{- define "eventrouter.output.http" -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
uri: {{ .output.uri | quote }}
format: {{ .output.format }}
json_date_key: false
net.io_timeout: 60s
{{ include "eventrouter.output.login" . }}
{{- if or .output.headers .credentials.token }}
header:
  {{- range $name, $value := .output.headers }}
  - {{ printf "%s %s" $name $value | quote }}
  {{- end }}
  {{- with .credentials.token }}
  - Authorization Bearer ${ {{- . -}} }
  {{- end }}
{{- end }}
{{ include "eventrouter.output.tls" . }}
{{- end }}

{{- define "eventrouter.output.kafka" -}}
{{- $tls := .output.tls -}}
{{- $hasLogin := .credentials.password -}}
brokers: {{ .output.brokers | quote }}
topics: {{ .output.topics | quote }}
format: json
message_key_field: id
timestamp_format: iso8601_ns
rdkafka.enable.idempotence: true
# Never give a record up: 0 is no limit.
rdkafka.message.timeout.ms: 0
rdkafka.security.protocol: {{ ternary "SASL_" "" (not (empty $hasLogin)) }}{{ ternary "SSL" "PLAINTEXT" $tls.enabled }}
{{- if $hasLogin }}
rdkafka.sasl.mechanism: {{ .output.auth.mechanism }}
rdkafka.sasl.username: ${ {{- .credentials.username -}} }
rdkafka.sasl.password: ${ {{- .credentials.password -}} }
{{- end }}
{{- if $tls.enabled }}
rdkafka.enable.ssl.certificate.verification: {{ $tls.verify }}
rdkafka.ssl.endpoint.identification.algorithm: {{ ternary "https" "none" $tls.verify }}
{{- if and $tls.existingSecret $tls.caKey }}
rdkafka.ssl.ca.location: {{ include "eventrouter.output.certificate" (dict "name" .name "key" $tls.caKey) }}
{{- end }}
{{- if $tls.certKey }}
rdkafka.ssl.certificate.location: {{ include "eventrouter.output.certificate" (dict "name" .name "key" $tls.certKey) }}
rdkafka.ssl.key.location: {{ include "eventrouter.output.certificate" (dict "name" .name "key" $tls.keyKey) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "eventrouter.output.s3" -}}
bucket: {{ .output.bucket | quote }}
region: {{ .output.region | quote }}
{{- with .output.endpoint }}
endpoint: {{ . | quote }}
{{- end }}
# Beside Fluent Bit's own buffer, on the same volume; its default is below /tmp.
store_dir: /buffers/s3
{{- if not .output.required }}
store_dir_limit_size: {{ include "eventrouter.output.limit" . }}
{{- end }}
# This output takes `no_limits` for 5 tries, after which it never sends that file again.
retry_limit: 1000000
use_put_object: true
total_file_size: {{ .output.fileSize }}
upload_timeout: {{ .output.uploadTimeout }}
s3_key_format: {{ .output.keyFormat | quote }}
json_date_key: false
{{- end }}

{{- define "eventrouter.output.loki" -}}
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
net.io_timeout: 60s
{{ include "eventrouter.output.login" . }}
{{- with .credentials.token }}
bearer_token: ${ {{- . -}} }
{{- end }}
{{ include "eventrouter.output.tls" . }}
{{- end }}

{{- define "eventrouter.output.forward" -}}
host: {{ .output.host | quote }}
port: {{ .output.port }}
require_ack_response: true
compress: gzip
net.io_timeout: 60s
{{- with .credentials.sharedKey }}
shared_key: ${ {{- . -}} }
{{- end }}
{{- with .credentials.username }}
username: ${ {{- . -}} }
{{- end }}
{{- with .credentials.password }}
password: ${ {{- . -}} }
{{- end }}
{{ include "eventrouter.output.tls" . }}
{{- end }}

{{/* The sidecar's variables for the outputs in use. */}}
{{- define "eventrouter.outputs.env" -}}
{{- $used := include "eventrouter.outputs.used" . | fromYamlArray }}
{{- /* As fluent/pipeline.yaml has it: a chunk takes a descriptor, and one more for each output that
       fails. Only stdout never does. */}}
{{- $canFail := add (without $used "stdout" | len) (len .Values.outputs.custom) | int }}
{{- if gt $canFail 1 }}
- name: MAX_CHUNKS_UP
  value: {{ div 900 (add 1 $canFail) | quote }}
{{- end }}
{{- range $name := $used }}
{{- $output := include "eventrouter.output.values" (dict "root" $ "name" $name) | fromYaml }}
{{- if has $name (list "elasticsearch" "opensearch") }}
{{- $prefix := ternary "ES" "OPENSEARCH" (eq $name "elasticsearch") }}
{{- if not $output.cloudId }}
- name: {{ $prefix }}_HOST
  value: {{ $output.host | quote }}
- name: {{ $prefix }}_PORT
  value: {{ $output.port | quote }}
{{- end }}
{{- with $output.path }}
- name: {{ $prefix }}_PATH
  value: {{ . | quote }}
{{- end }}
- name: {{ $prefix }}_INDEX_PREFIX
  value: {{ $output.indexPrefix | quote }}
- name: {{ $prefix }}_TLS
  value: {{ ternary "on" "off" $output.tls.enabled | quote }}
- name: {{ $prefix }}_TLS_VERIFY
  value: {{ ternary "on" "off" $output.tls.verify | quote }}
{{- if and $output.tls.enabled $output.tls.existingSecret $output.tls.caKey }}
- name: {{ $prefix }}_CA_FILE
  value: {{ include "eventrouter.output.certificate" (dict "name" $name "key" $output.tls.caKey) }}
{{- end }}
{{- end }}
{{- $credentials := include "eventrouter.output.credentials" (dict "name" $name "output" $output) | fromYaml }}
{{- range $field, $variable := $credentials }}
- name: {{ $variable }}
{{- if and (eq $field "username") $output.auth.username }}
  value: {{ $output.auth.username | quote }}
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ $output.auth.existingSecret }}
      key: {{ get $output.auth (printf "%sKey" $field) | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Secrets with certificates: a map from the output to its Secret and keys. */}}
{{- define "eventrouter.outputs.certificates" -}}
{{- $certificates := dict -}}
{{- range $name := include "eventrouter.outputs.used" . | fromYamlArray -}}
{{- $tls := (include "eventrouter.output.values" (dict "root" $ "name" $name) | fromYaml).tls | default dict -}}
{{- if and $tls.enabled $tls.existingSecret -}}
{{- $_ := set $certificates $name (dict
      "secret" $tls.existingSecret "keys" (list $tls.caKey $tls.certKey $tls.keyKey | compact)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $certificates -}}
{{- end }}

{{/* The ports that the outputs in use connect to. */}}
{{- define "eventrouter.outputs.ports" -}}
{{- $ports := list -}}
{{- range $name := include "eventrouter.outputs.used" . | fromYamlArray -}}
{{- $output := index $.Values.outputs $name -}}
{{- if eq $name "kafka" -}}
{{- range splitList "," $output.brokers -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "9092" | int) -}}
{{- end -}}
{{- else if eq $name "s3" -}}
{{- $scheme := hasPrefix "http:" $output.endpoint | ternary "80" "443" -}}
{{- $ports = append $ports (regexFind ":[0-9]+" $output.endpoint | trimPrefix ":" | default $scheme | int) -}}
{{- else if $output.cloudId -}}
{{- $ports = append $ports 443 -}}
{{- else if $output.port -}}
{{- $ports = append $ports ($output.port | int) -}}
{{- end -}}
{{- end -}}
{{- range .Values.outputs.custom -}}
{{- with .port -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toYaml -}}
{{- end }}
