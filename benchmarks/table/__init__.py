"""Makes a table of trained blocks, so that ways to search can be compared without training."""
