"""Seeds of an episode.  Each follows from the configuration and the dataset, so a rerun draws the same numbers.

- A generated scenario: the family's name, ``dataset.seed`` of the configuration and the scenario's position
  (``families/*/generate.py``).
- A scripted agent: :func:`agent_seed`, from the episode's id.
- The simulated users of an episode: :class:`UsersSeeds`, the same for every model under test.
- One of these users: :func:`principal_seed`, from the users' seed and the principal's name.
- A request to a model: ``sampling.seed`` of the configuration plus an offset, which is the epoch for an agent and
  :func:`request_seed_offset` for a simulated user.  Without ``sampling.seed`` no seed is sent.
"""

from muses_eval.pipeline.episode.serialization import Template
from muses_eval.pipeline.hashing import PrefixHasher, digest
from muses_eval.pipeline.protocols import ProtocolName, protocol_identity

_MAX_REQUEST_SEED_OFFSET = 2**30
"""Providers accept seeds of 31 or 32 bits."""


def seed_from(*parts: object) -> int:
    """Returns a seed of 63 bits, which fits a signed 64-bit column; equal parts give equal seeds."""
    return _seed(digest(*parts))


def agent_seed(episode_id: str) -> int:
    """Returns the seed of a scripted agent in one episode, which has 60 bits."""
    return int(episode_id[:15], 16)


class UsersSeeds:
    """Seeds of the simulated users in the episodes of one family.

    They do not depend on the model under test, so that all models meet the same users (common random numbers).

    Args:
        family_version: version of the family's rows in the dataset.
        family: name of the family.
        users: identity of the simulated users.
        protocol: protocol of the episodes.
    """

    def __init__(
        self,
        family_version: str | None,
        family: str,
        users: tuple[object, ...],
        protocol: ProtocolName = "muses",
    ) -> None:
        self._hasher = PrefixHasher("users", family_version, family, users, *protocol_identity(protocol))

    def seed(self, scenario_id: str, template: Template, epoch: int) -> int:
        """Returns the users' seed in one episode, which has 63 bits."""
        return _seed(self._hasher.digest(scenario_id, template, epoch))


def principal_seed(users_seed: int, name: str) -> int:
    """Returns the seed of one simulated user in one episode, which has 63 bits."""
    return seed_from(users_seed, name)


def request_seed_offset(seed: int) -> int:
    """Returns what is added to ``sampling.seed`` in the requests of the simulated user with this seed."""
    return seed % _MAX_REQUEST_SEED_OFFSET


def _seed(hex_digits: str) -> int:
    return int(hex_digits[:16], 16) >> 1
