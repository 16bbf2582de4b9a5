"""Search spaces: candidates, decisions, mutation, and the features of a block."""
