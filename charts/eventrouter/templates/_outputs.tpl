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
The outputs for Fluent Bit, as a list of properties. Last comes one that takes every event and does
nothing with it: without a second output, an event that one of them cannot take would be the only
one's, and its chunk would leave memory between two tries (fluent/outputs/null.yaml).
*/}}
{{- define "eventrouter.outputs.rendered" -}}
{{- $rendered := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- $context := dict "root" $ "output" $output -}}
{{- $properties := dict "name" $output.plugin "alias" $name "match" $output.match "retry_limit" "no_limits" -}}
{{- if not $output.required -}}
{{- $_ := set $properties "storage.total_limit_size" (include "eventrouter.output.limit" $context) -}}
{{- end -}}
{{- range list "login" "tls" -}}
{{- $properties = include (printf "eventrouter.output.%s" .) $context | fromYaml | mergeOverwrite $properties -}}
{{- end -}}
{{- $ofType := include (printf "eventrouter.output.type.%s" $output.type) $context | fromYaml -}}
{{- $rules := include "eventrouter.rules" $output.rules | fromYamlArray -}}
{{- $processors := concat $rules (dig "processors" "logs" list $ofType) (dig "processors" "logs" list $output.extra) -}}
{{- $properties = mergeOverwrite $properties $ofType $output.extra -}}
{{- with $processors -}}
{{- $_ := set $properties "processors" (dict "logs" .) -}}
{{- end -}}
{{- if $output.extra.match_regex -}}
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
The part of the volume that an output may fill, in bytes: a tenth by default.

Fluent Bit's chunks have 2 MB and the one being filled counts: with a limit of little more, the
intake stops where the oldest chunk should have been dropped.
*/}}
{{- define "eventrouter.output.limit" -}}
{{- $least := 8000000 -}}
{{- if .output.limit -}}
{{- $limit := include "eventrouter.bytes" .output.limit | int64 -}}
{{- if lt $limit $least -}}
{{- fail (printf "outputs.%s.limit: %s is too little; 8M is the least" .output.name .output.limit) -}}
{{- end -}}
{{- $limit -}}
{{- else -}}
{{- max (div (include "eventrouter.bytes" .root.Values.buffer.size | int64) 10) $least -}}
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
