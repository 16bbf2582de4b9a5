{{- /* The name of all objects in a namespace. */ -}}
{{- define "blockqnn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* The name of objects of the whole cluster: releases in several namespaces have their own. */ -}}
{{- define "blockqnn.clusterName" -}}
{{- if .Values.clusterWide -}}
{{- include "blockqnn.fullname" . -}}
{{- else -}}
{{- printf "%s-%s" (include "blockqnn.fullname" .) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "blockqnn.selectorLabels" -}}
app.kubernetes.io/name: blockqnn-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* The labels of the Pod of `helm test`. */ -}}
{{- define "blockqnn.testLabels" -}}
app.kubernetes.io/name: blockqnn-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "blockqnn.labels" -}}
{{ include "blockqnn.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: blockqnn
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "blockqnn.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "blockqnn.fullname" .) -}}
{{- end -}}

{{- /* An image's reference. Takes the registry, the image's values and the default tag. */ -}}
{{- define "blockqnn.imageReference" -}}
{{- $name := .image.repository -}}
{{- if .registry -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .registry) $name -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{- define "blockqnn.image" -}}
{{- include "blockqnn.imageReference" (dict "registry" .Values.registry "image" .Values.image "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- define "blockqnn.trainerImage" -}}
{{- include "blockqnn.imageReference" (dict "registry" .Values.registry "image" .Values.trainer.image "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- /* The namespaces that are served, as a JSON list; empty for all of them. */ -}}
{{- define "blockqnn.namespaces" -}}
{{- if .Values.clusterWide -}}
[]
{{- else -}}
{{- .Values.namespaces | default (list .Release.Namespace) | uniq | toJson -}}
{{- end -}}
{{- end -}}

{{- /* The namespaces whose trials are cut off the network, as a JSON list. */ -}}
{{- define "blockqnn.trialNamespaces" -}}
{{- if .Values.networkPolicy.trials.namespaces -}}
{{- .Values.networkPolicy.trials.namespaces | uniq | toJson -}}
{{- else -}}
{{- include "blockqnn.namespaces" . -}}
{{- end -}}
{{- end -}}
