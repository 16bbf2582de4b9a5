// The definitions of ServiceMonitor and PrometheusRule: sources only, nothing of it is built.
module blockqnn.dev/devcluster/programs/prometheus-operator

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
