"""The early-stop training of a network."""
