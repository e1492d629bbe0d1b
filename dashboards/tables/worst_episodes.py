"""The episodes with the lowest scores as a text table."""

from collections.abc import Sequence

from muses_eval.dashboards.tables.narrow_table import Narrowing
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.storage.analysis.worst_episodes import WorstEpisode

_ID_CHARS = 12
_NARROWING = Narrowing(drop_first=("turns", "users", "variant", "family"))
_ADVICE = "`muses trace EPISODE` shows one and explains its scores; `muses run CONFIG --scenario SCENARIO` plays one"


def render_worst_episodes(episodes: Sequence[WorstEpisode], screen: Screen = PLAIN) -> str:
    """Returns one line per episode, in the given order."""
    header = ["episode", "model", "family", "scenario", "users", "variant", "turns", "scores", "flags"]
    rows = [
        [
            each.episode_id[:_ID_CHARS],
            each.model,
            each.family,
            each.scenario_id,
            str(each.num_users),
            each.variant,
            str(each.turns),
            ", ".join(f"{metric} {100 * value:.1f}" for metric, value in each.metrics),
            ", ".join(each.flags),
        ]
        for each in episodes
    ]
    return "\n".join((text_table(header, rows, (4, 6), screen, _NARROWING), *screen.remarks([_ADVICE])))
