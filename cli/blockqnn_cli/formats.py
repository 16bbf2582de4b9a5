"""Writes values for programs."""

import json
from typing import Any

import yaml


def dump(value: Any, output: str) -> str:
    """Write a value of JSON types as ``json`` or ``yaml``, its fields in their order."""
    if output == "json":
        return json.dumps(value, indent=2)
    return yaml.safe_dump(value, sort_keys=False)
