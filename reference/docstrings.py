"""Docstrings of attributes: the texts below assignments, which Python itself does not keep."""

import ast
import inspect
import textwrap
from enum import Enum
from itertools import pairwise
from types import ModuleType


def attribute_docstrings(owner: type | ModuleType) -> dict[str, str]:
    """Return the text below each assignment in the body of a class or module, by its name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else tree.body
    texts: dict[str, str] = {}
    for statement, text in pairwise(body):
        if not isinstance(statement, ast.Assign) or not isinstance(text, ast.Expr):
            continue
        (target,) = statement.targets
        if isinstance(target, ast.Name) and isinstance(text.value, ast.Constant):
            texts[target.id] = inspect.cleandoc(str(text.value.value))
    return texts


def member_docstrings(enumeration: type[Enum]) -> dict[str, str]:
    """Return the text of each member of an enumeration, by its value.

    Raises:
        KeyError: when a member has no text.
    """
    texts = attribute_docstrings(enumeration)
    return {str(member.value): texts[member.name] for member in enumeration}
