"""``kubectl blockqnn``: a search for people, in the terminal."""
