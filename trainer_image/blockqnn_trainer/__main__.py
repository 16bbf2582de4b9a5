"""The command ``blockqnn-train``: prepares images, trains, measures, describes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from blockqnn.contract.dataset import DatasetSpec, Validation
from blockqnn.contract.message import describe as describe_error
from blockqnn.errors import BlockQNNError
from blockqnn_trainer.process.exit_status import EXIT_INPUT, EXIT_VERDICT
from blockqnn_trainer.process.job_process import hold_signals, run_process
from blockqnn_trainer.process.machine import thread_count
from blockqnn_trainer.run.trial_process import TrialProcess

_DESCRIPTION = "Trains the network of a block and reports its validation accuracy."
_EPILOG = """\
exit status of run, finalist, load and prepare:
  0      a verdict about the block, Succeeded or Infeasible; images that are
         ready; a model that is as reported
  1      an unexpected error, or missing images of a trial; another attempt
         may help
  2      wrong input; another attempt does not help
  128+n  ended by signal n
"""


def main() -> NoReturn:
    """Run the command line and end the process."""
    options = parse(sys.argv[1:])
    if options.command in ("run", "finalist", "prepare"):
        hold_signals()
    commands = {
        "run": _run,
        "finalist": _finalist,
        "load": load_command,
        "prepare": prepare_command,
        "describe": describe_command,
    }
    status = commands[options.command](options)
    sys.stdout.flush()
    sys.stderr.flush()
    # Taking the interpreter and torch apart again takes time and changes nothing.
    os._exit(status)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; exit with status 2 and a usage line when it is wrong."""
    return parser().parse_args(arguments)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    argument_parser = argparse.ArgumentParser(
        prog="blockqnn-train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = argument_parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the trial that BLOCKQNN_TRIAL specifies")
    run.add_argument("--trial", type=Path, help="a file with the specification, as JSON")
    finalist = commands.add_parser(
        "finalist", help="train the finalist that BLOCKQNN_FINALIST specifies to convergence"
    )
    finalist.add_argument("--spec", type=Path, help="a file with the specification, as JSON")
    load = commands.add_parser("load", help="measure the models of finalists in all their forms")
    load.add_argument(
        "directories",
        type=Path,
        nargs="+",
        metavar="DIRECTORY",
        help="a finalist's directory on the volume",
    )
    load.add_argument("--dataset-path", help="path of the images, if they have moved")
    prepare = commands.add_parser("prepare", help="fetch, verify and decode images for all trials")
    prepare.add_argument("name", help="as dataset.name: cifar10, imagefolder, ...")
    prepare.add_argument("path", help="as dataset.path: the directory of the volume")
    prepare.add_argument("--image-size", type=int, help="as dataset.imageSize, for imagefolder")
    describe = commands.add_parser("describe", help="show the network of a block and what it costs")
    describe.add_argument("block", help="the Network Structure Code: (1,1,3,0,0)(2,7,0,0,0)")
    describe.add_argument("--filters", type=int, nargs="+", default=[32, 64, 128])
    describe.add_argument("--repeats", type=int, default=4, help="blocks in each stage")
    describe.add_argument(
        "--image", type=int, nargs=3, default=[32, 32, 3], metavar=("HEIGHT", "WIDTH", "CHANNELS")
    )
    describe.add_argument("--classes", type=int, default=10)
    describe.add_argument(
        "--output-projection", action=argparse.BooleanOptionalAction, default=True
    )
    return argument_parser


def _run(options: argparse.Namespace) -> int:
    return run_process(TrialProcess(os.environ, options.trial))


def _finalist(options: argparse.Namespace) -> int:
    # Imported here because `run`, of which there are thousands, does without.
    from blockqnn_trainer.finalists.process import FinalistProcess

    return run_process(FinalistProcess(os.environ, options.spec))


def load_command(options: argparse.Namespace) -> int:
    """Measure the models of finalists; return the exit status."""
    # Imported here because it imports torch and an ONNX runtime.
    from blockqnn_trainer.finalists.verify import verify

    status, several = EXIT_VERDICT, len(options.directories) > 1
    for directory in options.directories:
        if several:
            print(f"{directory}:")
        try:
            lines = verify(directory, options.dataset_path, thread_count(os.environ))
        except BlockQNNError as error:
            print(error, file=sys.stderr)
            status = EXIT_INPUT
        else:
            print("\n".join(lines))
    return status


def prepare_command(options: argparse.Namespace) -> int:
    """Prepare a dataset; return the exit status."""
    try:
        dataset = DatasetSpec(
            name=options.name,
            path=options.path,
            image_size=options.image_size,
            # Decides nothing here: all images are prepared.
            validation=Validation(source="train", fraction=0.5),
        )
    except ValidationError as error:
        print(f"The dataset {describe_error(error)}.", file=sys.stderr)
        return EXIT_INPUT
    # Imported here because it imports what decodes images, which `run` does without.
    from blockqnn_trainer.run.prepare_process import run_prepare

    return run_prepare(dataset, os.environ)


def describe_command(options: argparse.Namespace) -> int:
    """Print the network of a block; return the exit status."""
    # Imported here because it imports torch, which `run` does after reading its input.
    from blockqnn_trainer.network.describe import describe

    height, width, channels = options.image
    try:
        lines = describe(
            options.block,
            options.filters,
            options.repeats,
            options.output_projection,
            (channels, height, width),
            options.classes,
        )
    except BlockQNNError as error:
        print(error, file=sys.stderr)
        return EXIT_INPUT
    print("\n".join(lines))
    return EXIT_VERDICT


if __name__ == "__main__":
    main()
