"""A trainer's process: its exit status, its termination message, its machine."""
