"""Speed of the trainer beside a plain PyTorch loop that trains the same networks alike.

``python -m benchmarks.trainer`` prints a table and writes ``build/benchmarks/trainer.json``;
``QUICK=1`` measures 4 of the 32 blocks once.
"""
