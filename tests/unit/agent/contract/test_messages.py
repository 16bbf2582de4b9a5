"""The messages of Jobs as JSON: other versions and other trainers read and write them too."""

import json

import pytest

from blockqnn.contract.finalist import FinalistResult
from blockqnn.contract.message import RESULT_LIMIT, Outcome, ResultMessage
from blockqnn.contract.preparation import PreparationResult
from blockqnn.contract.trial import TrialResult
from blockqnn.errors import InvalidMessage

TRIAL = (
    '{"version":1,"trial":4,"attempt":1,"blockHash":"0123456789abcdef","outcome":"Succeeded",'
    '"reason":"StoppedEarly","message":"","accuracy":0.5,"stoppedAfter":2,"curve":[0.25,0.5],'
    '"parameters":10,"macs":20,"restarts":1,"device":"cpu","seconds":{"start":1.0,"data":2.0,'
    '"build":3.0,"train":4.0,"evaluate":5.0,"total":15.0}}'
)
FINALIST = (
    '{"version":1,"trial":4,"attempt":1,"target":"cifar100","seed":3,'
    '"blockHash":"0123456789abcdef","outcome":"Succeeded","reason":"Completed","message":"",'
    '"accuracy":0.5,"top5Accuracy":0.75,"epoch":2,"epochs":2,"curve":[0.25,0.5],"resumed":1,'
    '"damagedCheckpoints":1,"measuredOn":"train","parameters":10,"macs":20,"processes":2,'
    '"device":"cpu","folder":"a/b","seconds":{"start":1.0,"data":2.0,"build":3.0,"train":4.0,'
    '"evaluate":5.0,"checkpoint":6.0,"export":7.0,"total":28.0,"earlier":9.0}}'
)
PREPARATION = '{"version":1,"prepared":true,"reason":"Prepared","message":"digits: 9 images."}'


@pytest.mark.parametrize(
    ("model", "text"),
    [(TrialResult, TRIAL), (FinalistResult, FINALIST), (PreparationResult, PREPARATION)],
)
def test_a_result_is_written_with_its_fields_in_order(
    model: type[TrialResult | FinalistResult | PreparationResult], text: str
) -> None:
    assert model.read(text).write() == text


@pytest.mark.parametrize(
    ("model", "title", "text"),
    [
        (TrialResult, "The trial result", TRIAL),
        (FinalistResult, "The finalist's result", FINALIST),
    ],
)
class TestResults:
    def test_a_wrong_field_is_named(
        self, model: type[ResultMessage], title: str, text: str
    ) -> None:
        wrong = json.dumps({**json.loads(text), "macs": -1})
        with pytest.raises(InvalidMessage, match=f"^{title} is wrong at macs: Input should be"):
            model.read(wrong)

    def test_one_that_is_too_long_is_refused_in_both_directions(
        self, model: type[ResultMessage], title: str, text: str
    ) -> None:
        with pytest.raises(InvalidMessage, match=f"^{title} is 4000 bytes long; at most 3584 fit"):
            model.read(" " * 4000)
        long = model.read(text).model_copy(update={"message": "x" * RESULT_LIMIT})
        with pytest.raises(InvalidMessage, match=f"^{title} is .* bytes long; at most 3584 fit"):
            long.write()

    def test_an_accuracy_is_there_exactly_when_it_succeeded(
        self, model: type[ResultMessage], title: str, text: str
    ) -> None:
        fields = json.loads(text)
        for change in ({"outcome": Outcome.FAILED}, {"accuracy": None}):
            with pytest.raises(InvalidMessage, match=f"^{title} is wrong: Value error, accuracy"):
                model.read(json.dumps({**fields, **change}))
