"""The exceptions of the trainer.

::

    BlockQNNError
    └── TrainerError
        ├── InvalidInput        stays wrong however often it is tried: exit status 2, Failed
        │   ├── InvalidTrial      settings of the process that cannot be read
        │   ├── NetworkInvalid    a network that these images do not allow
        │   ├── DatasetMissing    images that are not where they should be: of a trial, status 1
        │   ├── DatasetInvalid    images that are there and cannot be used
        │   ├── DatasetTooLarge   images that do not fit into the memory: of a trial, status 1
        │   ├── VolumeUnusable    a volume that cannot be written to, or has no room left
        │   ├── VolumeMissing     a volume that is not where it should be
        │   ├── FolderTaken       a directory in which another finalist was trained
        │   └── ModelInvalid      a finalist's model that is incomplete, damaged or not as reported
        ├── DownloadFailed      images that could not be fetched: exit status 1, try again
        └── Infeasible          the block's own fault: exit status 0, the floor reward
            ├── OutOfMemory       the network does not fit into the memory
            ├── OverConstraint    the network costs more than the search allows
            ├── NotFinite         its loss became infinite or not a number
            └── NeverLearned      no better than chance after every restart

The name of a leaf is the ``reason`` of the result, its text the ``message``: a full sentence.
"""

from blockqnn.errors import BlockQNNError


class TrainerError(BlockQNNError):
    """Any error that ends a trial and that the trainer can name."""

    @property
    def reason(self) -> str:
        """The cause in CamelCase, as the result carries it."""
        return type(self).__name__


class InvalidInput(TrainerError):
    """An input that is wrong however often it is tried."""


class InvalidTrial(InvalidInput):
    """Settings of the process, outside the specification, that cannot be read."""


class NetworkInvalid(InvalidInput):
    """A network specification that the size of the images does not allow."""


class DatasetMissing(InvalidInput):
    """A dataset that is not where it should be."""


class DatasetInvalid(InvalidInput):
    """A dataset that is there and cannot be used."""


class DatasetTooLarge(InvalidInput):
    """Images that do not fit into the memory, whatever the network."""


class VolumeUnusable(InvalidInput):
    """A volume that cannot be written to, or has no room left."""


class VolumeMissing(InvalidInput):
    """A volume that is not where it should be."""


class FolderTaken(InvalidInput):
    """A directory in which another finalist, or the same one with other settings, was trained."""


class ModelInvalid(InvalidInput):
    """A finalist's model that is incomplete, damaged, or not what was reported."""


class DownloadFailed(TrainerError):
    """Images that could not be fetched; another attempt may succeed."""


class Infeasible(TrainerError):
    """A block that cannot be trained; trying again would end the same."""


class OutOfMemory(Infeasible):
    """The network, or what its training keeps, does not fit into the memory."""


class OverConstraint(Infeasible):
    """A network that costs more than the constraints of its search allow."""


class NotFinite(Infeasible):
    """The loss became infinite or not a number."""


class NeverLearned(Infeasible):
    """The first epoch ended no better than chance, at every learning rate that was tried."""
