"""Adam (Kingma and Ba 2015) by torch's fused kernel, without torch's optimizer classes.

Making the first ``torch.optim.Adam`` imports torch's compiler: 1.1 s of a start-up of 1.6 s
(torch 2.15, compiled bytecode, warm), for a search of 11,392 short trainings. The function that
does the work does not need it.
"""

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from blockqnn.contract.training import Optimizer


class Adam:
    """The state of Adam for the parameters of one network.

    Gradients are taken from ``Parameter.grad``; autograd lays them out in memory like the
    parameter, which the fused kernel relies on.
    """

    def __init__(self, network: nn.Module, spec: Optimizer) -> None:
        self._spec = spec
        self._parameters = [parameter for parameter in network.parameters()]
        self._means = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in self._parameters]

    def step(self, learning_rate: float | Tensor) -> None:
        """Move every parameter by its gradient.

        Args:
            learning_rate: a number, or a float32 scalar on a GPU, which a CUDA graph reads anew at
                every launch.
        """
        with torch.no_grad():
            adam(
                list[Tensor](self._parameters),
                [parameter.grad for parameter in self._parameters if parameter.grad is not None],
                self._means,
                self._squares,
                [],
                self._steps,
                fused=True,
                capturable=isinstance(learning_rate, Tensor),
                amsgrad=False,
                beta1=self._spec.beta1,
                beta2=self._spec.beta2,
                lr=learning_rate,
                weight_decay=0.0,
                eps=self._spec.epsilon,
                maximize=False,
            )

    def forget_gradients(self) -> None:
        """Free the memory of the gradients; the next backward pass sets them anew."""
        for parameter in self._parameters:
            parameter.grad = None
