"""Benchmark of the agent's speed."""
