"""The floor that the memory sets: bytes that are counted by hand, and the rate of a copy."""

import torch
from benchmarks.trainer.bandwidth import _Counting, copy_rate
from torch.nn import functional


def test_an_operator_reads_its_inputs_and_writes_its_output_once() -> None:
    value = torch.ones(2, 3, 4, 4)
    with _Counting() as counting:
        functional.relu(value)
    assert (counting.separate, counting.fused) == (2 * 4 * 96, 0)


def test_a_convolution_is_counted_forward_and_backward() -> None:
    value, weight = torch.ones(2, 3, 4, 4), torch.ones(5, 3, 1, 1, requires_grad=True)
    gradient = torch.ones(2, 5, 4, 4)
    with _Counting() as counting:
        functional.conv2d(value, weight).backward(gradient)  # type: ignore[no-untyped-call]
    given, weights, result = 4 * 96, 4 * 15, 4 * 160
    # Backward reads all three and writes the gradient of the weights; the input needs none.
    assert counting.separate == (given + weights + result) + (result + given + weights + weights)


def test_what_only_looks_at_a_value_moves_nothing() -> None:
    value = torch.ones(2, 3, 4, 4)
    with _Counting() as counting:
        value.permute(0, 2, 3, 1).detach()
        torch.empty_like(value)
    assert counting.separate == 0


def test_a_change_in_place_is_read_and_written() -> None:
    value, other = torch.ones(10), torch.ones(10)
    with _Counting() as counting:
        value.add_(other)
        torch._foreach_add_([value], [other])
    assert counting.separate == 2 * 3 * 40


def test_a_selection_reads_what_it_takes_and_not_all_there_is() -> None:
    images, chosen = torch.ones(1000, 10, dtype=torch.uint8), torch.arange(4)
    with _Counting() as counting:
        images[chosen]
    assert counting.separate == 2 * 40 + 32


def test_the_rate_of_a_copy_is_that_of_some_memory() -> None:
    assert 1e8 < copy_rate(torch.device("cpu")) < 1e14
