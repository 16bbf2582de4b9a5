"""Quality of the blocks that strategies find with a number of trials."""
