"""The fields of the finalists: the complete trainings of a search's best blocks."""

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from blockqnn.contract.dataset import Validation
from blockqnn.contract.finalist import Checkpoints, FinalistNetwork, FinalistTraining
from blockqnn.model import Model
from blockqnn.network.datasets import DatasetName
from blockqnn_api.free_form import Resources, Volume

MOST_ACCELERATORS = 1024
"""The most accelerators of one Pod."""

MOST_TARGETS = 16
"""Maximum number of targets: the API server checks each against its earlier value."""

Recipe = Literal["cifar", "imagenet"]


class _PartOf:
    """Describes a map that may have any of the fields of a model."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler.resolve_ref_schema(handler(self._model.__pydantic_core_schema__))


PartialNetwork = Annotated[dict[str, Any], _PartOf(FinalistNetwork)]
PartialTraining = Annotated[dict[str, Any], _PartOf(FinalistTraining)]
PartialValidation = Annotated[dict[str, Any], _PartOf(Validation)]

PARTIAL_SECTIONS = frozenset(
    {
        "finalists.network",
        "finalists.training",
        "finalists.validation",
        "finalists.targets[].network",
        "finalists.targets[].training",
        "finalists.targets[].dataset.validation",
    }
)
"""Sections of which any field may be left out; recipes and the search fill them in, so that the
definition has no defaults for them."""

Seeds = Annotated[int, Field(ge=1, le=10)]


class TargetDataset(Model):
    """The images that blocks are transferred to."""

    name: DatasetName
    """Name of the dataset, as in `spec.dataset.name`."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)] = "/data"
    """Directory of the files inside the container, as `spec.dataset.path`."""

    image_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Side in pixels of the square to which the preparation brings images of `imagefolder`. Omit
    it with the recipe `imagenet`: its random scales need the whole image."""

    volume: Volume | None = None
    """The volume that holds the files, as `spec.dataset.volume`: writable for the Job that prepares
    the images, read-only for the finalists."""

    validation: PartialValidation = Field(default_factory=dict)
    """Images that the accuracy is measured on. Default: the test images, if the dataset has
    them; for `digits`, `npz` and `imagefolder`, as in the search."""


class Target(Model):
    """Something that the best finalists are transferred to: other images, or another network.

    The papers' transfers are to the other CIFAR dataset, to wider networks, and to ImageNet
    (CVPR 2018, tables 3 and 5).
    """

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=32)
    ]
    """Name of the target in the status, in labels, and on the volume."""

    count: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of finalists to transfer: those with the highest accuracy on the search's own dataset,
    once all of them are trained. The papers: the best one."""

    seeds: Seeds | None = None
    """Number of trainings of each block, each from another seed. Default: `finalists.seeds`."""

    dataset: TargetDataset | None = None
    """Images of the target. Default: those of the search."""

    recipe: Recipe | None = None
    """Recipe that fills in the fields of `network` and `training` that are omitted. If the recipe
    itself is omitted, it is that of the finalists, with their `network` and `training`."""

    network: PartialNetwork = Field(default_factory=dict)
    """Fields of the network that differ: `repeats: 2` with `filters: [80, 160, 320]` is the papers'
    network with more filters."""

    training: PartialTraining = Field(default_factory=dict)
    """Fields of the training that differ from the recipe."""


class Finalists(Model):
    """The best blocks of the search, trained to convergence.

    Each is a Job of its own, which keeps checkpoints on a volume, resumes from them after it loses
    its Pod, and writes its model there in several forms. Finalists are trained when the search's
    budget is spent. Once set, finalists cannot be removed.
    """

    count: Annotated[int, Field(ge=1, le=1000)] = 10
    """Number of blocks: those with the highest rewards, each of which means another network. The
    papers: 100 (CVPR 2018, section 4.2)."""

    recipe: Recipe = "cifar"
    """Recipe that fills in the omitted fields of `network` and `training`. `cifar`: 300
    epochs as in CVPR 2018, section 4.2. `imagenet`: 90 epochs, random scales, a stem that takes a
    quarter of each side, as in its section 5.3."""

    continuous: bool = False
    """True to train finalists already during the search: those that are among the best at that
    time. One that others overtake later is trained to its end and keeps its result, but cannot
    win."""

    seeds: Seeds = 1
    """Number of trainings of each block, each from another seed; the status shows mean and standard
    deviation."""

    network: PartialNetwork = Field(default_factory=dict)
    """Fields of the network that differ from the search and the recipe. Filters and repeats are
    those of the search unless the recipe names its own."""

    training: PartialTraining = Field(default_factory=dict)
    """Fields of the training that differ from the recipe."""

    validation: PartialValidation = Field(default_factory=dict)
    """Images that the accuracy is measured on. Default: the test images, if the dataset has
    them, so that all others are trained on; for `digits`, `npz` and `imagefolder`, as in the
    search."""

    volume: Volume
    """The volume for checkpoints and models: one volume source of a Pod, such as
    `persistentVolumeClaim: {claimName: models}`. Finalists that run on several nodes at a time need
    one that several nodes may write to."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=512)] = "/finalists"
    """Mount path of the volume in the container."""

    parallelism: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Number of finalists that run at the same time, besides the search's trials. Default:
    `spec.parallelism`."""

    resources: Resources | None = None
    """The resources of the container. Default: `trial.resources`. Several GPUs train one network
    together."""

    accelerators: Annotated[int, Field(ge=0, le=MOST_ACCELERATORS)] | None = None
    """Number of accelerators that a Pod holds, for the metrics. Default: counted, as for
    `trial.accelerators`."""

    timeout: Annotated[str, StringConstraints(min_length=2, max_length=16)] | None = None
    """Maximum run time of a Pod, such as `90m` or `72h`; after it the finalist fails. Default: no
    limit."""

    retries: Annotated[int, Field(ge=0, le=20)] = 6
    """Number of times a finalist whose Pod failed is started again, each time from its last
    checkpoint; the default is that of Kubernetes. Drained, preempted and deleted Pods do not count.
    After that the finalist has failed, and the others go on without it."""

    checkpoints: Checkpoints = Checkpoints()
    """Settings of the checkpoints from which a training can go on."""

    processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """Number of processes that train one network together. Default: one for each GPU, or one
    without GPUs."""

    targets: Annotated[
        tuple[Target, ...],
        Field(
            max_length=MOST_TARGETS,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
    ] = ()
    """Targets that the best finalists are transferred to."""
