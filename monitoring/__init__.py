"""Monitoring: the dashboards as code, and programs that test them.

* ``dashboards`` writes ``helm/blockqnn/dashboards/*.json``; run it by ``make generate``.
* ``debian`` brings Prometheus and Chromium where they are not installed.
* ``prometheus`` runs a real Prometheus over a real operator, for the tests and for ``pictures``.
"""
