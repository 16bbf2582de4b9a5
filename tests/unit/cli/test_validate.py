"""`kubectl blockqnn validate`: what is wrong with a file, and in which line."""

import io
import json
import textwrap

import pytest
from repository_paths import ROOT

from blockqnn_api.definition.cel_rules import RULES
from blockqnn_cli.__main__ import main
from blockqnn_cli.errors import ExitStatus
from blockqnn_cli.validation.checks import check, is_duration

GOOD = """\
apiVersion: blockqnn.dev/v1alpha1
kind: BlockSearch
metadata:
  name: birds
spec:
  dataset:
    name: digits
"""


def problems(text: str) -> list[tuple[int, str]]:
    return [(p.line, p.message) for search in check(text) for p in search.problems]


def with_spec(lines: str) -> str:
    """The good search with more lines in its spec; they begin in line 8."""
    return GOOD + textwrap.indent(textwrap.dedent(lines), "  ")


def test_the_examples_are_valid() -> None:
    examples = sorted((ROOT / "examples").rglob("*.yaml"))
    assert examples
    problems_by_file = {path.name: problems(path.read_text()) for path in examples}
    assert not {name: wrong for name, wrong in problems_by_file.items() if wrong}


def test_a_good_search_is_named_with_its_line() -> None:
    (search,) = check("# a comment\n---\n" + GOOD)
    assert (search.name, search.line, search.problems) == ("birds", 3, ())


SCHEDULE = """
budget: {trials: 8}
agent:
  batchSize: 4
  epsilonSchedule: [{epsilon: 1, iterations: 3}]
"""

WRONG = [
    ("parallelism: 0", 8, "parallelism is 0; it must be at least 1."),
    ("seed: yes", 8, "seed is true; it must be a whole number."),
    ("seed: '7'", 8, "seed is '7'; it must be a whole number."),
    ("agent:\n  batch_size: 4", 9, "agent.batch_size is not a field; did you mean batchSize?"),
    ("colour: true", 8, "colour is not a field; the fields here are agent, "),
    ("suspended: true", 8, "suspended is not a field; did you mean suspend?"),
    ("paralelism: 2", 8, "paralelism is not a field; did you mean parallelism?"),
    ("trails: 2", 8, "trails is not a field; did you mean spec.budget.trials?"),
    ("budget: {trails: 2}", 8, "budget.trails is not a field; did you mean trials?"),
    ("training: {epoch: 2}", 8, "training.epoch is not a field; did you mean epochs?"),
    ("agent:\n  state: Last", 9, "agent.state is 'Last'; it must be LastLayer or BackOff."),
    ("agent: []", 8, "agent is a list; it must be a map."),
    ("network:\n  filters: []", 9, "network.filters has 0 items; it must have at least 1."),
    ("network:\n  filters:\n  - 8\n  - 0", 11, "network.filters[1] is 0; it must be at least 1."),
    (
        "training:\n  schedule: {factor: 0}",
        9,
        "training.schedule.factor is 0; it must be more than",
    ),
    ("failurePolicy:\n  trialTimeout: 5 min", 9, "failurePolicy.trialTimeout is '5 min'; write "),
    ("failurePolicy:\n  trialTimeout: 0s", 9, "failurePolicy.trialTimeout is '0s'; write hours"),
    ("seed: 1\nseed: 2", 9, "seed is given twice; remove one of them."),
    ("trial:\n  resources: {limits: {cpu: 1.5}}", 9, "trial.resources.limits.cpu is 1.5; it must"),
    (SCHEDULE, 12, "agent.epsilonSchedule has 3 iterations, but the budget of 8 trials makes 2"),
]


@pytest.mark.parametrize(("lines", "line", "message"), WRONG)
def test_a_wrong_field_is_told_with_its_line(lines: str, line: int, message: str) -> None:
    ((where, said),) = problems(with_spec(lines))
    assert where == line
    assert said.startswith(f"spec.{message}")


@pytest.mark.parametrize(
    "lines",
    [
        "training:\n  optimizer: {epsilon: 1e-8}",
        "agent: {epsilonSchedule: null}",
        "trial:\n  resources: {limits: {nvidia.com/gpu: 1}, requests: {cpu: 500m}}",
        "trial:\n  podTemplate: {spec: {tolerations: [{key: gpu, operator: Exists}]}}",
        "dataset: &shared {name: cifar10, path: /data}\nbudget: {trials: 64}",
    ],
)
def test_what_kubernetes_accepts_is_accepted(lines: str) -> None:
    text = with_spec(lines)
    if "dataset:" in lines:
        text = text.replace("  dataset:\n    name: digits\n", "", 1)
    assert not problems(text)


def test_every_problem_is_told_in_the_order_of_the_lines() -> None:
    listed = problems(with_spec("seed: -1\nparallelism: 0"))
    assert [line for line, _ in listed] == [8, 9]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 41, "metadata.name has 41 characters; it must have at most 40"),
        ("a.b", "metadata.name is 'a.b'; it must not contain a dot"),
        ("Birds", "metadata.name is 'Birds'; it must consist of lower-case letters"),
    ],
)
def test_a_name_that_the_cluster_would_refuse_is_told(name: str, message: str) -> None:
    ((line, said),) = problems(GOOD.replace("birds", name))
    assert line == 4
    assert said.startswith(message)


def test_every_rule_about_a_new_search_is_checked() -> None:
    """A rule that is added to the definition must be added here, or be about a change."""
    unchecked = [
        (path, rule.rule)
        for path, rules in RULES.items()
        for rule in rules
        if "oldSelf" not in rule.rule and not is_duration(rule)
    ]
    assert unchecked == [
        ("", "self.metadata.name.size() <= 40"),
        ("", "!self.metadata.name.contains('.')"),
        *[(path, rule) for path, rule in unchecked if path in RESOLVED],
    ], "validation/checks.py checks the first two; add the new one there"


RESOLVED = {
    "spec": (
        "space: {constraints: {maxParameters: 10000000}}\ndataset: {name: npz}",
        "spec.space.constraints limits what networks cost, which depends on the images",
    ),
    "spec.space": (
        "space: {adaptiveRepeats: true}",
        "spec.space.adaptiveRepeats is true, but space.constraints limits nothing",
    ),
    "spec.dataset": (
        "dataset: {name: digits, shape: {channels: 1, height: 8, width: 8, classes: 10}}",
        "spec.dataset: Value error, shape is for npz and imagefolder",
    ),
    "spec.agent": (
        "agent: {algorithm: Evolution, discount: 1}",
        "spec.agent.discount has no effect with algorithm Evolution; leave it out, or set "
        "agent.algorithm to QLearning.",
    ),
    "spec.agent.replay": (
        "agent: {replay: {sampleSize: 8, updates: 0}}",
        "spec.agent.replay.sampleSize has no effect with agent.replay.updates 0; leave it out, or "
        "set agent.replay.updates to 1 or more.",
    ),
    "spec.agent.predictor": (
        "agent: {predictor: {candidates: 1, optimism: 2}}",
        "spec.agent.predictor.optimism has no effect with agent.predictor.candidates 1; leave",
    ),
    "spec.training.restarts": (
        "training: {restarts: {maximum: 0, factor: 0.5}}",
        "spec.training.restarts.factor has no effect with training.restarts.maximum 0; leave it",
    ),
    "spec.dataset.validation": (
        "dataset: {name: digits, validation: {source: test, fraction: 0.5}}",
        "spec.dataset.validation.fraction has no effect with dataset.validation.source test; lea",
    ),
    "spec.finalists.validation": (
        "dataset: {name: npz}\nfinalists:\n  volume: {emptyDir: {}}\n"
        "  validation: {source: test, fraction: 0.5}",
        "spec.finalists.validation.fraction has no effect with finalists.validation.source test; "
        "leave it out",
    ),
    "spec.finalists.targets[].dataset.validation": (
        "dataset: {name: npz}\nfinalists:\n  volume: {emptyDir: {}}\n"
        "  targets: [{name: a, dataset: {name: npz, validation: {source: test, fraction: 0.5}}}]",
        "spec.finalists.targets[0].dataset.validation.fraction has no effect with "
        "finalists.targets[0].dataset.validation.source test; leave it out",
    ),
    "spec.finalists.targets[].dataset": (
        "finalists: {volume: {emptyDir: {}}, "
        "targets: [{name: a, dataset: {name: npz, imageSize: 8}}]}",
        "Value error, imageSize is for imagefolder",
    ),
}
"""Rules that resolving a spec holds too: where they stand, what breaks one, what is said."""


@pytest.mark.parametrize("path", sorted(RESOLVED))
def test_rules_about_several_fields_are_checked(path: str) -> None:
    lines, said = RESOLVED[path]
    text = with_spec(lines)
    if "dataset:" in lines.partition("finalists:")[0]:
        text = text.replace("  dataset:\n    name: digits\n", "", 1)
    ((_, problem),) = problems(text)
    assert said in problem or said.replace("spec.dataset:", "dataset:") in problem


def test_a_separate_search_with_limits_is_accepted() -> None:
    assert not problems(
        with_spec(
            "space: {convolution: Separate, constraints: {maxParameters: 300000}, "
            "adaptiveRepeats: true}"
        )
    )


def test_a_search_with_every_layer_is_accepted_and_one_that_cannot_learn_is_not() -> None:
    papers = "Convolution, MaxPooling, AveragePooling, Identity, Add, Concat"
    more = "SeparableConvolution, Bottleneck, PreviousInput"
    assert not problems(with_spec(f"space: {{layers: [{papers}, {more}]}}"))
    for layers, field, said in (
        ("Identity, Add", "layers", "has no convolution to the width of a stage"),
        ("", "layers", "has 0 items; it must have at least 1"),
        ("Convolution, Convolution", "layers", "names Convolution twice"),
        ("Convolution, Pooling", "layers[1]", "is 'Pooling'; it must be Convolution or Max"),
    ):
        ((_, problem),) = problems(with_spec(f"space: {{layers: [{layers}]}}"))
        assert problem.startswith(f"spec.space.{field} {said}")


def test_limits_that_no_block_keeps_are_told() -> None:
    ((_, said),) = problems(with_spec("space: {constraints: {maxMacs: 1000}}"))
    assert "maxMacs 1,000, leaves no block" in said
    assert "Raise the limit" in said


def test_other_objects_and_empty_documents_are_left_alone() -> None:
    text = "---\n---\nkind: ConfigMap\n---\n" + GOOD + "---\n- a list\n"
    assert [search.name for search in check(text)] == ["birds"]


def test_the_items_of_a_list_are_checked() -> None:
    text = "kind: List\napiVersion: v1\nitems:\n- " + GOOD.replace("\n", "\n  ").strip() + "\n"
    (search,) = check(text.replace("digits", "digit"))
    assert [(p.line, p.field) for p in search.problems] == [(10, "spec.dataset.name")]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [", 1), ("a: b\n c: d", 2), ("a: !!python/none x", 1), ("a: &x\n  b: *x", 1), ("\0", 1)],
)
def test_text_that_is_no_yaml_is_a_problem_with_a_line(text: str, line: int) -> None:
    ((where, message),) = problems(text)
    assert where in (line, line + 1)
    assert message.endswith(".")


def test_a_missing_spec_is_told() -> None:
    text = "apiVersion: blockqnn.dev/v1\nkind: BlockSearch\nmetadata: {}\n"
    assert [message for _, message in problems(text)] == [
        "apiVersion is 'blockqnn.dev/v1'; it must be blockqnn.dev/v1alpha1.",
        "spec is missing.",
        "metadata.name is missing.",
    ]


def test_files_with_problems_end_the_command_with_one(tmp_path, capsys, monkeypatch) -> None:
    good, bad, other = (tmp_path / name for name in ("good.yaml", "bad.yaml", "other.yaml"))
    good.write_text(GOOD)
    bad.write_text(with_spec("seed: -1"))
    other.write_text("kind: ConfigMap\n")
    assert main(["validate", str(good)]) == ExitStatus.OK
    assert capsys.readouterr().out == f"{good}:1: BlockSearch birds is valid.\n"
    assert main(["validate", str(good), str(bad)]) == ExitStatus.FAILED
    assert f"{bad}:8: spec.seed is -1; it must be at least 0.\n" in capsys.readouterr().out
    assert main(["validate", str(other)]) == ExitStatus.FAILED
    assert "There is no BlockSearch in this file." in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert main(["validate", "-"]) == ExitStatus.OK
    capsys.readouterr()
    assert main(["validate", str(bad), "-o", "json"]) == ExitStatus.FAILED
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["name"], document["valid"]) == ("birds", False)
    assert [p["field"] for p in document["problems"]] == ["spec.seed"]
    assert document["warnings"] == []


SMALL = "preset: CVPR2018\nbudget:\n  trials: 64"
WARNING = (
    "With this budget the preset explores at random: 0 of 1 iterations learn; preset Efficient "
    "learns in 19 of 22."
)


def test_a_budget_too_small_to_learn_is_a_warning_and_valid(tmp_path, capsys) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(with_spec(SMALL))
    assert main(["validate", str(small)]) == ExitStatus.OK
    assert capsys.readouterr().out.splitlines() == [
        f"{small}:8: warning: {WARNING}",
        f"{small}:1: BlockSearch birds is valid.",
    ]
    assert main(["validate", str(small), "-o", "json"]) == ExitStatus.OK
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["problems"]) == (True, [])
    assert document["warnings"] == [{"line": 8, "field": "spec.preset", "message": WARNING}]


@pytest.mark.parametrize(
    ("lines", "line", "field"),
    [
        ("budget:\n  trials: 8", 9, "spec.budget.trials"),
        ("budget: {trials: 64}\nagent:\n  batchSize: 8", 10, "spec.agent.batchSize"),
        ("budget: {trials: 64}", None, None),
        ("preset: CVPR2018", None, None),
        ("preset: CVPR2018\nseed: -1\nbudget: {trials: 64}", None, None),
    ],
)
def test_a_warning_stands_at_the_field_to_change(
    lines: str, line: int | None, field: str | None
) -> None:
    (search,) = check(with_spec(lines))
    warned = [(warning.line, warning.field) for warning in search.warnings]
    assert warned == ([] if line is None else [(line, field)])


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys) -> None:
    assert main(["validate", str(tmp_path / "no.yaml")]) == ExitStatus.FAILED
    error = capsys.readouterr().err
    assert (
        error == f"error: The file {tmp_path}/no.yaml cannot be read: No such file or directory.\n"
    )


CAN_ONLY_FAIL = [
    ("network:\n  filters: [8, 8, 8, 8, 8]", 9, "network.filters has 5 stages, between which the"),
    (
        "finalists:\n  volume: {emptyDir: {}}\n  targets:\n  - name: a\n    network:\n"
        "      filters: [8, 8, 8, 8, 8]",
        13,
        "finalists.targets[0].network.filters has 5 stages",
    ),
    ("trial:\n  resources:\n    limits:\n      gpu: 0", 11, "trial.resources.limits.gpu is no res"),
    ("trial:\n  resources:\n    limit: {cpu: 1}", 10, "trial.resources.limit is not a field; did "),
    (
        "finalists:\n  volume: {emptyDir: {}}\n  resources: {limits: {memory: 1Gib}}",
        10,
        "finalists.resources.limits.memory is '1Gib'; it must be a quantity",
    ),
    (
        "trial:\n  podTemplate:\n    spec:\n      tolerationz: []",
        11,
        "trial.podTemplate.spec.tolerationz is not a field; did you mean tolerations?",
    ),
    (
        "trial:\n  podTemplate:\n    spec:\n      containers:\n      - name: trainr",
        12,
        "trial.podTemplate.spec.containers[0].name is 'trainr', a container of its own without",
    ),
    (
        "finalists:\n  volume:\n    persistantVolumeClaim: {claimName: a}",
        10,
        "finalists.volume.persistantVolumeClaim is not a field; did you mean persistentVolumeClaim",
    ),
    (
        "finalists:\n  volume: {emptyDir: {}}\n  targets:\n  - name: a\n    dataset:\n"
        "      name: npz\n      volume: {persistantVolumeClaim: {claimName: a}}",
        14,
        "finalists.targets[0].dataset.volume.persistantVolumeClaim is not a field; did you mean",
    ),
    (
        "trial:\n  podTemplate:\n    spec:\n      zz: " + "[" * 40 + "]" * 40,
        10,
        "trial.podTemplate.spec is nested more than 32 deep",
    ),
]


@pytest.mark.parametrize(("lines", "line", "message"), CAN_ONLY_FAIL)
def test_what_can_only_fail_in_the_cluster_is_told(lines: str, line: int, message: str) -> None:
    ((where, said),) = problems(with_spec(lines))
    assert said.startswith(f"spec.{message}")
    assert where == line


def test_a_field_that_only_newer_clusters_can_know_is_a_warning() -> None:
    (search,) = check(with_spec("trial: {podTemplate: {spec: {quux: {}}}}"))
    assert not search.problems
    assert [warning.field for warning in search.warnings] == ["spec.trial.podTemplate.spec.quux"]
