"""The effect of a harness as a LaTeX table: one line per agent, with the differences to its model alone."""

from muses_eval.dashboards.tables.comparison import CORRECTIONS
from muses_eval.dashboards.tables.latex_table import STRUCTURED_NOTE, escape
from muses_eval.dashboards.tables.score_format import difference_text
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import AVERAGE, ColumnComparison
from muses_eval.storage.analysis.harness_effect import HarnessEffect, HarnessReport


def harness_latex(report: HarnessReport) -> str:
    """Returns a table for the package booktabs, one line per agent; significant differences are bold."""
    names = [name for name in (*COLUMNS, AVERAGE) if any(_of(effect, name) for effect in report.effects)]
    lines = [
        " & ".join(
            [
                *(escape(text) for text in (effect.base_model, effect.agent, effect.facts)),
                *(_latex_difference(_of(effect, name), report.settings.alpha) for name in names),
                *(_latex_factor(effect, name) for name in ("cost_usd", "seconds")),
            ]
        )
        for effect in report.effects
    ]
    titles = [*("Avg." if name == AVERAGE else COLUMNS[name].latex for name in names), "Cost", "Time"]
    return "\n".join(
        (
            "% needs \\usepackage{booktabs}",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_caption(report)}}}",
            "\\label{tab:harness}",
            f"\\begin{{tabular}}{{lll{'r' * len(titles)}}}",
            "\\toprule",
            f"Model & Agent & Facts & {' & '.join(titles)} \\\\",
            "\\midrule",
            *(f"{line} \\\\" for line in lines),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        )
    )


def _caption(report: HarnessReport) -> str:
    settings = report.settings
    parts = [
        "Agents minus their models alone: difference $\\pm$ standard error in percentage points, paired by scenario.",
        "Cost and time of an episode are multiples of those of the model alone.",
        f"Run {escape(report.run_id)}, {settings.scoring} scoring, protocol {' and '.join(report.protocols)}.",
        f"Bold: significant at {settings.alpha:g} ({CORRECTIONS[settings.correction]}).",
    ]
    if any(effect.facts == "structured" for effect in report.effects):
        parts.append(STRUCTURED_NOTE)
    return " ".join([*parts, *(f"{escape(line)}." for line in report.missing)])


def _of(effect: HarnessEffect, name: str) -> ColumnComparison | None:
    return next((column for column in effect.columns if column.column == name), None)


def _latex_difference(column: ColumnComparison | None, alpha: float) -> str:
    if column is None:
        return "--"
    mean, _, error = difference_text(column).partition(" ± ")
    shown = f"${mean}$" if column.winner(alpha) is None else f"$\\mathbf{{{mean}}}$"
    return f"{shown} $\\pm$ {error}" if error else shown


def _latex_factor(effect: HarnessEffect, measure: str) -> str:
    usage = effect.total_usage
    factor = None if usage is None else getattr(usage.ratios, measure)
    return "--" if factor is None else f"$\\times${factor:.3g}"
