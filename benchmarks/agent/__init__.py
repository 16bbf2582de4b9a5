"""Speed of the agent."""
