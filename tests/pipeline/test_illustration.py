"""An object that is a condition, a template or an example is told from one that is meant."""

import pytest
from muses_eval.pipeline.text.illustration import is_condition, is_template

MEANT = [
    "{}",
    "Here it is: {}",
    "Here is my decision in the required format:\n```json\n{}\n```",
    "My final answer:\n{}",
    "The CEO outranks the others. {}",
    "If ranks differ, the CEO decides. {}",
    "As the ranks differ, the CEO decides, therefore: {}",
    "I considered whether they agree.\n{}",
    "{}\nLet me know if this works.",
    "{} Everyone has confirmed.",
    "Das Ergebnis: {}",
    "Meine Antwort im gewünschten Format: {}",
    "Voici ma décision : {}",
    "Esta es mi decisión: {}",
    "以下是我的决定：{}",
    "最終的な決定：{}",
]
CONDITIONS = [
    "If Ann confirms, I will send {}",
    "Once everybody agrees I'll announce {}.",
    "Had she been the CEO, I would have answered {}.",
    "{} would have been the answer with other ranks.",
    "{} if Ann confirms",
    "I will not send {} yet.",
    "Instead of {}, I wait.",
    "As soon as Bob replies:\n```json\n{}\n```",
    "I can't say {}",
    "Not {}.",
    "Would you prefer {}?",
    "A less careful agent might answer {}.",
    "Wenn Ann zustimmt, sende ich {}",
    "Sobald alle bestätigen: {}",
    "Wäre sie die Chefin, hätte ich {} geschrieben.",
    "Dès que tout le monde confirme : {}",
    "Si todos confirman, enviaré {}",
    "En cuanto confirmen: {}",
    "Assim que todos confirmarem: {}",
    "Если все согласны, я отправлю {}",
    "如果大家都同意，我会发送{}",
    "もし全員が同意したら{}を送ります",
]
TEMPLATES = [
    "The format is {}",
    "I am to answer with this structure: {}",
    "For example, {}",
    "e.g. {}",
    "A wrong answer: {}",
    "For comparison, the naive decision: {}",
    "A template:\n```json\n{}\n```",
    "Das Format ist {}",
    "Zum Beispiel: {}",
    "Par exemple : {}",
    "El formato es {}",
    "Un esempio: {}",
    "格式如下：{}",
    "例えば {}",
]


def judged(text: str) -> tuple[bool, bool]:
    start = text.index("{")
    return is_condition(text, start, start + 2), is_template(text, start)


@pytest.mark.parametrize("text", MEANT)
def test_meant(text: str) -> None:
    assert judged(text) == (False, False)


@pytest.mark.parametrize("text", CONDITIONS)
def test_conditions(text: str) -> None:
    assert judged(text) == (True, False)


@pytest.mark.parametrize("text", TEMPLATES)
def test_templates(text: str) -> None:
    assert judged(text) == (False, True)
