"""The readings of what the papers leave open, each with what it changes of a preset."""
