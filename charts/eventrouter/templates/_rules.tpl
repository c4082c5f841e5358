{{/*
Rules in words, and what Fluent Bit makes of them.

An entry of `include` or `exclude` holds when all its fields do; a list, when any entry does. Fluent
Bit's `grep` cannot say both at once, so each entry of `include` is a condition under which a record
gets a mark, and records without it are dropped. An entry of `exclude` is a condition under which a
`grep` drops the record. Conditions leave the record as it is, and see a missing field as "".
*/}}

{{/* Where the fields of a rule are in the record. With two places, either will do. */}}
{{- define "eventrouter.rules.places" -}}
namespace: ["$event['involvedObject']['namespace']"]
kind: ["$event['involvedObject']['kind']"]
name: ["$event['involvedObject']['name']"]
reason: ["$event['reason']"]
type: ["$event['type']"]
component: ["$event['source']['component']", "$event['reportingComponent']"]
message: ["$event['message']"]
minCount: ["$event['count']", "$event['series']['count']"]
{{- end }}

{{/* Processors for the rules `include` and `exclude`: a list. */}}
{{- define "eventrouter.rules" -}}
{{- $mark := "eventrouter_include" -}}
{{- $processors := list -}}
{{- range .exclude -}}
{{- range include "eventrouter.rule.conditions" . | fromYamlArray -}}
{{- $processors = append $processors (dict "name" "grep" "exclude" "$id ." "condition" .) -}}
{{- end -}}
{{- end -}}
{{- range .include -}}
{{- range include "eventrouter.rule.conditions" . | fromYamlArray -}}
{{- $processors = append $processors (dict
      "name" "content_modifier" "action" "upsert" "key" $mark "value" "1" "condition" .) -}}
{{- end -}}
{{- end -}}
{{- if .include -}}
{{- $processors = concat $processors (list
      (dict "name" "grep" "regex" (print $mark " .")) (dict "name" "content_modifier" "action" "delete" "key" $mark)) -}}
{{- end -}}
{{- toYaml $processors -}}
{{- end }}

{{/*
The conditions of Fluent Bit of which one must hold for an entry: one for each choice among the places
of its fields.
*/}}
{{- define "eventrouter.rule.conditions" -}}
{{- $places := include "eventrouter.rules.places" . | fromYaml -}}
{{- $choices := list (list) -}}
{{- range $field, $wanted := . -}}
{{- $pattern := include "eventrouter.rule.pattern" (dict "field" $field "wanted" $wanted) -}}
{{- $longer := list -}}
{{- range $choice := $choices -}}
{{- range get $places $field -}}
{{- $longer = append $longer (append $choice (dict "field" . "op" "regex" "value" $pattern)) -}}
{{- end -}}
{{- end -}}
{{- $choices = $longer -}}
{{- end -}}
{{- $conditions := list -}}
{{- range $choices -}}
{{- $conditions = append $conditions (dict "op" "and" "rules" .) -}}
{{- end -}}
{{- toYaml $conditions -}}
{{- end }}

{{/*
One regular expression for a field's texts and expressions. \A and \z are the ends of the text; ^ and $
would be those of any line.
*/}}
{{- define "eventrouter.rule.pattern" -}}
{{- if eq .field "minCount" -}}
{{- include "eventrouter.rule.minimum" (.wanted | int | toString) -}}
{{- else -}}
{{- $patterns := list -}}
{{- $texts := list -}}
{{- range kindIs "string" .wanted | ternary (list .wanted) .wanted -}}
{{- if regexMatch "^/.+/i?$" . -}}
{{- $patterns = append $patterns (printf "(?%s:%s)" (hasSuffix "/i" . | ternary "i" "") (trimSuffix "i" . | trimPrefix "/" | trimSuffix "/")) -}}
{{- else -}}
{{- $texts = append $texts (regexQuoteMeta .) -}}
{{- end -}}
{{- end -}}
{{- with $texts -}}
{{- $patterns = prepend $patterns (printf "\\A(?:%s)\\z" (join "|" .)) -}}
{{- end -}}
{{- join "|" $patterns -}}
{{- end -}}
{{- end }}

{{/*
A regular expression for the numbers that are not less, as conditions compare no numbers: more digits,
or as many and the first that differs is greater. Takes the digits.
*/}}
{{- define "eventrouter.rule.minimum" -}}
{{- $digits := . -}}
{{- $length := len $digits -}}
{{- $patterns := list (printf "[1-9][0-9]{%d,}" $length) $digits -}}
{{- range $index := until $length -}}
{{- $digit := substr $index (int (add1 $index)) $digits | int -}}
{{- if lt $digit 9 -}}
{{- $patterns = append $patterns (printf "%s[%d-9][0-9]{%d}" (substr 0 $index $digits) (add1 $digit) (sub $length (add1 $index))) -}}
{{- end -}}
{{- end -}}
\A(?:{{ join "|" $patterns }})\z
{{- end }}

{{/*
The file that every pipeline of eventrouter has; to the byte, unless the watcher's input gets processors
for the rules and fields of all events.
*/}}
{{- define "eventrouter.pipeline" -}}
{{- $text := .Files.Get "files/fluent/pipeline.yaml" -}}
{{- $processors := include "eventrouter.rules" .Values.filter | fromYamlArray -}}
{{- range $name, $value := .Values.extraFields -}}
{{- $processors = append $processors (dict "name" "content_modifier" "action" "upsert" "key" $name "value" $value) -}}
{{- end -}}
{{- if not $processors -}}
{{- trim $text -}}
{{- else -}}
{{- $file := fromYaml $text -}}
{{- range $file.pipeline.inputs -}}
{{- if eq .alias "watcher" -}}
{{- $_ := set . "processors" (dict "logs" $processors) -}}
{{- end -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}
{{- end }}

{{/*
Refuses a regular expression that is none. Helm's are not Fluent Bit's: what only one of them knows is
refused if it is Helm's, and is left to Fluent Bit's own check if it is Fluent Bit's. Takes `rules` and
`path`.
*/}}
{{- define "eventrouter.rules.validate" -}}
{{- $path := .path -}}
{{- range $list, $entries := .rules -}}
{{- range $index, $entry := $entries -}}
{{- range $field, $wanted := omit $entry "minCount" -}}
{{- range kindIs "string" $wanted | ternary (list $wanted) $wanted -}}
{{- if hasPrefix "/" . -}}
{{- $key := printf "%s.%s[%d].%s" $path $list $index $field -}}
{{- if not (regexMatch "^/.+/i?$" .) -}}
{{- fail (printf "%s: %s must end with / or /i, as it begins with /" $key .) -}}
{{- end -}}
{{- $expression := trimSuffix "i" . | trimPrefix "/" | trimSuffix "/" -}}
{{- $isFluentBits := regexMatch "\\(\\?(=|!|<=|<!|>|~)|\\\\[1-9kghHRXKG]|[*+?}]\\+" $expression -}}
{{- if or (regexMatch "\\(\\?P[<>=]|\\\\[QECp][A-Z]?" $expression) (not (or $isFluentBits (regexMatch (printf "(?:%s)|" $expression) ""))) -}}
{{- fail (printf "%s: %s is no regular expression" $key .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
