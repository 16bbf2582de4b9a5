"""A kind of Job that the operator does not have: its process measures latency."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from blockqnn.block.nsc import Block
from blockqnn.contract import fields
from blockqnn.contract.message import Message, Outcome, ResultMessage
from blockqnn_trainer.errors import DatasetMissing
from blockqnn_trainer.process.job_process import JobProcess
from blockqnn_trainer.process.progress import Progress
from blockqnn_trainer.process.specification import Source

BLOCK = "(1,1,3,0,0)(2,7,0,0,0)"
SOURCE = Source("LATENCY", "--spec", "The file", "There is no block to measure")


class LatencySpec(Message):
    title: ClassVar[str] = "The specification of the latency"
    block: str


class LatencyResult(ResultMessage):
    title: ClassVar[str] = "The latency"
    reason: str
    message: fields.Sentence = ""
    milliseconds: float | None = None


class LatencyProgress(Progress[LatencyResult]):
    def result(
        self, outcome: fields.TrainedOutcome, reason: str, message: str = "", **success: object
    ) -> LatencyResult:
        return LatencyResult(reason=reason, message=message, **success)

    def details(self) -> dict[str, object]:
        return {}


class LatencyProcess(JobProcess[LatencyProgress]):
    killed = "The measurement was killed."
    worth_retrying = (DatasetMissing,)

    def verdict(self) -> LatencyResult:
        spec = LatencySpec.read(SOURCE.read(self.environment, None))
        Block.parse(spec.block)
        self.progress = LatencyProgress(LatencyResult, "")
        self.note()
        return self.measure(self.progress)

    def measure(self, progress: LatencyProgress) -> LatencyResult:
        return progress.result(Outcome.SUCCEEDED, "Completed", milliseconds=1.5)

    def ended_by(self, name: str) -> str:
        return f"The measurement was ended by {name}."


def variables(message: Path, block: str = BLOCK) -> Mapping[str, str]:
    specification = LatencySpec(block=block).model_dump_json()
    return {"TERMINATION_MESSAGE_PATH": str(message), "LATENCY": specification}
