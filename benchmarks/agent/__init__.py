"""How fast the agent is."""
