"""Benchmark of early termination: epochs saved, and reward lost."""
