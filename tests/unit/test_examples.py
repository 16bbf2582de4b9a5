"""The searches of examples/ are ones that the operator takes."""

from pathlib import Path

import pytest
import yaml

from blockqnn_operator.api.resolve import resolve

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SEARCHES = sorted(EXAMPLES.rglob("*.yaml"))


@pytest.mark.parametrize("path", SEARCHES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_is_a_search_whose_fields_fit_together(path: Path) -> None:
    for search in yaml.safe_load_all(path.read_text()):
        settings = resolve(search["spec"])
        assert settings.trial.blocks_per_job <= settings.agent.batch_size
