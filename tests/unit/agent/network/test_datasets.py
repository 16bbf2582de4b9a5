"""The one list of datasets: everything that names a dataset follows it."""

import pytest
from pydantic import ValidationError

from blockqnn.contract.dataset import DatasetSpec
from blockqnn.network.datasets import DATASETS, OFFICIAL, images_of
from blockqnn_api.finalists_spec import TargetDataset
from blockqnn_api.spec import Dataset
from blockqnn_trainer.datasets import official

MODELS = [DatasetSpec, Dataset, TargetDataset]


def test_every_official_dataset_has_a_reader_and_no_other() -> None:
    assert tuple(official._FORMATS) == OFFICIAL


@pytest.mark.parametrize("model", MODELS)
def test_a_search_can_name_each_dataset_and_no_other(model: type) -> None:
    assert model.model_json_schema()["properties"]["name"]["enum"] == list(DATASETS)
    validation = {"source": "train", "fraction": 0.1}
    for name in DATASETS:
        assert model.model_validate({"name": name, "path": "/", "validation": validation})
    with pytest.raises(
        ValidationError, match=r"Input should be 'digits', 'npz'.* or 'imagefolder'"
    ):
        model.model_validate({"name": "mnist", "path": "/", "validation": validation})


def test_official_images_are_known_before_they_are_read() -> None:
    for name in OFFICIAL:
        assert images_of(name) is not None
    assert images_of("imagefolder") is None
    assert images_of("mnist") is None
