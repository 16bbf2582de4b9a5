"""Monitoring of the project: the dashboards as code, and programs to try them with.

* ``dashboards`` writes ``helm/blockqnn/dashboards/*.json``; run it by ``make generate``.
* ``debian`` brings Prometheus and Chromium where they are not installed.
* ``prometheus`` runs a real Prometheus over a real operator, for the tests and for ``pictures``.
"""
