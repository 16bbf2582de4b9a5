"""A block as Python source that builds its network. Pure."""

from blockqnn.block.nsc import Block
from blockqnn_cli.view import SearchView

_SOURCE = '''"""The best block of the search {key}: trial {trial}, accuracy {accuracy:.2%}.

Written by `kubectl blockqnn best {name} -o python`. It needs the packages blockqnn and torch.
"""

from blockqnn.contract.trial import NetworkSpec
from blockqnn.block.nsc import Block
from blockqnn_trainer.network.network import Network, build_network

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
    best = search.status["best"]
    block = Block.parse(best["block"])
    network = search.network_for(block)
    images = search.images
    shape, classes = (f" = {images.size}", f" = {images.classes}") if images else ("", "")
    return _SOURCE.format(
        key=search.key,
        name=search.name,
        trial=best["trial"],
        accuracy=best["accuracy"],
        code="\n".join(f'    "{layer}"' for layer in block),
        filters=network.filters,
        repeats=network.repeats,
        output_projection=network.output_projection,
        arguments=f"input_shape: tuple[int, int, int]{shape}, classes: int{classes}",
    )
