"""Complete settings of a search, by name: the operator's defaults for omitted fields.

A preset is plain data in the names of the BlockSearch resource. Each value names its source;
"CVPR" is Practical Block-wise Neural Network Architecture Generation (2018), "AAAI" is Practical
Network Blocks Design with Q-Learning (2017), "MetaQNN" is Designing Neural Network Architectures
using Reinforcement Learning (Baker et al. 2016), "measured" is docs/benchmarks.md.
"""

from collections.abc import Mapping
from typing import Any, Literal

from blockqnn.block.layer_types import PAPERS
from blockqnn.errors import InvalidSettings
from blockqnn.settings.epsilon_schedule import PAPERS_SCHEDULE

Section = Mapping[str, Any]
Preset = Mapping[str, Section]
"""Values for the sections space, agent, reward, network, training, budget, and dataset's
validation."""

ROUNDS = 20
"""Number of times that Efficient learns during a search; measured: more rounds gain little."""

_CVPR2018: Preset = {
    "space": {
        "maxLayers": 23,  # CVPR 4.2
        # CVPR Fig. 2, as AAAI says; Fig. 4 shows another first layer. Measured, docs/papers.md.
        "startWithIdentity": True,
        "layers": list(PAPERS),  # CVPR, table 1
        "convolution": "PCC",  # CVPR 3.1 and Fig. 9
        # CVPR 5.2: "we do not add any constraints"
        "constraints": {"maxParameters": None, "maxMacs": None},
        "adaptiveRepeats": False,  # CVPR 5.2: a further experiment
    },
    "agent": {
        "algorithm": "QLearning",
        "batchSize": 64,  # CVPR 4.2
        "pipelining": 0,  # CVPR 4.2: 64 blocks are trained, then learned from
        "randomStep": "TypeFirst",  # not said; supported by CVPR appendix B
        "learningRate": 0.01,  # CVPR 4.2
        "discount": 1.0,  # CVPR 4.2
        "duplicates": "Keep",  # not said
        "state": "LastLayer",  # CVPR 3.2
        # CVPR 3.2, where T is the largest index as in table 1 and Fig. 4; measured, docs/papers.md
        "shaping": "CVPR2018MaxIndex",
        "rewardScale": "Percent",  # CVPR 4.2
        "initialization": "FirstTarget",  # not said; measured, docs/papers.md
        "initialValue": 0.0,  # nothing begins there, with FirstTarget
        "epsilonSchedule": [stage.model_dump() for stage in PAPERS_SCHEDULE],  # CVPR 4.2, AAAI T. 2
        # CVPR 4.2: 64 updates after each iteration, each of a sample of 64 blocks, as MetaQNN
        # replays a sample for each network that was trained (docs/papers.md).
        "replay": {"sampleSize": 64 * 64, "updates": 64 * 64, "weighting": "Uniform"},
        # Not in the papers; measured on NAS-Bench-201, from 150 trials on.
        "evolution": {"populationSize": 50, "sampleSize": 10},
        "settings": {},  # Q-learning's are the fields above
        "earlyTermination": None,  # CVPR 4.2: every block is trained for twelve epochs
        "predictor": None,  # TPAMI 2020 only
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
        # MetaQNN holds out 5,000 of CIFAR's 50,000.
        "validation": {"source": "train", "fraction": 0.1},
    },
}

_AAAI2017: Preset = {
    **_CVPR2018,  # what follows is where the earlier paper differs
    "space": {
        "maxLayers": 23,  # AAAI, Network structure code
        "startWithIdentity": True,  # AAAI, Network structure code
        "layers": list(PAPERS),  # AAAI, table 1
        "convolution": "PCC",  # AAAI, Fig. 3
        "constraints": {"maxParameters": None, "maxMacs": None},  # none in the paper
        "adaptiveRepeats": False,  # none in the paper
    },
    "agent": {
        **_CVPR2018["agent"],
        "shaping": "AAAI2017",  # AAAI, equation 2
        "replay": {
            "sampleSize": 64 * 128,  # AAAI, Training details: 64 updates of 128 blocks each
            "updates": 64 * 128,  # as CVPR2018
            "weighting": "Uniform",  # AAAI, Training details
        },
    },
    "reward": {
        "macsWeight": 0.5,  # AAAI, Early stop strategy
        "densityWeight": 0.5,  # AAAI, Early stop strategy
    },
}

_ANY_FIRST_LAYER: Section = {**_CVPR2018["space"], "startWithIdentity": False}

_METAQNN: Preset = {
    **_CVPR2018,
    "space": _ANY_FIRST_LAYER,  # MetaQNN has no identity to start with
    "agent": {
        **_CVPR2018["agent"],
        "batchSize": 10,  # MetaQNN learns after each network; ten fit all stages of its schedule
        "learningRate": 0.01,  # MetaQNN 4.2
        "discount": 1.0,  # MetaQNN 4.2
        "shaping": "MetaQNN",  # MetaQNN 4: no reward before the end
        "initialization": "Constant",  # MetaQNN, algorithm 1
        "initialValue": 50.0,  # one half, by MetaQNN's program; its algorithm 1 says 0
        # MetaQNN, table 2: 1,500 networks at 1.0, 100 each at 0.9 to 0.7, 150 each below.
        "epsilonSchedule": [
            {"epsilon": 1.0, "iterations": 150},
            *({"epsilon": epsilon, "iterations": 10} for epsilon in (0.9, 0.8, 0.7)),
            *({"epsilon": e, "iterations": 15} for e in (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)),
        ],
        # MetaQNN, algorithm 1: 100 networks are replayed after each one that is trained.
        "replay": {"sampleSize": 1000, "updates": 1000, "weighting": "Uniform"},
    },
    "reward": {
        "macsWeight": 0.0,  # MetaQNN: the reward is the validation accuracy
        "densityWeight": 0.0,  # the same
    },
    "training": {
        **_CVPR2018["training"],
        "epochs": 20,  # MetaQNN 4.3
        "batchSize": 128,  # MetaQNN 4.3
        "restarts": {"maximum": 5, "factor": 0.4},  # MetaQNN 4.3
    },
}

_EFFICIENT: Preset = {
    **_CVPR2018,
    "space": _ANY_FIRST_LAYER,  # measured so
    "budget": {"trials": 512},  # between 64 and 2,000, what this preset is for
    "agent": {
        "algorithm": "QLearning",
        "batchSize": 25,  # a twentieth of the budget, at most 64: see `preset_for`
        "pipelining": 0,  # as CVPR2018
        "randomStep": "TypeFirst",  # as CVPR2018
        "learningRate": 0.3,  # measured: better than 0.1 and 0.5 on CIFAR-10 and ImageNet16
        "discount": 1.0,  # CVPR 4.2
        "duplicates": "Redraw",  # measured
        "state": "BackOff",  # measured
        "shaping": "Learned",  # measured
        "rewardScale": "Rank",  # measured
        "initialization": "Constant",  # BackOff has no other
        "initialValue": 0.0,  # measured: optimism did not help
        # Measured: 1 for 15 % of the budget, then evenly from 0.5 down to 0.05; the end points
        # hardly matter.
        "epsilonSchedule": [
            {"epsilon": 1.0, "iterations": 3},
            *(
                {"epsilon": round(0.5 - 0.45 * (number - 3) / 17, 4), "iterations": 1}
                for number in range(3, ROUNDS)
            ),
        ],
        "replay": {"sampleSize": 512, "updates": 512, "weighting": "Rank"},  # measured
        "evolution": {"populationSize": 50, "sampleSize": 10},  # as CVPR2018
        "settings": {},  # as CVPR2018
        "earlyTermination": None,  # as CVPR2018
        # TPAMI 2020: predicted accuracies in place of most trainings. The numbers: measured on
        # NAS-Bench-201.
        "predictor": {
            "candidates": 10,
            "mutated": 0.5,
            "optimism": 3.0,
            "keepRandom": 0.0,
            "warmup": 76,  # 15 % of the budget, at most 128: see `preset_for`
        },
    },
    # The bare accuracy: measured to find the better blocks by accuracy. The papers' presets keep
    # the papers' weights.
    "reward": {"macsWeight": 0.0, "densityWeight": 0.0},
}

_ONE_GPU: Preset = {
    **_EFFICIENT,
    # TPAMI 2020: one GPU in 20 hours. 100 trials an hour keep the budget in balance with that; a
    # GPU that is slower ends the search by its hours, a faster one by its trials.
    "budget": {"trials": 2000, "gpuHours": 20.0},
    "agent": {
        **_EFFICIENT["agent"],
        "batchSize": 64,  # as Efficient, of 2,000 trials
        "predictor": {**_EFFICIENT["agent"]["predictor"], "warmup": 128},  # the same
        "earlyTermination": {  # our choice: careful enough to lose hardly any of the best
            "share": 0.01,
            "deviations": 2.5,
            "epochs": [4, 5, 6, 7, 8],  # of twelve; of others the operator takes the same shares
            "warmup": 50,
        },
    },
}

PRESETS: Mapping[str, Preset] = {
    "AAAI2017": _AAAI2017,
    "CVPR2018": _CVPR2018,
    "Efficient": _EFFICIENT,
    "MetaQNN": _METAQNN,
    "OneGPU": _ONE_GPU,
}

PURPOSES: Mapping[str, str] = {
    "AAAI2017": "for repeating the search of the preprint: 11,392 trials",
    "CVPR2018": "for repeating the search of the CVPR paper: 11,392 trials",
    "Efficient": "for finding a good block on your own data in 64 to 2,000 trials",
    "MetaQNN": "for comparing with how Baker et al. learn and train: 2,700 trials",
    "OneGPU": "for 20 hours on one GPU: Efficient, with trainings that stop themselves",
}
"""Purpose of each preset, as the end of a sentence."""

DEFAULT_PRESET: Literal["Efficient"] = "Efficient"
"""The preset of a search that names none."""

BY_BUDGET = ("Efficient", "OneGPU")
"""The presets for a given budget, as opposed to a paper's experiment."""


def preset_for(name: str, trials: int | None = None) -> dict[str, Any]:
    """Return a preset, adapted to a budget.

    The batch size of Efficient and OneGPU is a twentieth of the budget, from 1 to 64, and the
    population of evolution a third of it, from 10 to 50 (both measured on NAS-Bench-201). Their
    predictor is used after 15 % of it (:func:`predictor_warmup`).

    Args:
        name: the name of the preset.
        trials: the budget; None uses the preset's own.

    Raises:
        InvalidSettings: when there is no such preset, or the budget is less than 1.
    """
    if name not in PRESETS:
        raise InvalidSettings(
            f"There is no preset {name!r}; the presets are {', '.join(sorted(PRESETS))}."
        )
    if trials is not None and trials < 1:
        raise InvalidSettings(f"A budget of {trials} trials is empty; give at least 1.")
    preset = {section: dict(values) for section, values in PRESETS[name].items()}
    if trials is None:
        return preset
    agent = preset["agent"]
    population = min(50, max(10, trials // 3))
    agent["evolution"] = {**agent["evolution"], "populationSize": population}
    if name in BY_BUDGET:
        agent["batchSize"] = min(64, max(1, trials // ROUNDS))
        agent["predictor"] = {**agent["predictor"], "warmup": predictor_warmup(trials)}
        preset["budget"]["trials"] = trials
    return preset


def predictor_warmup(trials: int) -> int:
    """Return the number of trials of a budget before a predictor is used: 15 %, at most 128."""
    return min(128, trials * 15 // 100)
