"""The network of a block: its wiring, its shapes, what it costs, how it is initialised."""

from random import Random

import pytest
import torch
from agent_spaces import EVERY_LAYER, make_space
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.profiler import profile
from torch.nn import functional

from blockqnn.block.nsc import Block
from blockqnn.errors import InvalidBlock
from blockqnn.network.cost import network_macs, network_parameters
from blockqnn.network.spec import NetworkSpec
from blockqnn_trainer.errors import NetworkInvalid
from blockqnn_trainer.network.block import BlockModule, Convolution, Values
from blockqnn_trainer.network.concatenation import concatenate
from blockqnn_trainer.network.describe import describe
from blockqnn_trainer.network.network import (
    build_network,
    check_batch_size,
    count_macs,
    count_parameters,
    initialise,
)

MULTI_BRANCH = (
    "(1,4,0,0,0)(2,1,1,1,0)(3,1,3,2,0)(4,1,1,1,0)(5,1,5,4,0)(6,6,0,3,5)(7,2,3,1,0)(8,1,1,7,0)"
    "(9,6,0,6,8)(10,7,0,0,0)"
)
SHORTCUT = "(1,4,0,0,0)(2,1,3,1,0)(3,1,3,2,0)(4,5,0,1,3)(5,7,0,0,0)"
SPACE = make_space(12)
OTHERS = make_space(12, layers=EVERY_LAYER)
SPACES = {"PCC": SPACE, "Separate": make_space(12, convolution="Separate"), "others": OTHERS}

torch.set_num_threads(1)


def spec(*filters: int, repeats: int = 1, projection: bool = True) -> NetworkSpec:
    return NetworkSpec(filters=filters, repeats=repeats, output_projection=projection)


def block_module(
    code: str, entering: int = 4, stage: int = 4, projection: bool = False
) -> BlockModule:
    module = BlockModule(Block.parse(code), entering, stage, projection)
    initialise(module, torch.Generator().manual_seed(0))
    return module.eval()


def cell(module: nn.Module, value: Tensor) -> Tensor:
    """A pre-activation cell, written out; batch norm as new does next to nothing in evaluation."""
    convolution = next(part for part in module.modules() if isinstance(part, nn.Conv2d))
    weight = convolution.weight
    out = functional.conv2d(functional.relu(value), weight, padding=weight.shape[2] // 2)
    return out / (1 + 1e-5) ** 0.5


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """As torch.testing has it, without the compiler that it imports: seconds."""
    assert actual.shape == expected.shape
    assert torch.allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_the_multi_branch_exemplar_is_wired_as_figure_2_draws_it() -> None:
    module = block_module(MULTI_BRANCH)
    second, third, fourth, fifth, _, _, eighth, _ = module.operations
    x = torch.randn(2, 4, 6, 6)
    pooled = functional.max_pool2d(x, 3, 1, 1)
    expected = [cell(third, cell(second, x)), cell(fifth, cell(fourth, x)), cell(eighth, pooled)]
    assert module.width == 12
    assert_close(module(x), torch.cat(expected, 1))


def test_the_shortcut_exemplar_is_wired_as_figure_2_draws_it() -> None:
    module = block_module(SHORTCUT)
    x = torch.randn(2, 4, 6, 6)
    assert_close(module(x), x + cell(module.operations[1], cell(module.operations[0], x)))


def test_the_shortcut_exemplar_costs_what_is_counted_by_hand() -> None:
    network = build_network(Block.parse(SHORTCUT), spec(8), (1, 6, 6), 10)
    # stem, two cells of 3x3 convolution and batch norm, classifier
    assert count_parameters(network) == (9 * 8 + 16) + 2 * (9 * 8 * 8 + 16) + (8 * 10 + 10)
    assert count_macs(network, (1, 6, 6)) == 36 * (9 * 8 + 2 * 9 * 8 * 8) + 80


def test_the_multi_branch_exemplar_costs_what_is_counted_by_hand() -> None:
    network = build_network(Block.parse(MULTI_BRANCH), spec(8), (3, 6, 6), 10)
    # Two 1x1 convolutions, then 3x3 and 5x5; pooling and 1x1; three ends of 8 projected to 8.
    weights = 2 * 8 * 8 + 9 * 8 * 8 + 25 * 8 * 8 + 8 * 8 + 24 * 8
    norms = 5 + 1  # five convolutions and the projection
    assert count_parameters(network) == (27 * 8 + 16) + weights + norms * 16 + (8 * 10 + 10)
    assert count_macs(network, (3, 6, 6)) == 36 * (27 * 8 + weights) + 80


@pytest.mark.parametrize("code", [MULTI_BRANCH, SHORTCUT])
def test_the_exemplars_have_the_shapes_of_the_papers_cifar_network(code: str) -> None:
    network_spec = spec(32, 64, 128, repeats=4)
    network = build_network(Block.parse(code), network_spec, (3, 32, 32), 100).eval()
    shapes: list[tuple[int, ...]] = []
    last_blocks = [stage[-1] for stage in network.stages]
    for part in (network.stem, *last_blocks, network.classifier):
        part.register_forward_hook(lambda _part, _inputs, out: shapes.append(tuple(out.shape)))
    with torch.inference_mode():
        network(torch.zeros(2, 3, 32, 32))
    assert shapes == [
        (2, 32, 32, 32),
        (2, 32, 32, 32),
        (2, 64, 16, 16),
        (2, 128, 8, 8),
        (2, 100),
    ]
    assert [len(stage) for stage in network.stages] == [4, 4, 4]


def test_an_add_brings_the_narrower_input_to_the_wider() -> None:
    module = block_module("(1,4,0,0,0)(2,1,3,1,0)(3,6,0,1,2)(4,5,0,1,3)(5,7,0,0,0)")
    convolution, concat, add = module.operations
    x = torch.randn(2, 4, 5, 5)
    wide = torch.cat([x, cell(convolution, x)], 1)
    assert module.width == 8
    assert add.projection.convolution.weight.shape == (8, 4, 1, 1)
    assert not list(concat.parameters())
    assert_close(module(x), wide + cell(add, x))


def test_every_loose_end_is_a_part_of_the_output_even_the_same_one_twice() -> None:
    module = block_module("(1,1,3,0,0)(2,4,0,1,0)(3,2,1,1,0)(4,3,3,1,0)(5,7,0,0,0)")
    x = torch.randn(1, 4, 5, 5)
    first = cell(module.operations[0], x)
    pooled = functional.avg_pool2d(first, 3, 1, 1, count_include_pad=False)
    assert_close(module(x), torch.cat([first, first, pooled], 1))


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
@settings(max_examples=30, deadline=None)
def test_a_concatenation_is_that_of_torch_with_dense_gradients(
    widths: list[int], order: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(sum(widths))
    values = [
        torch.randn(2, width, 3, 4, generator=generator).to(memory_format=order).requires_grad_()
        for width in widths
    ]
    weight = torch.randn(2, sum(widths), 3, 4, generator=generator)
    joint = concatenate(values)
    assert torch.equal(joint, torch.cat(values, dim=1))
    gradients = torch.autograd.grad((joint * weight).sum(), values)
    expected = torch.split(weight, widths, dim=1)
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert torch.equal(gradient, wanted)
        assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_identities_and_pooling_of_kernel_1_cost_nothing() -> None:
    module = block_module("(1,4,0,0,0)(2,2,1,1,0)(3,3,1,2,0)(4,7,0,0,0)")
    x = torch.randn(1, 4, 5, 5)
    assert len(module.operations) == 0
    assert module(x) is x


def test_average_pooling_leaves_an_even_image_even() -> None:
    ones = torch.ones(1, 4, 5, 5)
    assert_close(block_module("(1,3,3,0,0)(2,7,0,0,0)")(ones), ones)


def test_the_output_projection_brings_the_width_back_and_without_it_the_width_grows() -> None:
    code = "(1,1,3,0,0)(2,1,1,1,0)(3,6,0,1,2)(4,7,0,0,0)"
    x = torch.randn(1, 4, 5, 5)
    projected = block_module(code, projection=True)
    convolution = block_module(code)
    assert projected.width == 4
    assert projected(x).shape == x.shape
    assert convolution.width == 8
    grown = build_network(
        Block.parse("(1,4,0,0,0)(2,1,3,1,0)(3,6,0,1,2)(4,7,0,0,0)"),
        spec(3, 5, repeats=2, projection=False),
        (1, 4, 4),
        7,
    )
    # Each block adds the width of its stage to the width that it gets.
    assert [[block.width for block in stage] for stage in grown.stages] == [[6, 9], [14, 19]]
    assert grown.classifier.in_features == 19


def test_a_value_is_rectified_once_for_all_its_readers() -> None:
    values = Values(torch.tensor([-1.0, 2.0]))
    assert values.rectified(0) is values.rectified(0)
    assert values.rectified(0).tolist() == [0, 2]


@pytest.mark.parametrize("cells", SPACES)
@settings(max_examples=200, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.lists(st.integers(1, 6), min_size=1, max_size=2),
    st.integers(1, 2),
    st.booleans(),
    st.tuples(st.integers(1, 3), st.integers(3, 7), st.integers(3, 7)),
)
def test_any_network_has_the_shape_and_the_cost_of_the_closed_form(
    cells: str,
    random: Random,
    filters: list[int],
    repeats: int,
    projection: bool,
    shape: tuple[int, int, int],
) -> None:
    block = SPACES[cells].random_block(random, "TypeFirst")
    # Literal growth doubles widths at each concat, so it is kept to one block.
    network_spec = spec(*filters, repeats=repeats if projection else 1, projection=projection)
    network = build_network(block, network_spec, shape, 5)
    assert network(torch.randn(2, *shape)).shape == (2, 5)
    assert count_parameters(network) == network_parameters(block, network_spec, shape, 5)
    assert count_macs(network, shape) == network_macs(block, network_spec, shape, 5)
    assert network.training


@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize(
    "block",
    [
        Block.parse(MULTI_BRANCH),
        Block.parse(SHORTCUT),
        Block.parse("(1,7,0,0,0)"),
        *(SPACE.random_block(Random(seed), "Flat") for seed in range(5)),
        *(OTHERS.random_block(Random(seed), "TypeFirst") for seed in range(8)),
    ],
    ids=str,
)
def test_torch_counts_the_same_operations(block: Block, projection: bool) -> None:
    shape = (3, 9, 6)
    network = build_network(block, spec(2, 3, projection=projection), shape, 5).eval()
    with torch.no_grad(), profile(with_flops=True) as profiled:
        network(torch.zeros(1, *shape))
    flops = sum(
        event.flops
        for event in profiled.function_events
        if event.name in ("aten::conv2d", "aten::addmm")
    )
    assert count_macs(network, shape) == flops / 2


@pytest.mark.parametrize("cells", SPACES)
@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_every_parameter_has_a_gradient(cells: str, random: Random, projection: bool) -> None:
    block = SPACES[cells].random_block(random, "TypeFirst")
    network = build_network(block, spec(2, 3, projection=projection), (1, 6, 6), 3)
    images, labels = torch.randn(4, 1, 6, 6), torch.tensor([0, 1, 2, 0])
    functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_seed_means_the_same_weights_and_another_seed_others() -> None:
    def weights(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        network = build_network(Block.parse(SHORTCUT), spec(4), (1, 4, 4), 3, generator=generator)
        return torch.cat([parameter.flatten() for parameter in network.parameters()])

    assert weights(1).equal(weights(1))
    assert not weights(1).equal(weights(2))


def test_weights_drawn_again_are_those_of_a_new_network_whatever_the_memory_order() -> None:
    def network(seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        return build_network(Block.parse(SHORTCUT), spec(4), (3, 4, 4), 3, generator=generator)

    again = network(1)
    initialise(again, torch.Generator().manual_seed(2))
    for parameter, other in zip(again.parameters(), network(2).parameters(), strict=True):
        assert parameter.equal(other)


def test_weights_have_the_variance_of_he_and_batch_norm_begins_anew() -> None:
    network = build_network(Block.parse("(1,1,5,0,0)(2,7,0,0,0)"), spec(64), (3, 4, 4), 100)
    network(torch.randn(8, 3, 4, 4))
    initialise(network, torch.Generator().manual_seed(0))
    fan_ins = {"stem.convolution": 27, "stages.0.0.operations.0": 1600, "classifier": 64}
    for prefix, fan_in in fan_ins.items():
        weight = next(
            parameter
            for name, parameter in network.named_parameters()
            if name.startswith(prefix) and name.endswith("weight") and parameter.dim() > 1
        )
        # 5 standard errors of a deviation estimated from so many draws.
        tolerance = 5 / (2 * weight.numel()) ** 0.5
        assert weight.std().item() == pytest.approx((2 / fan_in) ** 0.5, rel=tolerance)
    assert not network.classifier.bias.any()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        assert not norm.running_mean.any()
        assert norm.running_var.eq(1).all()


def test_images_that_cannot_be_halved_often_enough_are_refused() -> None:
    block = Block.parse(SHORTCUT)
    assert build_network(block, spec(1, 1, 1, 1), (1, 8, 9), 2)
    with pytest.raises(NetworkInvalid) as refused:
        build_network(block, spec(1, 1, 1, 1, 1), (1, 9, 8), 2)
    assert str(refused.value) == (
        "network.filters names 5 stages, between which the image is halved, but images of 9x8 "
        "pixels allow only 4; give at most 4 filters."
    )


def test_batches_of_one_image_of_one_pixel_are_refused() -> None:
    check_batch_size(spec(1, 1, 1), (1, 8, 8), 1)
    check_batch_size(spec(1, 1, 1, 1), (1, 8, 8), 2)
    with pytest.raises(NetworkInvalid, match=r"^training\.batchSize is 1 and the 4 stages"):
        check_batch_size(spec(1, 1, 1, 1), (1, 8, 8), 1)


def test_convolutions_have_no_bias() -> None:
    assert [name for name, _ in Convolution(2, 3, 5).named_parameters()] == [
        "convolution.weight",
        "norm.weight",
        "norm.bias",
    ]


def test_describe_shows_layers_stages_and_cost() -> None:
    lines = describe(SHORTCUT, [4, 8], 2, True, (3, 9, 8), 7)
    network_spec = spec(4, 8, repeats=2)
    block = Block.parse(SHORTCUT)
    assert lines == [
        "block 928176639508dd84",
        "  1: identity of the input",
        "  2: convolution 3x3 of layer 1",
        "  3: convolution 3x3 of layer 2",
        "  4: add of layer 1, layer 3",
        "  output: layer 4",
        "network",
        "  stem 9x8: 3 to 4 channels",
        "  stage 1 9x8: 2 blocks, 4 channels out",
        "  stage 2 4x4: 2 blocks, 8 channels out",
        "  linear to 7 classes",
        f"parameters {network_parameters(block, network_spec, (3, 9, 8), 7):,}",
        f"MACs {network_macs(block, network_spec, (3, 9, 8), 7):,} for one image",
    ]


def test_describe_refuses_what_is_no_block_and_what_is_no_number() -> None:
    with pytest.raises(InvalidBlock):
        describe("(1,1,2,0,0)(2,7,0,0,0)", [4], 1, True, (3, 8, 8), 7)
    with pytest.raises(Exception, match="repeats"):
        describe(SHORTCUT, [4], 0, True, (3, 8, 8), 7)
    with pytest.raises(Exception, match="at least 1"):
        describe(SHORTCUT, [4], 1, True, (3, 8, 0), 7)


def test_relu_convolution_and_batch_norm_in_a_row_are_the_cell() -> None:
    single, three = (
        block_module("(1,1,3,0,0)(2,7,0,0,0)"),
        block_module("(1,9,0,0,0)(2,8,3,1,0)(3,10,0,2,0)(4,7,0,0,0)"),
    )
    value = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    three.load_state_dict(dict(zip(three.state_dict(), single.state_dict().values(), strict=True)))
    assert torch.equal(single(value), three(value))
    single.train()
    three.train()
    assert torch.equal(single(value), three(value))


def test_a_separate_layer_is_just_that_layer() -> None:
    value = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    rectified = block_module("(1,9,0,0,0)(2,7,0,0,0)")(value)
    assert torch.equal(rectified, functional.relu(value))
    bare = block_module("(1,8,5,0,0)(2,7,0,0,0)")
    ((_, weight),) = bare.named_parameters()
    assert torch.equal(bare(value), functional.conv2d(value, weight, padding=2))


def test_a_separable_convolution_filters_each_channel_then_mixes_them() -> None:
    module = block_module("(1,11,5,0,0)(2,7,0,0,0)", entering=3, stage=4)
    assert [tuple(parameter.shape) for parameter in module.parameters() if parameter.dim() > 1] == [
        (3, 1, 5, 5),
        (4, 3, 1, 1),
    ]
    filters, mixing = (parameter for parameter in module.parameters() if parameter.dim() > 1)
    x = torch.randn(2, 3, 6, 6)
    each = functional.conv2d(functional.relu(x), filters, padding=2, groups=3)
    assert_close(module(x), functional.conv2d(each, mixing) / (1 + 1e-5) ** 0.5)


def test_a_bottleneck_has_a_quarter_of_the_width_of_its_stage() -> None:
    for stage, width in ((16, 4), (7, 1), (2, 1)):
        module = block_module("(1,12,1,0,0)(2,7,0,0,0)", entering=3, stage=stage)
        x = torch.randn(2, 3, 5, 5)
        assert module.width == width
        assert_close(module(x), cell(module, x))


PREVIOUS = "(1,1,3,0,0)(2,13,0,0,0)(3,5,0,1,2)(4,7,0,0,0)"
"""A convolution of the input, and the previous block's input added to it."""


def test_the_previous_input_skips_a_block_and_is_halved_where_the_image_is() -> None:
    network = build_network(Block.parse(PREVIOUS), spec(4, 8, repeats=2), (1, 8, 8), 3).eval()
    x = torch.randn(2, 1, 8, 8)
    stem = network.stem(x)
    (first, second), (third, fourth) = network.stages

    def step(block: BlockModule, value: Tensor, previous: Tensor) -> Tensor:
        convolution, add = block.operations
        brought = previous if add.projection is None else cell(add, previous)
        return cell(convolution, value) + brought

    first_output = step(first, stem, stem)  # no block before it
    two = step(second, first_output, stem)
    halved = functional.max_pool2d(two, 2)
    three = step(third, halved, functional.max_pool2d(first_output, 2))
    four = step(fourth, three, halved)
    expected = network.classifier(functional.relu(four).mean((2, 3)))
    assert_close(network(x), expected)
    projected = [block.operations[1].projection is not None for block in (second, third, fourth)]
    assert projected == [False, True, True]


def test_only_a_block_that_reads_the_previous_input_is_given_it() -> None:
    stage = build_network(Block.parse(SHORTCUT), spec(4), (1, 4, 4), 3).stages[0]
    reading = build_network(Block.parse(PREVIOUS), spec(4), (1, 4, 4), 3).stages[0]
    x = torch.randn(1, 4, 4, 4)
    assert stage(x, None)[1] is None
    assert reading(x, None)[1] is x


def test_two_layers_of_the_previous_input_are_one_value() -> None:
    block = Block.parse("(1,4,0,0,0)(2,13,0,0,0)(3,13,0,0,0)(4,6,0,2,3)(5,7,0,0,0)")
    module = BlockModule(block, 3, 4, False, 5)
    entering, previous = torch.randn(1, 3, 4, 4), torch.randn(1, 5, 4, 4)
    assert module.width == 3 + 10
    assert_close(module(entering, previous), torch.cat([entering, previous, previous], 1))


def test_describe_names_the_layers_that_the_papers_do_not_have() -> None:
    code = "(1,12,1,0,0)(2,11,3,1,0)(3,13,0,0,0)(4,5,0,2,3)(5,7,0,0,0)"
    assert describe(code, [8], 1, True, (3, 8, 8), 7)[1:6] == [
        "  1: bottleneck 1x1 of the input",
        "  2: separable convolution 3x3 of layer 1",
        "  3: previous input",
        "  4: add of layer 2, layer 3",
        "  output: layer 4",
    ]
