"""Trains the network of one block and reports its validation accuracy.

:func:`blockqnn_trainer.network.build_network` builds the network; the command ``blockqnn-train``
(:mod:`blockqnn_trainer.__main__`) runs a trial. Importing this package imports no torch.
"""
