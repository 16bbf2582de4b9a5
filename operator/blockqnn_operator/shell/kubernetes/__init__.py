"""The API server: the client, the informers and their cache, and Kopf's part."""
