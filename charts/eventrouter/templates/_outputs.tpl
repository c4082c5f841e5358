{{/*
The outputs: from `.Values.outputs`, a map from a name to an output's values, to what the other
templates need of them. files/outputs.yaml has what is particular to each type, _output-types.tpl its
properties, and _output-secrets.tpl what comes from Secrets.
*/}}

{{/* What an output of any type has by default. */}}
{{- define "eventrouter.output.defaults" -}}
match: "*"
limit: ""
rules: {include: [], exclude: []}
egress: {to: [], ports: []}
auth: {existingSecret: ""}
tls: {enabled: false}
extra: {}
{{- end }}

{{/*
All outputs: a map from each name to its values, on top of its type's defaults. `address` are the
values of which one turns it on, `addresses` those of them that are set; `isOn` says whether it is on.
*/}}
{{- define "eventrouter.outputs.all" -}}
{{- $types := .Files.Get "files/outputs.yaml" | fromYaml -}}
{{- $all := dict -}}
{{- range $name, $given := .Values.outputs -}}
{{- if $given -}}
{{- $type := get $types $given.type -}}
{{- $defaults := mergeOverwrite (include "eventrouter.output.defaults" $ | fromYaml) (deepCopy $type.values) -}}
{{- with $given.auth -}}
{{- if or .apiKeyKey .tokenKey .pathKey .headers -}}
{{- /* A Secret with one of these has no user and password, unless their keys are given too. */ -}}
{{- $_ := mergeOverwrite $defaults.auth (dict "usernameKey" "" "passwordKey" "") -}}
{{- end -}}
{{- end -}}
{{- $output := mergeOverwrite $defaults (deepCopy $given) -}}
{{- $addresses := list -}}
{{- range $key := $type.address -}}
{{- $value := $output -}}
{{- range splitList "." $key -}}{{- $value = get $value . -}}{{- end -}}
{{- if $value -}}{{- $addresses = append $addresses $key -}}{{- end -}}
{{- end -}}
{{- $_ := set $output "address" $type.address -}}
{{- $_ := set $output "addresses" $addresses -}}
{{- $_ := set $output "isOn" (and (ne $output.enabled false) (or $addresses (not $type.address) | not | not)) -}}
{{- $_ := set $output "plugin" ($type.plugin | default $output.plugin) -}}
{{- $_ := set $output "login" $type.login -}}
{{- $_ := set $output "tlsProperties" $type.tls -}}
{{- $_ := set $all $name $output -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{/* The outputs that are on; each knows its name, and what the name of an ECK cluster stands for. */}}
{{- define "eventrouter.outputs" -}}
{{- $on := dict -}}
{{- if not .Values.fluentBit.existingConfigMap -}}
{{- range $name, $output := include "eventrouter.outputs.all" . | fromYaml -}}
{{- if $output.isOn -}}
{{- with ($output.eck | default dict).clusterName -}}
{{- $_ := set $output "host" (printf "%s-es-http.%s.svc" . (include "eventrouter.namespace" $)) -}}
{{- if not $output.auth.existingSecret -}}
{{- $_ := set $output "auth" (dict
      "existingSecret" (printf "%s-es-elastic-user" .) "username" "elastic" "passwordKey" "elastic") -}}
{{- end -}}
{{- if not $output.tls.existingSecret -}}
{{- $_ := set $output.tls "existingSecret" (printf "%s-es-http-certs-public" .) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $on $name (set $output "name" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $on -}}
{{- end }}

{{/* The names of the outputs that are on and write to Elasticsearch or OpenSearch, with commas. */}}
{{- define "eventrouter.outputs.toElasticsearch" -}}
{{- $names := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- if has $output.type (list "elasticsearch" "opensearch") -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- end -}}
{{- join "," $names -}}
{{- end }}

{{/*
Not empty if the output takes its events from the queue of the optional outputs, so that what it
drops is its own (fluent/optional.yaml). Standard output never waits. Takes the output.
*/}}
{{- define "eventrouter.output.isQueued" -}}
{{- if not (or .required (has .plugin (list "stdout" "null"))) -}}true{{- end -}}
{{- end }}

{{/* Not empty if any output takes its events from that queue. */}}
{{- define "eventrouter.outputs.areQueued" -}}
{{- range include "eventrouter.outputs" . | fromYaml -}}
{{- include "eventrouter.output.isQueued" . -}}
{{- end -}}
{{- end }}

{{/*
What the output matches, once there is a queue for the optional outputs: their tags begin with
`optional.`, and the others must not see the same events again. Takes the output.
*/}}
{{- define "eventrouter.output.match" -}}
{{- $regex := .extra.match_regex | default "" | trimPrefix "^" -}}
{{- if include "eventrouter.output.isQueued" . -}}
{{- if $regex -}}
match_regex: {{ printf "^optional[.](?:%s)" $regex | quote }}
{{- else -}}
match: {{ print "optional." .match | quote }}
{{- end -}}
{{- else -}}
match_regex: {{ include "eventrouter.match.first" (dict "match" .match "regex" $regex) | quote }}
{{- end -}}
{{- end }}

{{/* A regular expression for the tags that `match` or `regex` names, but not for those of the queue. */}}
{{- define "eventrouter.match.first" -}}
{{- if .regex -}}
{{- printf "^(?!optional[.])(?:%s)" .regex -}}
{{- else if eq .match "*" -}}
^(?!optional[.]).+
{{- else -}}
{{- printf "^(?!optional[.])%s$" (regexQuoteMeta .match | replace "\\*" ".*") -}}
{{- end -}}
{{- end }}

{{/*
The outputs for Fluent Bit, as a list of properties. Last comes one that takes every event and does
nothing with it, so that each event has an output.
*/}}
{{- define "eventrouter.outputs.rendered" -}}
{{- $areQueued := include "eventrouter.outputs.areQueued" . -}}
{{- $rendered := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- $context := dict "root" $ "output" $output -}}
{{- $properties := dict "name" $output.plugin "alias" $name "match" $output.match "retry_limit" "no_limits" -}}
{{- if include "eventrouter.output.isQueued" $output -}}
{{- $_ := set $properties "storage.total_limit_size" (include "eventrouter.output.limit" $context) -}}
{{- end -}}
{{- range list "waiting" "login" "tls" -}}
{{- $properties = include (printf "eventrouter.output.%s" .) $context | fromYaml | mergeOverwrite $properties -}}
{{- end -}}
{{- $ofType := include (printf "eventrouter.output.type.%s" $output.type) $context | fromYaml -}}
{{- $rules := include "eventrouter.rules" $output.rules | fromYamlArray -}}
{{- $processors := concat $rules (dig "processors" "logs" list $ofType) (dig "processors" "logs" list $output.extra) -}}
{{- $properties = mergeOverwrite $properties $ofType $output.extra -}}
{{- with $processors -}}
{{- $_ := set $properties "processors" (dict "logs" .) -}}
{{- end -}}
{{- if $areQueued -}}
{{- $properties = include "eventrouter.output.match" $output | fromYaml | mergeOverwrite (omit $properties "match" "match_regex") -}}
{{- else if $output.extra.match_regex -}}
{{- $properties = omit $properties "match" -}}
{{- end -}}
{{- $rendered = append $rendered $properties -}}
{{- end -}}
{{- if not .Values.fluentBit.existingConfigMap -}}
{{- $nothing := .Files.Get "files/fluent/outputs/null.yaml" | fromYaml -}}
{{- $rendered = concat $rendered $nothing.pipeline.outputs -}}
{{- end -}}
{{- toYaml $rendered -}}
{{- end }}

{{/*
What keeps an output that is down, hangs or refuses from costing the others anything: few
connections, each bounded in time, and each message at most six times a minute in the log.
*/}}
{{- define "eventrouter.output.waiting" -}}
{{- if ne .output.plugin "stdout" -}}
log_suppress_interval: 60s
{{- end }}
{{- if has .output.type (list "elasticsearch" "opensearch" "http" "loki" "forward" "opentelemetry" "slack") }}
workers: 1
net.connect_timeout: 10s
net.connect_timeout_log_error: false
net.io_timeout: 60s
net.max_worker_connections: 16
{{- end }}
{{- end }}

{{/*
The user's filters. With a queue for the optional outputs each filters once, before the queue.
*/}}
{{- define "eventrouter.filters" -}}
{{- $filters := list -}}
{{- range .Values.fluentBit.filters -}}
{{- $filter := deepCopy . -}}
{{- if include "eventrouter.outputs.areQueued" $ -}}
{{- $match := include "eventrouter.match.first" (dict
      "match" (.match | default "*") "regex" (.match_regex | default "" | trimPrefix "^")) -}}
{{- $filter = set (omit $filter "match") "match_regex" $match -}}
{{- end -}}
{{- $filters = append $filters $filter -}}
{{- end -}}
{{- toYaml $filters -}}
{{- end }}

{{/*
The part of the volume that an optional output may fill, in bytes: a tenth by default, 24M at most.

Fluent Bit's chunks have 2 MB and the one being filled counts: with a limit of little more, the
intake stops where the oldest chunk should have been dropped. And a chunk has 4 KiB at least, of 16,384
that can wait for all outputs together: 24M leave two thirds of them to the required outputs.
*/}}
{{- define "eventrouter.output.limit" -}}
{{- $least := 8000000 -}}
{{- $most := 41943040 -}}
{{- if .output.limit -}}
{{- $limit := include "eventrouter.bytes" .output.limit | int64 -}}
{{- if lt $limit $least -}}
{{- fail (printf "outputs.%s.limit: %s is too little; 8M is the least" .output.name .output.limit) -}}
{{- end -}}
{{- if gt $limit $most -}}
{{- fail (printf "outputs.%s.limit: %s is too much; 40Mi is the most, since Fluent Bit can hold 16,384 chunks" .output.name .output.limit) -}}
{{- end -}}
{{- $limit -}}
{{- else -}}
{{- min 24000000 (max (div (include "eventrouter.bytes" .root.Values.buffer.size | int64) 10) $least) -}}
{{- end -}}
{{- end }}

{{/* The ports that an output connects to, as a NetworkPolicy has them. Takes the output. */}}
{{- define "eventrouter.output.ports" -}}
{{- $ports := list -}}
{{- if .brokers -}}
{{- range splitList "," .brokers -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "9092" | int) -}}
{{- end -}}
{{- else if eq .type "s3" -}}
{{- $scheme := hasPrefix "http:" .endpoint | ternary "80" "443" -}}
{{- $ports = append $ports (regexFind ":[0-9]+" .endpoint | trimPrefix ":" | default $scheme | int) -}}
{{- else if .cloudId -}}
{{- $ports = append $ports 443 -}}
{{- else -}}
{{- range compact (list .port .extra.port) -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- end -}}
{{- $rules := list -}}
{{- range uniq $ports -}}
{{- $rules = append $rules (dict "port" .) -}}
{{- end -}}
{{- .egress.ports | default $rules | toYaml -}}
{{- end }}
