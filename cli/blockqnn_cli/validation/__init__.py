"""Checks BlockSearches in files, as the API server and the operator would. Pure."""
