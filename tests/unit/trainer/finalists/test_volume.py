"""A finalist's place on its volume: a fault of the volume is one of all finalists, no other is."""

from pathlib import Path

import pytest

from blockqnn.contract.finalist import FinalistSpec
from blockqnn_trainer.errors import VolumeMissing
from blockqnn_trainer.finalists.volume import open_folder


def place(volume: Path) -> FinalistSpec:
    """A finalist of which nothing but its place is known."""
    return FinalistSpec.model_construct(volume=str(volume), folder="search/trial-00003/seed-0")


def test_a_missing_volume_is_missing_for_all(tmp_path: Path) -> None:
    with pytest.raises(VolumeMissing):
        open_folder(place(tmp_path / "absent"))


def test_a_file_in_the_way_of_one_finalist_is_no_fault_of_the_volume(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search/trial-00003").touch()
    with pytest.raises(NotADirectoryError):
        open_folder(place(tmp_path))
