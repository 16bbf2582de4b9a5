"""Prometheus metrics, of the operator and of the searches."""
