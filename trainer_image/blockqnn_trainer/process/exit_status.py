"""The exit statuses of a trainer, which the operator reads from the Pod."""

EXIT_VERDICT = 0
"""Succeeded or Infeasible: the block has its answer."""
EXIT_ERROR = 1
"""An unexpected error, perhaps of the machine, or images that are not there: another attempt may
help."""
EXIT_INPUT = 2
"""An input that stays wrong however often it is tried."""
EXIT_SIGNAL = 128
"""Added to the number of the signal that ended the trial, as shells count."""
