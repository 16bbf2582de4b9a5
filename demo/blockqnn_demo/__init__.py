"""The demo: a real search on a real Kubernetes, on this machine, with one command."""
