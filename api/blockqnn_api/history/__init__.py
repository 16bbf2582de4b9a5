"""The stored history of a search: records, shards, and how a search is replayed from them."""
