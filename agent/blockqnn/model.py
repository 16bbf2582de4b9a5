"""The base of every message and setting: strict, frozen, written in camelCase."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A value that is checked when it is created and never changes afterwards.

    Unknown fields are rejected, so that no input is silently ignored. Python names are
    snake_case, JSON names camelCase; both are read, camelCase is written.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
