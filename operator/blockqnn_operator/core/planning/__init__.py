"""Plans: what to start, stop, annotate, archive and delete, from what is observed."""
