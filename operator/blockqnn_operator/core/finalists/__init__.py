"""From the best blocks of a search to trained models. Pure."""
