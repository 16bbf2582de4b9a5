"""Reports: the status of a search, its conditions, and the totals behind the metrics."""
