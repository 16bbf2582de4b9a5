"""Decides what to do: observed state in, plan out. Pure: no I/O, no clock, no cluster client."""
