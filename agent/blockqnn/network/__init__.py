"""The network that stacks a block: its description and its cost in closed form."""
