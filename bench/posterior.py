"""Time and memory of the exact posterior over DAGs, exact search and partition MCMC: ``python bench/posterior.py``.

Linear Gaussian data from Erdos-Renyi DAGs of degree 3, 500 rows. causal-learn's A* runs beside ours where installed.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import whence
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian


def data(d: int) -> whence.Table:
    return linear_gaussian(random_dag(d, 3.0, seed=7), seed=7).sample(500, seed=7)


def spent(call: Callable[[], Any], runs: int) -> float:
    """Seconds of CPU of the best run."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for d in (7, 10, 12, 15, 18, 20):
        table = data(d)
        seconds = spent(lambda table=table: whence.posterior(table), 3 if d < 18 else 1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        print(f"posterior, {d} columns: {seconds:.4f} s of CPU, {peak:.0f} MB above the start")
    table = data(12)
    for search in ("dp", "astar"):
        seconds = spent(lambda search=search: whence.discover(table, "exact", search=search), 3)
        print(f"exact search by {search}, 12 columns: {seconds:.3f} s")
    seconds = spent(lambda: whence.discover(table, "partition_mcmc"), 1)
    print(f"partition MCMC, 12 columns, 4 chains of 4,000 steps: {seconds:.2f} s")
    try:
        from causallearn.search.ScoreBased.ExactSearch import bic_exact_search
    except ImportError:
        return
    print(f"causal-learn A*, 12 columns: {spent(lambda: bic_exact_search(table.matrix(table.names)), 1):.2f} s")


if __name__ == "__main__":
    main()
