"""Limits on the cost of a network, held while a block is still incomplete."""
