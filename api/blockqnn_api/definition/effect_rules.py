"""Rules against fields that would have no effect, generated from the declarations of strategies.

They tell what can be told from the object alone: of the built-in algorithms, and of fields whose
values the user has written. The operator refuses the rest (:mod:`blockqnn_api.unused_settings`).

Each rule stands at a map that cannot change once the search exists. So an object that is older than
the rule stays as it is, and the API server goes on taking changes of its other fields and its
status: it checks rules again only where a value has changed (CRDValidationRatcheting).
"""

from collections.abc import Iterator

from blockqnn.settings.presets import PRESETS
from blockqnn.strategies.registry import BUILT_IN
from blockqnn_api.definition.rule import Rule
from blockqnn_api.unused_settings import (
    AGENT_FIELDS,
    DEPENDENCIES,
    OF_DATASETS,
    SWITCHED,
    Dependency,
    Path,
    alternatives,
    built_in_with,
)

_AGENT = "spec.agent"


def notes() -> dict[str, str]:
    """Return a sentence for each field of `agent` that some built-in algorithm does not use."""
    return {
        f"{_AGENT}.{field}": f"Used by `algorithm` {alternatives(names)} only."
        for field in AGENT_FIELDS
        if 0 < len(names := built_in_with(field)) < len(BUILT_IN)
    }


def _algorithm_rules() -> Iterator[Rule]:
    for field in (*AGENT_FIELDS, "settings"):
        using = built_in_with(field)
        others = [name for name in sorted(BUILT_IN) if name not in using]
        if not others:
            continue
        message = f"{field} has no effect with algorithm {alternatives(others)}; leave it out"
        if using:
            message += f", or set algorithm to {alternatives(using)}"
        yield Rule(f"{_is_not_set((field,))} || {_is_no(others)}", message)


def _is_no(algorithms: list[str]) -> str:
    """Return an expression that is true if the algorithm is none of these."""
    expression = f"!(self.algorithm in {algorithms})"
    (default,) = {preset["agent"]["algorithm"] for preset in PRESETS.values()}
    if default in algorithms:
        return f"(has(self.algorithm) && {expression})"
    return f"!has(self.algorithm) || {expression}"


def _dependency_rule(dependency: Dependency) -> tuple[str, Rule]:
    """Return the path of the innermost map that has both fields, and the rule that stands there."""
    field, other = dependency.field, dependency.other
    depth = 0
    while field[depth] == other[depth]:
        depth += 1
    around, inside, inner = field[:depth], field[depth:], other[depth:]
    conditions = [_is_not_set(inside), _is_absent(inner)]
    if dependency.default is not None:
        conditions.append(f"self.{'.'.join(inside)} == '{dependency.default}'")
    if around[-1] in SWITCHED:
        conditions.append(_IS_OFF.format(""))
    value = dependency.value
    literal = f"'{value}'" if isinstance(value, str) else str(value)
    conditions.append(f"self.{'.'.join(inner)} != {literal}")
    message = f"{'.'.join(inside)} {dependency.reason}; {dependency.remedy}"
    return ".".join(("spec", *around)), Rule(" || ".join(conditions), message)


_IS_OFF = "(has(self.{0}enabled) && !self.{0}enabled)"


def _is_absent(path: Path) -> str:
    """Return an expression that is true if a field or a map around it is not there."""
    steps = [".".join(path[: end + 1]) for end in range(len(path))]
    return " || ".join(f"!has(self.{step})" for step in steps)


def _is_not_set(path: Path) -> str:
    """Return the same, true also if the field is a map that is switched off."""
    expression = _is_absent(path)
    if path[-1] in SWITCHED:
        expression += f" || {_IS_OFF.format(f'{path[-1]}.')}"
    return expression


def _effect_rules() -> dict[str, tuple[Rule, ...]]:
    rules: dict[str, tuple[Rule, ...]] = {_AGENT: tuple(_algorithm_rules())}
    of_finalists = [d.at(("finalists",)) for d in OF_DATASETS if d.field[1] == "validation"]
    of_targets = [d.at(("finalists", "targets[]", "dataset")) for d in OF_DATASETS]
    for dependency in (*DEPENDENCIES, *of_finalists, *of_targets):
        if dependency.field[0] == dependency.other[0]:
            path, rule = _dependency_rule(dependency)
            rules[path] = (*rules.get(path, ()), rule)
    return rules


EFFECT_RULES = _effect_rules()
"""The rules by the path of their schema."""
