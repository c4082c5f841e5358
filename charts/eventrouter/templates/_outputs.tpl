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
{{- $_ := set $output "common" (hasKey $type "common" | ternary $type.common (list "connections" "log")) -}}
{{- /* What is printed never waits. */ -}}
{{- $_ := set $output "isOptional" (not (or $output.required (has $output.plugin (list "stdout" "null")))) -}}
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
The outputs for Fluent Bit, as a list of properties: what all have, the login, TLS, the type's own, the
values' `extra`. Rules come before all other processors.
*/}}
{{- define "eventrouter.outputs.rendered" -}}
{{- $rendered := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- $context := dict "root" $ "output" $output -}}
{{- $properties := dict "name" $output.plugin "alias" $name "retry_limit" "no_limits" -}}
{{- if $output.isOptional -}}
{{- $_ := set $properties "storage.total_limit_size" (include "eventrouter.output.limit" $context) -}}
{{- end -}}
{{- range list "common" "login" "tls" -}}
{{- $properties = include (printf "eventrouter.output.%s" .) $context | fromYaml | mergeOverwrite $properties -}}
{{- end -}}
{{- $ofType := include (printf "eventrouter.output.type.%s" $output.type) $context | fromYaml -}}
{{- $rules := include "eventrouter.rules" $output.rules | fromYamlArray -}}
{{- $processors := concat $rules (dig "processors" "logs" list $ofType) (dig "processors" "logs" list $output.extra) -}}
{{- $properties = mergeOverwrite $properties $ofType (omit $output.extra "match_regex") -}}
{{- with $processors -}}
{{- $_ := set $properties "processors" (dict "logs" .) -}}
{{- end -}}
{{- $match := dict "match" $output.match "match_regex" $output.extra.match_regex -}}
{{- $route := include "eventrouter.route" (dict "root" $ "match" $match "isOptional" $output.isOptional) | fromYaml -}}
{{- $rendered = append $rendered (mergeOverwrite $properties $route) -}}
{{- end -}}
{{- toYaml $rendered -}}
{{- end }}

{{/* Whether there is an optional output, and so a queue for them: files/fluent/optional.yaml. */}}
{{- define "eventrouter.outputs.haveQueue" -}}
{{- range include "eventrouter.outputs" . | fromYaml -}}
{{- if .isOptional }}true{{ end -}}
{{- end -}}
{{- end }}

{{/*
The tags that an output or a filter takes, as `match` or `match_regex`. With a queue for the optional
outputs there are two of each event: one with the watcher's tag, and in the queue one whose tag begins
with `optional.`. Takes `match`, with either key, and `isOptional`.

Fluent Bit matches an expression at the beginning only, and takes one that matches no character for none.
*/}}
{{- define "eventrouter.route" -}}
{{- $match := .match.match | default "*" -}}
{{- $expression := .match.match_regex | default "" | trimPrefix "^" -}}
{{- if not (include "eventrouter.outputs.haveQueue" .root) -}}
{{- ternary (dict "match_regex" .match.match_regex) (dict "match" $match) (not (empty $expression)) | toYaml -}}
{{- else if .isOptional -}}
{{- ternary (dict "match_regex" (printf "^optional[.](?:%s)" $expression)) (dict "match" (print "optional." $match)) (not (empty $expression)) | toYaml -}}
{{- else -}}
{{- if not $expression -}}
{{- $expression = eq $match "*" | ternary ".+" (printf "%s$" (regexQuoteMeta $match | replace "\\*" ".*")) -}}
{{- end -}}
{{- dict "match_regex" (printf "^(?!optional[.])(?:%s)" $expression) | toYaml -}}
{{- end -}}
{{- end }}

{{/* The filters of all events. With a queue for optional outputs, an event is filtered before it. */}}
{{- define "eventrouter.filters" -}}
{{- $filters := list -}}
{{- range .Values.fluentBit.filters -}}
{{- $route := include "eventrouter.route" (dict "root" $ "match" . "isOptional" false) | fromYaml -}}
{{- $filters = append $filters (merge $route (omit . "match" "match_regex")) -}}
{{- end -}}
{{- toYaml $filters -}}
{{- end }}

{{/*
What keeps an output that is down, hangs or refuses from troubling others: few connections that end, and
few lines in the log. The interval is a switch: it is 10 seconds in truth, for each worker. A connection
that ends after net.io_timeout writes a line that nothing holds back, so the time is three minutes; the
plugin `http` has a limit of its own beside it.
*/}}
{{- define "eventrouter.output.common" -}}
{{- if has "log" .output.common }}
log_suppress_interval: 60s
{{- end }}
{{- if has "connections" .output.common }}
workers: 1
net.connect_timeout: 10s
net.connect_timeout_log_error: false
net.io_timeout: 180s
net.max_worker_connections: 16
{{- if eq .output.plugin "http" }}
http.response_timeout: 180s
{{- end }}
{{- end }}
{{- end }}

{{/*
The disk that the events of an optional output may take, in bytes. Fluent Bit's chunks have 2 MB and the
one being filled counts: with a limit of little more, the intake stops where the oldest chunk should have
been dropped. A chunk takes 4 KiB at least, and Fluent Bit has room for 16,384: the most leaves some of
them to the required outputs.
*/}}
{{- define "eventrouter.output.limit" -}}
{{- $least := 8000000 -}}
{{- $most := 40000000 -}}
{{- $usual := 24000000 -}}
{{- $limit := min $usual (div (include "eventrouter.bytes" .root.Values.buffer.size | int64) 10) | max $least -}}
{{- if and .output.limit (ne .output.type "s3") -}}
{{- $limit = include "eventrouter.bytes" .output.limit | int64 -}}
{{- if or (lt $limit $least) (gt $limit $most) -}}
{{- fail (printf "outputs.%s.limit: must be from 8M to 40M, and is %s" .output.name .output.limit) -}}
{{- end -}}
{{- end -}}
{{- $limit -}}
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
