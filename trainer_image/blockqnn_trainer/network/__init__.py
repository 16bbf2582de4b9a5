"""The network of a block as a torch module."""
