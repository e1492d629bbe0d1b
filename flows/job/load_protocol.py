"""Loads the protocol of a run; that of the released evaluator needs the texts that ``muses data pull`` stores."""

from pathlib import Path

from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, PINNED, ReleasedTexts, from_json

OFFICIAL = Path("official")
"""Folder of the official files in the documentation, for runs whose dataset is elsewhere."""


def load_protocol(config: RunConfig) -> EpisodeProtocol:
    """Returns the protocol of a run.

    Raises:
        ConfigError: the texts of the released evaluator are not there.
        DatasetError: they cannot be read, or are not the pinned ones.
    """
    return MUSES if config.protocol == "muses" else ReleasedProtocol(_texts(config.dataset.path))


def _texts(dataset: str | None) -> ReleasedTexts:
    for folder in _folders(dataset):
        file = folder / FILE_NAME
        try:
            return from_json(str(file), file.read_text(encoding="utf-8"), PINNED)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(str(file), f"cannot be read: {error}; delete it and pull again") from error
    beside = "" if dataset is None else f"in the folder of the dataset {dataset} and its parents, and "
    raise ConfigError(
        f"protocol: released needs the texts of the released evaluator; looked for {FILE_NAME} {beside}in "
        f"{OFFICIAL.absolute()}; `muses data pull --out {OFFICIAL}` stores it there, or choose protocol: muses"
    )


def _folders(dataset: str | None) -> list[Path]:
    """Returns the folders that may have the texts, in the order of the search."""
    if dataset is None:
        return [OFFICIAL]
    root = Path(dataset).expanduser().absolute()
    return [*([root] if root.is_dir() else []), *root.parents, OFFICIAL]
