{{/*
What an output takes from Secrets: its login, and its certificates.

Nothing secret is in a property: `${…}` is a variable of the container.
*/}}

{{/* The variable that holds a part of an output's login. Takes the output and `part`. */}}
{{- define "eventrouter.output.variable" -}}
{{- $part := regexReplaceAll "[^A-Za-z0-9]+" (snakecase .part) "_" | upper -}}
{{- if eq .output.type "s3" -}}
AWS_{{ $part }}
{{- else -}}
OUTPUT_{{ .output.name | upper | replace "-" "_" }}__{{ $part }}
{{- end -}}
{{- end }}

{{/*
What an output needs of its Secret: a map from each part of the login, `headers.NAME` and
`properties.NAME` to its variable, and to the Secret's key or the value itself.
*/}}
{{- define "eventrouter.output.credentials" -}}
{{- $output := .output -}}
{{- $auth := $output.auth -}}
{{- $credentials := dict -}}
{{- if $auth.existingSecret -}}
{{- range $part, $_ := $output.login -}}
{{- $key := get $auth (printf "%sKey" $part) -}}
{{- if and (eq $part "username") $auth.username $auth.passwordKey -}}
{{- $_ := set $credentials $part (dict "value" $auth.username) -}}
{{- else if $key -}}
{{- $_ := set $credentials $part (dict "key" $key) -}}
{{- end -}}
{{- end -}}
{{- range $place := list "headers" "properties" -}}
{{- range $name, $key := get $auth $place | default dict -}}
{{- $_ := set $credentials (printf "%s.%s" $place $name) (dict "key" $key) -}}
{{- end -}}
{{- end -}}
{{- range $part, $credential := $credentials -}}
{{- $_ := set $credential "variable" (include "eventrouter.output.variable" (dict "output" $output "part" $part)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $credentials -}}
{{- end }}

{{/* Properties for the login. */}}
{{- define "eventrouter.output.login" -}}
{{- $properties := dict -}}
{{- range $part, $credential := include "eventrouter.output.credentials" . | fromYaml -}}
{{- $property := get $.output.login $part -}}
{{- if hasPrefix "properties." $part -}}
{{- $property = trimPrefix "properties." $part -}}
{{- end -}}
{{- if $property -}}
{{- $_ := set $properties $property (printf "${%s}" $credential.variable) -}}
{{- end -}}
{{- end -}}
{{- toYaml $properties -}}
{{- end }}

{{/* Properties for the headers of a request; a bearer token and what a Secret holds are of them. */}}
{{- define "eventrouter.output.headers" -}}
{{- $headers := list -}}
{{- range $name, $value := .output.headers -}}
{{- $headers = append $headers (printf "%s %s" $name $value) -}}
{{- end -}}
{{- range $part, $credential := include "eventrouter.output.credentials" . | fromYaml -}}
{{- if eq $part "token" -}}
{{- $headers = append $headers (printf "Authorization Bearer ${%s}" $credential.variable) -}}
{{- else if hasPrefix "headers." $part -}}
{{- $headers = append $headers (printf "%s ${%s}" (trimPrefix "headers." $part) $credential.variable) -}}
{{- end -}}
{{- end -}}
{{- with $headers -}}
header:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{/* Where one key of an output's Secret with certificates is to be found. */}}
{{- define "eventrouter.output.certificate" -}}
/etc/eventrouter/tls/{{ .output.name }}/{{ .key }}
{{- end }}

{{/* Properties for TLS. */}}
{{- define "eventrouter.output.tls" -}}
{{- $tls := .output.tls -}}
{{- $properties := dict -}}
{{- if $tls.enabled -}}
{{- $usual := dict "verify" "tls.verify" "caKey" "tls.ca_file" "certKey" "tls.crt_file" "keyKey" "tls.key_file" -}}
{{- $names := .output.tlsProperties | default $usual -}}
{{- if not .output.tlsProperties -}}
{{- $_ := set $properties "tls" true -}}
{{- $_ := set $properties "tls.verify_hostname" $tls.verify -}}
{{- end -}}
{{- $_ := set $properties $names.verify $tls.verify -}}
{{- range $key := list "caKey" "certKey" "keyKey" -}}
{{- if and $tls.existingSecret (get $tls $key) -}}
{{- $file := include "eventrouter.output.certificate" (dict "output" $.output "key" (get $tls $key)) -}}
{{- $_ := set $properties (get $names $key) $file -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $properties -}}
{{- end }}

{{/* The sidecar's variables with the outputs' logins. */}}
{{- define "eventrouter.outputs.env" -}}
{{- $env := list -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- range $credential := include "eventrouter.output.credentials" (dict "output" $output) | fromYaml -}}
{{- if $credential.key -}}
{{- $reference := dict "name" $output.auth.existingSecret "key" $credential.key -}}
{{- $env = append $env (dict "name" $credential.variable "valueFrom" (dict "secretKeyRef" $reference)) -}}
{{- else -}}
{{- $env = append $env (dict "name" $credential.variable "value" $credential.value) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml (uniq $env) -}}
{{- end }}

{{/* The Secrets with certificates: a map from the output to its Secret and keys. */}}
{{- define "eventrouter.outputs.certificates" -}}
{{- $certificates := dict -}}
{{- range $name, $output := include "eventrouter.outputs" . | fromYaml -}}
{{- with $output.tls -}}
{{- if and .enabled .existingSecret -}}
{{- $_ := set $certificates $name (dict
      "secret" .existingSecret "keys" (list .caKey .certKey .keyKey | compact)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $certificates -}}
{{- end }}
