"""Means and standard errors of samples, by the macros of ``storage/query/macros/mean_and_standard_error.sql``."""

from collections.abc import Hashable, Sequence
from functools import lru_cache

import duckdb
import numpy as np
import pyarrow as pa
from muses_eval.storage.analysis.mean_estimate import MeanEstimate
from muses_eval.storage.analysis.paired_t_test import Difference, paired_t_test
from muses_eval.storage.query.duckdb_connection import sql_text


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> MeanEstimate:
    """Returns the mean of one sample; *clusters* names each value's cluster."""
    return clustered_means([values], clusters)[0]


def clustered_means(samples: Sequence[Sequence[float]], clusters: Sequence[Hashable]) -> list[MeanEstimate]:
    """Returns the mean of each sample, all with the same clusters."""
    numbers = {cluster: number for number, cluster in enumerate(clusters)}
    columns = {
        "sample": np.repeat(np.arange(len(samples)), len(clusters)),
        "cluster": np.tile([numbers[cluster] for cluster in clusters], len(samples)),
        "value": np.array(samples, dtype=np.float64).ravel(),
    }
    cursor = _connection().cursor()
    cursor.register("observations", pa.table(columns))
    rows = cursor.execute(
        "WITH per_scenario AS ("
        "  SELECT sample, cluster, count(*) AS n, fsum(value) AS total FROM observations GROUP BY ALL)"
        " SELECT clustered_mean(n, total), clustered_se(n, total) FROM per_scenario GROUP BY sample ORDER BY sample"
    ).fetchall()
    return [MeanEstimate(*row) for row in rows]


def paired_difference(first: Sequence[float], second: Sequence[float], clusters: Sequence[Hashable]) -> Difference:
    """Returns the test of first minus second over pairs."""
    estimate = clustered_mean([a - b for a, b in zip(first, second, strict=True)], clusters)
    return paired_t_test(*estimate, len(set(clusters)))


def mean_of_means(estimates: Sequence[MeanEstimate]) -> MeanEstimate:
    """Returns the unweighted mean of independent estimates."""
    columns = [pa.array(values, pa.float64()) for values in zip(*estimates, strict=True)]
    means = pa.table(columns, names=["mean", "se"])
    cursor = _connection().cursor()
    cursor.register("means", means)
    row = cursor.execute("SELECT mean_of_means(mean), mean_of_means_se(se) FROM means").fetchone()
    assert row is not None
    return MeanEstimate(*row)


@lru_cache(1)
def _connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute(sql_text("macros", "mean_and_standard_error"))
    return connection
