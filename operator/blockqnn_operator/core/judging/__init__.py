"""Verdicts: what became of a Job, from its annotation, its Pods and its conditions."""
