"""How good a block the strategies find with a number of trials."""
