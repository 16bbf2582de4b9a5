"""The searches behind the papers' figures: each preset as production resolves it, and rivals."""

from benchmarks.reproduction.course import Setup

PRESETS = ("CVPR2018", "AAAI2017")

CONTROL_REWARD = 50.0
"""The reward of every block of a control, in percent: about that of a random block."""

PARAMETERS = 120_000
"""The limit of the searches with limited parameters.

The paper's 10 million are for the network of CIFAR, which has some 80 times the parameters of the
table's (median of 1,500 random blocks); 7 % of long random blocks exceed either limit.
"""

SHORTER = 89
"""The iterations of the shorter search (AAAI 2017, Fig. 3)."""

RANDOM = {"algorithm": "RandomSearch"}
LIMITED = {"constraints": {"maxParameters": PARAMETERS, "maxMacs": None}}


def papers_searches() -> dict[str, Setup]:
    """Return every search that the figures need, by name."""
    setups: dict[str, Setup] = {}
    for preset in PRESETS:
        setups[preset] = Setup.of(preset)
        setups[f"{preset}, random search"] = Setup.of(preset, agent=RANDOM)
        setups[f"{preset}, control"] = Setup.of(preset, control=CONTROL_REWARD)
        setups[f"{preset}, not shaped"] = Setup.of(preset, agent={"shaping": "MetaQNN"})
        setups[f"{preset}, {SHORTER} iterations"] = Setup.of(preset, iterations=SHORTER)
    setups["CVPR2018-L"] = Setup.of("CVPR2018", space=LIMITED)
    setups["CVPR2018-L, random search"] = Setup.of("CVPR2018", space=LIMITED, agent=RANDOM)
    return setups
