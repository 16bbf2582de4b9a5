"""Blocks: the Network Structure Code, the graph that it means, and how it is drawn."""
