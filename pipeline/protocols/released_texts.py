"""The texts of the released evaluator that are not in the official rows, and the digests that identify them.

The wording belongs to the released code (Apache-2.0) and is not part of this repository.  ``muses data pull`` reads it
out of the released files and stores it beside the official rows.  A text is accepted when it has the pinned SHA-256.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType

from muses_eval.pipeline.errors import DatasetError

FILE_NAME = "released_texts.json"
"""Name of the file in the folder of the official files."""

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "instruct_system": "181b0d5c36388f4cf993ad32c2b0928866e8b0f9e22170dd90cec87dd2efba9d",
        "access_goal_check": "7495b33149d8bc906c29ae8c8c1607b1f431596add4d817a799dc78296efcf4c",
        "meeting_greeting": "af251273b763c03c8c004d64324243092c6f4f39582be7abad0b8bac350deb7c",
        "user_instructions": "a87866ee4022414fbd9f0d118536d4d87c8f7788f19bfeb1dfb0b4e4280aa044",
        "user_identity": "b2838d556f9efcdbe195a146e5f2276f1a132b3f52933d240bc0717acb183cbb",
        "user_behaviour": "67ce8ed46d9ce1e1475624a200de713cd1abd1c3844a4b99ee5ab5de11c4b742",
    }
)
"""Name of a text -> SHA-256 of its UTF-8 bytes."""


@dataclass(frozen=True, slots=True)
class ReleasedTexts:
    """The texts; ``{name}`` in a text is a placeholder (:func:`fill`)."""

    instruct_system: str
    """System message of instruct: ``{base_prompt}``, the row's system prompt, and the format of the reply."""
    access_goal_check: str
    """Block at the end of the system message of access, about the end of the conversation."""
    meeting_greeting: str
    """First message of the assistant in meeting."""
    user_instructions: str
    """First part of a simulated user's system message, with ``{user_id}``."""
    user_identity: str
    """Second part, with ``{user_id}``, ``{role}``, ``{background}`` and ``{goal}``; without a background, its line is
    omitted."""
    user_behaviour: str
    """Last part."""


TEXT_NAMES = tuple(field.name for field in fields(ReleasedTexts))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns *text* with the value of each placeholder; other braces stay, and values are not searched."""
    placeholder = re.compile("|".join(re.escape("{" + name + "}") for name in values))
    return placeholder.sub(lambda found: values[found.group()[1:-1]], text)


def to_json(texts: ReleasedTexts, origin: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns the content of the file; *origin* says where the texts come from, and their licence."""
    return json.dumps({**origin, "texts": asdict(texts)}, ensure_ascii=False, indent=1) + "\n"


def from_json(source: str, content: str, pinned: Mapping[str, str] = PINNED) -> ReleasedTexts:
    """Returns the texts in the content of the file *source*.

    Raises:
        DatasetError: the content is malformed, or a text is missing or does not have the pinned SHA-256.
    """
    try:
        texts = json.loads(content)["texts"]
        found = {name: texts[name] for name in TEXT_NAMES}
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(source, f"not a file of `muses data pull`: {error!r}; delete it and pull again") from error
    if changed := [name for name in TEXT_NAMES if digests[name] != pinned[name]]:
        raise DatasetError(
            source, f"{', '.join(changed)}: not the text of the released evaluator; delete the file and pull again"
        )
    return ReleasedTexts(**found)
