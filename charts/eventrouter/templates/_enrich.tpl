{{/*
The kinds of watch.enrich.kinds with their resources: the same table as eventrouter/enrich/kinds.py.
Refuses what is none, and Secrets and ConfigMaps however they are written.
*/}}
{{- define "eventrouter.enrich.resources" -}}
{{- $known := dict
      "Pod" (list "" "pods")
      "Deployment" (list "apps" "deployments")
      "ReplicaSet" (list "apps" "replicasets")
      "StatefulSet" (list "apps" "statefulsets")
      "DaemonSet" (list "apps" "daemonsets")
      "Job" (list "batch" "jobs")
      "CronJob" (list "batch" "cronjobs")
      "Node" (list "" "nodes")
      "Namespace" (list "" "namespaces")
      "PersistentVolumeClaim" (list "" "persistentvolumeclaims")
      "Service" (list "" "services")
      "Ingress" (list "networking.k8s.io" "ingresses")
      "HorizontalPodAutoscaler" (list "autoscaling" "horizontalpodautoscalers") -}}
{{- $other := "^[A-Z][0-9A-Za-z]*[.][a-z0-9][-a-z0-9]*([.][a-z0-9][-a-z0-9.]*)?/[a-z0-9][-a-z0-9]*$" -}}
{{- $resources := list -}}
{{- range .Values.watch.enrich.kinds -}}
{{- if regexMatch "(?i)(^(secret|configmap)s?([./]|$)|/(secrets|configmaps)/*$)" . -}}
{{- fail (printf "watch.enrich.kinds: must not have %s; eventrouter reads no Secrets and no ConfigMaps" .) -}}
{{- end -}}
{{- if hasKey $known . -}}
{{- $resource := get $known . -}}
{{- $resources = append $resources (dict "group" (first $resource) "resource" (last $resource)) -}}
{{- else if regexMatch $other . -}}
{{- $head := splitList "/" . | first -}}
{{- $group := regexReplaceAll "^[^.]*[.][^.]*[.]?" $head "" -}}
{{- $resources = append $resources (dict "group" $group "resource" (splitList "/" . | last)) -}}
{{- else -}}
{{- fail (printf "watch.enrich.kinds: %s is neither one of %s nor Kind.version.group/plural" . (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end }}

{{/*
The rules for them, one for each kind. Takes `root`, and `scope`: "all", or only those that a Role in
a "namespace" or, beside such Roles, a ClusterRole ("cluster") can give. A Role may give the right to
its own namespace.
*/}}
{{- define "eventrouter.enrich.rules" -}}
{{- $rules := list -}}
{{- range include "eventrouter.enrich.resources" .root | fromYamlArray -}}
{{- $isNode := and (eq .group "") (eq .resource "nodes") -}}
{{- if or (eq $.scope "all") (eq $isNode (eq $.scope "cluster")) -}}
{{- $rules = append $rules (dict "apiGroups" (list .group) "resources" (list .resource) "verbs" (list "get")) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $rules | uniq | toYaml -}}
{{- end -}}
{{- end }}

{{- define "eventrouter.enrich.validate" -}}
{{- $enrich := .Values.watch.enrich -}}
{{- $_ := include "eventrouter.enrich.resources" . -}}
{{- if and (or $enrich.labels $enrich.annotations) (not $enrich.kinds) -}}
{{- fail "watch.enrich.kinds: must be set, as watch.enrich.labels or watch.enrich.annotations is" -}}
{{- end -}}
{{- if has "*" $enrich.annotations -}}
{{- fail "watch.enrich.annotations: must not have *; annotations hold whole specs with their secrets" -}}
{{- end -}}
{{- if has "kubectl.kubernetes.io/last-applied-configuration" $enrich.annotations -}}
{{- fail "watch.enrich.annotations: must not have kubectl.kubernetes.io/last-applied-configuration; it holds whole specs with their secrets" -}}
{{- end -}}
{{- if and .Values.prometheusRule.clusterAlerts (not .Values.watch.countEvents.enabled) -}}
{{- fail "watch.countEvents.enabled: must be true with prometheusRule.clusterAlerts; they ask for its metric" -}}
{{- end -}}
{{- end }}

{{/* The watcher's variables for what is off by default. */}}
{{- define "eventrouter.extras.env" -}}
{{- with .Values.watch.enrich -}}
{{- if .kinds }}
- name: EVENTROUTER_ENRICH
  value: {{ join "," .kinds | quote }}
{{- with .labels }}
- name: EVENTROUTER_ENRICH_LABELS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .annotations }}
- name: EVENTROUTER_ENRICH_ANNOTATIONS
  value: {{ join "," . | quote }}
{{- end }}
- name: EVENTROUTER_ENRICH_CACHE
  value: {{ include "eventrouter.size" .cache | quote }}
- name: EVENTROUTER_ENRICH_RATE
  value: {{ .rate | int | quote }}
{{- end }}
{{- end }}
{{- with .Values.watch.countEvents }}
{{- if .enabled }}
- name: EVENTROUTER_COUNT_EVENTS
  value: "true"
- name: EVENTROUTER_COUNT_EVENTS_SERIES
  value: {{ .maxSeries | int | quote }}
{{- end }}
{{- end }}
{{- end }}
