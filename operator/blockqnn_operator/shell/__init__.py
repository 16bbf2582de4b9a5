"""Kopf handlers, the API client and the process: everything that does I/O."""
