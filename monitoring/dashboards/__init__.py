"""Grafana's dashboards of the project, as code."""

import json

from monitoring.dashboards import of_operator, of_search


def files() -> dict[str, str]:
    """Return the text of each dashboard, by the name of its file."""
    made = {"search.json": of_search.dashboard(), "operator.json": of_operator.dashboard()}
    return {name: json.dumps(dashboard.body(), indent=2) + "\n" for name, dashboard in made.items()}
