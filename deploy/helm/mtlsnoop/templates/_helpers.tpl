{{- define "mtlsnoop.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name where it says the chart's name already, so that `helm install mtlsnoop` makes no mtlsnoop-mtlsnoop. */}}
{{- define "mtlsnoop.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "mtlsnoop.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mtlsnoop.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mtlsnoop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mtlsnoop.labels" -}}
{{ include "mtlsnoop.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: agent
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "mtlsnoop.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mtlsnoop.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mtlsnoop.image" -}}
{{- $image := .Values.image -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The agent's configuration file: what the user says, where it listens, and nothing that it has no right to. */}}
{{- define "mtlsnoop.config" -}}
{{- $config := dict "listen" (printf "%s:%d" .Values.http.address (int .Values.http.port)) -}}
{{- if not .Values.rbac.events -}}
{{- $_ := set $config "announce" false -}}
{{- end -}}
{{- merge $config .Values.config | toYaml -}}
{{- end -}}
