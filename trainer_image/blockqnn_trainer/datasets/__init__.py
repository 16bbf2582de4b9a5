"""Images: where they are read from, how they are prepared, and how they are split."""
