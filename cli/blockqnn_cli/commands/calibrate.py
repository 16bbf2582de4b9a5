"""``calibrate NAME``: whether the reward orders blocks as their complete trainings do."""

import argparse

from blockqnn.errors import InvalidSettings
from blockqnn.learning.calibration import calibrate
from blockqnn.network.spec import NetworkSpec
from blockqnn.settings.search import RewardSettings
from blockqnn_cli import finalists
from blockqnn_cli.command import Command, Context
from blockqnn_cli.commands.finalists import trained
from blockqnn_cli.errors import ExitStatus, NothingYet


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _run(context: Context) -> int:
    search = context.search()
    settings = search.started().settings
    reward = RewardSettings.model_validate(settings["reward"])
    network = NetworkSpec.model_validate(settings["network"])
    blocks = finalists.to_calibrate(search, trained(context, search))
    try:
        judged = calibrate(blocks, reward, network)
    except InvalidSettings as error:
        raise NothingYet(str(error)) from None
    if context.options.output == "json":
        context.write(finalists.calibration_json(judged))
    else:
        weights = (reward.macs_weight, reward.density_weight)
        context.write(finalists.calibration_text(judged, weights))
    return ExitStatus.OK


COMMAND = Command("calibrate", "judge the reward by the finalists", _run, _add_arguments)
