"""From a block to a model: training to convergence, checkpoints, export, reading a model again."""
