"""Benchmarks: programs that print a table and write ``build/benchmarks/NAME.json``."""
