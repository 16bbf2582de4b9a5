"""Benchmark of strategies: the best block after a number of trials."""
