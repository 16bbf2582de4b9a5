"""Settings of a search: space, agent, reward, epsilon schedule, and the presets."""
