"""Complete settings of a search, by name: what the operator fills in where a user is silent.

A preset is plain data in the names of the BlockSearch resource. Each value says where it comes
from; "CVPR" is Practical Block-wise Neural Network Architecture Generation (2018), "AAAI" is
Practical Network Blocks Design with Q-Learning (2017), "MetaQNN" is Baker et al. (2016).
"""

from collections.abc import Mapping
from typing import Any

from blockqnn.schedule import PAPERS_SCHEDULE

Preset = Mapping[str, Mapping[str, Any]]
"""Values for the sections space, agent, reward, network, training, and dataset's validation."""

_CVPR2018: Preset = {
    "space": {
        "maxLayers": 23,  # CVPR 4.2
    },
    "agent": {
        "algorithm": "QLearning",
        "batchSize": 64,  # CVPR 4.2
        "randomStep": "TypeFirst",  # not said; supported by CVPR appendix B
        "learningRate": 0.01,  # CVPR 4.2
        "discount": 1.0,  # CVPR 4.2
        "duplicates": "Keep",  # not said
        "state": "LastLayer",  # CVPR 3.2
        "shaping": "CVPR2018",  # CVPR 3.2
        "rewardScale": "Percent",  # CVPR 4.2
        "initialValue": 0.0,  # not said; MetaQNN, algorithm 1
        "epsilonSchedule": [stage.model_dump() for stage in PAPERS_SCHEDULE],  # CVPR 4.2, AAAI T. 2
        "replay": {"sampleSize": 64, "updates": 64, "weighting": "Uniform"},  # CVPR 4.2
        "evolution": {"populationSize": 50, "sampleSize": 10},
    },
    "reward": {
        "macsWeight": 1.0,  # CVPR 4.2
        "densityWeight": 8.0,  # CVPR 4.2
    },
    "network": {
        "filters": [32, 64, 128],  # doubled by each pooling: CVPR 3.1; the first is not printed
        "repeats": 4,  # CVPR 5.2
        # Not in the paper, where widths grow without bound: the output of random blocks is twice as
        # wide as the stage at the median, nine times at the ninth decile, and up to 43 times.
        "outputProjection": True,
    },
    "training": {  # all of CVPR 4.2 but the precision
        "epochs": 12,
        "batchSize": 256,
        "precision": "auto",  # the papers' GPUs had float32 alone
        "optimizer": {
            "name": "Adam",
            "learningRate": 0.001,
            "beta1": 0.9,
            "beta2": 0.999,
            "epsilon": 1e-8,
        },
        "schedule": {"factor": 0.2, "every": 5},
        "restarts": {"maximum": 3, "factor": 0.4},
    },
    "dataset": {
        "validation": {"fraction": 0.1},  # MetaQNN holds out 5,000 of CIFAR's 50,000
    },
}

PRESETS: Mapping[str, Preset] = {
    "CVPR2018": _CVPR2018,
}
"""`CVPR2018`: the search of section 4.2, 178 iterations of 64 blocks with the paper's reward."""
