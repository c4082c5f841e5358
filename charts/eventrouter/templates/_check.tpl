{{/*
What `eventrouter check` in the watcher's container is told of the outputs to Elasticsearch and OpenSearch.
The watcher itself reads none of it.
*/}}

{{/* The outputs that it can look at: as setup, it checks certificates, has none and signs no requests. */}}
{{- define "eventrouter.check.outputs" -}}
{{- $seen := dict -}}
{{- if dig "outputs" "enabled" true (.Values.check | default dict) -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- if and (has $output.type (list "elasticsearch" "opensearch")) (not (include "eventrouter.setup.obstacle" $output)) -}}
{{- $_ := set $seen $name $output -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $seen -}}
{{- end }}

{{/* Whether an output has a CA of its own. */}}
{{- define "eventrouter.output.hasCA" -}}
{{- if and .tls.enabled .tls.existingSecret .tls.caKey }}true{{ end -}}
{{- end }}

{{/* The watcher's variables. The login is the writer's: a Secret that is gone is told, and no fault here. */}}
{{- define "eventrouter.check.env" -}}
{{- $env := list -}}
{{- $variables := dict "username" "USER" "password" "PASSWORD" "apiKey" "API_KEY" -}}
{{- range $name, $output := include "eventrouter.check.outputs" . | fromYaml -}}
{{- $prefix := printf "EVENTROUTER_CHECK_%s__" ($name | upper | replace "-" "_") -}}
{{- $url := include "eventrouter.output.url" $output -}}
{{- $env = append $env (dict "name" (print $prefix (upper $output.type)) "value" $url) -}}
{{- $env = append $env (dict "name" (print $prefix "INDEX_PREFIX") "value" $output.indexPrefix) -}}
{{- if include "eventrouter.output.hasCA" $output -}}
{{- $file := include "eventrouter.output.certificate" (dict "output" $output "key" $output.tls.caKey) -}}
{{- $env = append $env (dict "name" (print $prefix "CA_FILE") "value" $file) -}}
{{- end -}}
{{- range $part, $credential := include "eventrouter.output.credentials" (dict "output" $output) | fromYaml -}}
{{- with get $variables $part -}}
{{- $variable := dict "name" (print $prefix .) -}}
{{- if $credential.key -}}
{{- $reference := dict "name" $output.auth.existingSecret "key" $credential.key "optional" true -}}
{{- $_ := set $variable "valueFrom" (dict "secretKeyRef" $reference) -}}
{{- else -}}
{{- $_ := set $variable "value" $credential.value -}}
{{- end -}}
{{- $env = append $env $variable -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $env -}}
{{- toYaml $env -}}
{{- end -}}
{{- end }}
