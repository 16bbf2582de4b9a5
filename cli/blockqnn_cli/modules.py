"""A block as Python source that builds its network. Pure."""

from blockqnn.nsc import Block
from blockqnn_cli.view import SearchView

_IMAGES = {
    "digits": ((1, 8, 8), 10),
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
}
"""The shape of an image and the number of classes, of the datasets that have always the same."""

_SOURCE = '''"""The best block of the search {key}: trial {trial}, accuracy {accuracy:.2%}.

Written by `kubectl blockqnn best {name} -o python`. It needs the packages blockqnn and torch.
"""

from blockqnn.contract import NetworkSpec
from blockqnn.nsc import Block
from blockqnn_trainer.network import Network, build_network

BLOCK = Block.parse(
{code}
)

NETWORK = NetworkSpec(
    filters={filters},
    repeats={repeats},
    output_projection={output_projection},
)


def build({arguments}) -> Network:
    """Build the network with fresh weights.

    Args:
        input_shape: channels, height and width of an image, in pixels.
        classes: how many classes it tells apart.
    """
    return build_network(BLOCK, NETWORK, input_shape, classes)
'''


def python(search: SearchView) -> str:
    """Return a module that builds the network of a search's best block.

    Raises:
        NothingYet: when the search has not started.
    """
    best, network = search.status["best"], search.network
    images = _IMAGES.get(search.spec.get("dataset", {}).get("name", ""))
    shape, classes = (f" = {images[0]}", f" = {images[1]}") if images else ("", "")
    return _SOURCE.format(
        key=search.key,
        name=search.name,
        trial=best["trial"],
        accuracy=best["accuracy"],
        code="\n".join(f'    "{layer}"' for layer in Block.parse(best["block"])),
        filters=network.filters,
        repeats=network.repeats,
        output_projection=network.output_projection,
        arguments=f"input_shape: tuple[int, int, int]{shape}, classes: int{classes}",
    )
