"""Rules for a BlockSearch that OpenAPI cannot express, in the Common Expression Language.

Each rule refuses a ``kubectl apply`` with a sentence that a person can act on; each has an accepted
and a refused example in ``tests/cluster/test_schema_rules.py``.
"""

from blockqnn_api.definition.effect_rules import EFFECT_RULES
from blockqnn_api.definition.rule import Rule
from blockqnn_api.durations import PATTERN
from blockqnn_api.spec import LONGEST_NAME


def _fixed(field: str, *, optional: bool) -> Rule:
    equal = f"self.{field} == oldSelf.{field}"
    if optional:
        equal = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {equal})"
    return Rule(
        equal,
        f"{field} cannot change once the search exists, since its results would not be comparable; "
        "create another BlockSearch",
    )


def _duration(field: str) -> Rule:
    return Rule(
        f"self.matches('{PATTERN}') && self.matches('[1-9]')",
        f"{field} must be hours, minutes and seconds such as 90s, 45m or 1h30m",
    )


_LIMITED = (
    "has({0}) && has({0}.constraints) && "
    "(has({0}.constraints.maxParameters) || has({0}.constraints.maxMacs))"
)
"""Expression that is true if a section, which may be absent, limits anything."""

_HAS_ANY = "self.layers.exists(one, one in {})"
"""Expression that is true if the layers name any of the given types."""

_IMAGE_SIZE = Rule(
    "!has(self.imageSize) || self.name == 'imagefolder'",
    "imageSize is for imagefolder; images of other datasets keep their size",
)

_OWN_RULES: dict[str, tuple[Rule, ...]] = {
    "": (
        Rule(
            f"self.metadata.name.size() <= {LONGEST_NAME}",
            f"metadata.name must have at most {LONGEST_NAME} characters, since the names of the "
            "trials' Jobs begin with it",
        ),
        Rule(
            "!self.metadata.name.contains('.')",
            "metadata.name must not contain a dot, since the names of the trials' Pods begin with "
            "it",
        ),
    ),
    "spec": (
        _fixed("preset", optional=False),
        _fixed("seed", optional=False),
        _fixed("space", optional=True),
        _fixed("agent", optional=True),
        _fixed("reward", optional=True),
        _fixed("network", optional=True),
        _fixed("training", optional=True),
        Rule(
            "!has(oldSelf.finalists) || has(self.finalists)",
            "finalists cannot be removed once they are set; lower finalists.count, or set suspend",
        ),
        Rule(
            f"!({_LIMITED.format('self.space')}) || has(self.dataset.shape) || "
            "!(self.dataset.name in ['npz', 'imagefolder'])",
            "dataset.shape must describe the images of npz and imagefolder if space.constraints "
            "limits the cost of networks",
        ),
        Rule(
            "!has(self.agent) || !has(self.agent.batchSize) || !has(self.trial) || "
            "!has(self.trial.blocksPerJob) || self.trial.blocksPerJob <= self.agent.batchSize",
            "trial.blocksPerJob must be at most agent.batchSize, since the blocks of a Job are of "
            "one iteration",
        ),
    ),
    "spec.space": (
        Rule(
            f"!has(self.layers) || {_HAS_ANY.format(['Convolution', 'SeparableConvolution'])}",
            "layers must have Convolution or SeparableConvolution, since blocks without either "
            "could hardly learn anything",
        ),
        Rule(
            "!has(self.layers) || !has(self.convolution) || self.convolution == 'PCC' || "
            f"!{_HAS_ANY.format(['SeparableConvolution', 'Bottleneck'])}",
            "layers can have SeparableConvolution and Bottleneck with convolution PCC only, since "
            "they are cells of ReLU, convolution and batch norm, which Separate takes apart",
        ),
        Rule(
            "!has(self.layers) || !has(self.startWithIdentity) || !self.startWithIdentity || "
            "'Identity' in self.layers",
            "layers must have Identity if startWithIdentity is true, since every block then "
            "starts with one",
        ),
        Rule(
            "!has(self.adaptiveRepeats) || !self.adaptiveRepeats || "
            f"({_LIMITED.format('self').removeprefix('has(self) && ')})",
            "adaptiveRepeats needs constraints to adapt to: give constraints.maxParameters or "
            "constraints.maxMacs",
        ),
    ),
    "spec.dataset": (
        _fixed("name", optional=False),
        _fixed("path", optional=False),
        _fixed("imageSize", optional=True),
        _IMAGE_SIZE,
        _fixed("shape", optional=True),
        Rule(
            "!has(self.shape) || self.name in ['npz', 'imagefolder']",
            "shape is for npz and imagefolder; other datasets have theirs",
        ),
        _fixed("validation", optional=True),
    ),
    "spec.finalists": (
        _fixed("recipe", optional=False),
        _fixed("network", optional=True),
        _fixed("training", optional=True),
        _fixed("validation", optional=True),
    ),
    "spec.finalists.timeout": (_duration("timeout"),),
    "spec.finalists.targets[]": (
        _fixed("recipe", optional=True),
        _fixed("network", optional=True),
        _fixed("training", optional=True),
        Rule(
            "has(self.dataset) == has(oldSelf.dataset)",
            "dataset cannot be added to a target or removed from it later, since its results "
            "would not be comparable; add another target",
        ),
    ),
    "spec.finalists.targets[].dataset": (
        _fixed("name", optional=False),
        _fixed("imageSize", optional=True),
        _fixed("validation", optional=True),
        _IMAGE_SIZE,
    ),
    "spec.budget.duration": (_duration("duration"),),
    "spec.failurePolicy.trialTimeout": (_duration("trialTimeout"),),
    "spec.failurePolicy.pendingTimeout": (_duration("pendingTimeout"),),
}

RULES: dict[str, tuple[Rule, ...]] = {
    path: (*_OWN_RULES.get(path, ()), *EFFECT_RULES.get(path, ()))
    for path in (*_OWN_RULES, *(path for path in EFFECT_RULES if path not in _OWN_RULES))
}
"""The rules by the path of their schema; the empty path is the whole object."""
