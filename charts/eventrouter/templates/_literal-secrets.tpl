{{/*
Refuses a literal secret: a text under a name that is one of a secret, unless it takes a variable of
the container, `${…}`, or names a file. Takes `value`, anything, and `path`, its key.

Fluent Bit's headers (`NAME VALUE`) and Kubernetes' variables (`name`, `value`) have their names too.
*/}}
{{- define "eventrouter.refuseSecrets" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- include "eventrouter.refuseSecret" (dict "name" $key "value" $value "path" (printf "%s.%s" $path $key)) -}}
{{- include "eventrouter.refuseSecrets" (dict "value" $value "path" (printf "%s.%s" $path $key)) -}}
{{- if and (eq $key "header") (kindIs "string" $value) -}}
{{- include "eventrouter.refuseHeader" (dict "value" $value "path" (printf "%s.%s" $path $key)) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .value "value" -}}
{{- include "eventrouter.refuseSecret" (dict "name" .value.name "value" .value.value "path" $path) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $index, $value := .value -}}
{{- $itemPath := printf "%s[%d]" $path $index -}}
{{- if kindIs "string" $value -}}
{{- include "eventrouter.refuseHeader" (dict "value" $value "path" $itemPath) -}}
{{- end -}}
{{- include "eventrouter.refuseSecrets" (dict "value" $value "path" $itemPath) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The same for a text of the form `NAME VALUE`. */}}
{{- define "eventrouter.refuseHeader" -}}
{{- $header := regexSplit "\\s+" .value 2 -}}
{{- include "eventrouter.refuseSecret" (dict "name" (first $header) "value" (last $header) "path" .path) -}}
{{- end }}

{{- define "eventrouter.refuseSecret" -}}
{{- $words := "(?i)(passw|secret|token|webhook|credential|authorization|cookie|cloud[-_.]?auth|(api|shared|license|access|account|private)[-_.]?key)" -}}
{{- $isReference := "(?i)([-_.](file|path|dir|url|id|field|header))$" -}}
{{- if and (kindIs "string" .value) .value (regexMatch $words (toString .name)) (not (regexMatch $isReference (toString .name))) -}}
{{- if not (or (contains "${" .value) (hasPrefix "/" .value)) -}}
{{- fail (printf "%s: must not hold a secret; keep it in a Secret and refer to that" .path) -}}
{{- end -}}
{{- end -}}
{{- end }}
