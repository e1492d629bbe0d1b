"""Texts for the protocol ``released``: stand-ins of our own, and the released ones if they are beside the checkout."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from muses_eval.pipeline.datasets.dataset import Dataset, dataset_from_rows
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import PINNED, ReleasedTexts, from_json
from muses_eval.storage.objects.dataset_files import read_rows

from tests.shared import GOLDEN, OFFICIAL

STAND_IN = ReleasedTexts(
    instruct_system="{base_prompt}\n\nReply with one object.",
    access_goal_check="\nFirst decide whether you are done.\n",
    meeting_greeting="Good day to all. On which days could we meet?",
    user_instructions="You act as {user_id}.",
    user_identity="This is {user_id}:\nWork: {role}\nPast: {background}\nAim: {goal}",
    user_behaviour="Keep it short.",
)
RELEASED = ReleasedProtocol(STAND_IN)
"""The protocol with the stand-ins."""


def released_cases(name: str, folder: Path = GOLDEN / "fuzz") -> Iterator[dict[str, Any]]:
    """Yields the cases of a file with what the released evaluator sends or gives as a result."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


@cache
def official() -> Dataset:
    return dataset_from_rows("official", read_rows(str(OFFICIAL)))


@cache
def shared_protocol() -> ReleasedProtocol:
    """Returns the protocol with the released texts, which are what the cases have besides the rows' own texts."""
    first = {case["family"]: case for case in released_cases("released_first_prompt")}

    def rest_of_system(family: str) -> str:
        case = first[family]
        prompt = official().by_family[family][case["scenario_id"]].row_prompt
        assert prompt is not None
        text = case["messages"][0]["content"]
        assert text.startswith(prompt.system)
        return str(text[len(prompt.system) :])

    texts = {
        "instruct_system": "{base_prompt}" + rest_of_system("instruct"),
        "access_goal_check": rest_of_system("access").removeprefix("\\n"),
        "meeting_greeting": first["meeting"]["messages"][1]["content"],
        **_user_texts(),
    }
    return ReleasedProtocol(from_json("shared", json.dumps({"texts": texts})))


def _user_texts() -> Mapping[str, str]:
    """Returns the three parts of a simulated user's system message, with placeholders."""
    people = {p for scenario in official().scenarios("access") for p in scenario.principals}
    for case in released_cases("released_user_prompts"):
        system = case["messages"][0]["content"]
        for person in people:
            if all(value in system for value in (person.private_context, person.background, person.role, person.name)):
                parts = _with_placeholders(system, person).split("\n\n")
                for first, second in combinations(range(1, len(parts)), 2):
                    cut = (parts[:first], parts[first:second], parts[second:])
                    named = ("user_instructions", "user_identity", "user_behaviour")
                    found = {name: "\n\n".join(part) for name, part in zip(named, cut, strict=True)}
                    if all(hashlib.sha256(text.encode()).hexdigest() == PINNED[name] for name, text in found.items()):
                        return found
    raise AssertionError("no prompt of a simulated user has the pinned parts")


def _with_placeholders(text: str, person: Principal) -> str:
    for value, placeholder in (
        (person.private_context, "{goal}"),
        (person.background, "{background}"),
        (person.role, "{role}"),
    ):
        text = text.replace(value, placeholder)
    return re.sub(rf"\b{re.escape(person.name)}\b", "{user_id}", text)
