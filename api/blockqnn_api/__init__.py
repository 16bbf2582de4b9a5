"""The BlockSearch resource and the history of a search, shared by operator and command line.

Pure: the models of the resource, how a spec resolves to settings, the objects that the API server
holds, and the records that a search is replayed from. No Kopf, no client, no I/O.
"""
