"""Arithmetic that gives the same bits on every machine: decompositions and ranks."""
