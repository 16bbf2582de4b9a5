"""Gain of ``trial.blocksPerJob``: trials a second of one search with 1, 4 and 8 blocks a Job.

``python -m benchmarks.jobs`` runs it on the development cluster, which it starts and ends, and
writes ``build/benchmarks/jobs.json``; ``QUICK=1`` measures 8 trials once.
"""
