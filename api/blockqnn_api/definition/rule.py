"""A rule of the definition, in the Common Expression Language."""

from typing import NamedTuple


class Rule(NamedTuple):
    """An expression that must hold, and the message for the user when it does not."""

    rule: str
    message: str
