"""FCI and RFCI with a tenth of the variables hidden: time and accuracy, alone and beside causal-learn.

    python bench/fci.py                 50 variables, 5 of them hidden, degree 4, 1,000 rows, seeds 0 to 4
    python bench/fci.py --peer          also causal-learn's FCI, in the same process, in turns

The truth is the MAG over what is measured (skeleton) and its PAG (marks). Times are CPU seconds, the best of several.
"""

from __future__ import annotations

import argparse
import time
from types import MappingProxyType

import numpy as np

import whence
from whence.data.table import Column, Table
from whence.discovery.discovery import Discovery
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW, CIRCLE, TAIL
from whence.graphs.mag import to_mag
from whence.graphs.pag import to_pag
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian

ALPHA, NODES, HIDDEN, DEGREE, ROWS = 0.01, 50, 5, 4, 1000


def case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the measured variables in name order, and the marks of the true MAG and PAG."""
    dag = random_dag(NODES, DEGREE, seed)
    hidden = {dag.names[k] for k in np.random.default_rng(seed).permutation(NODES)[:HIDDEN]}
    names = sorted(set(dag.names) - hidden)
    values = linear_gaussian(dag, seed).sample(ROWS, seed).matrix(names)
    graph = DAG(dag.names, dag.marks, frozenset(hidden))
    out = [values]
    for true in (to_mag(graph), to_pag(graph)):
        at = [true.index[n] for n in names]
        out.append(true.marks[np.ix_(at, at)])
    return out[0], out[1], out[2]


def ours(values: np.ndarray, method: str, runs: int) -> tuple[float, np.ndarray]:
    """Best CPU seconds and the marks. Every run has a new table: nothing of an earlier one is remembered."""
    best, marks = float("inf"), np.zeros((0, 0))
    for _ in range(runs):
        columns = {f"v{i:03d}": Column(f"v{i:03d}", "continuous", v.copy()) for i, v in enumerate(values.T)}
        table = Table(MappingProxyType(columns), len(values))
        start = time.process_time()
        found = whence.discover(table, method, alpha=ALPHA)
        best = min(best, time.process_time() - start)
        assert isinstance(found, Discovery)
        marks = found.graph.marks
    return best, marks


def peer(values: np.ndarray) -> tuple[float, np.ndarray]:
    """causal-learn's graph has -1 for a tail, 1 for an arrowhead and 2 for a circle at the row's node."""
    import contextlib
    import io

    from causallearn.search.ConstraintBased.FCI import fci

    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        found, _ = fci(values, "fisherz", ALPHA, verbose=False, show_progress=False)
    used = time.process_time() - start
    marks = np.zeros(found.graph.shape, dtype=np.int8)
    turned = found.graph.T
    for code, mark in ((1, ARROW), (-1, TAIL), (2, CIRCLE)):
        marks[turned == code] = mark
    return used, marks


def scores(marks: np.ndarray, mag: np.ndarray, pag: np.ndarray) -> tuple[float, float, float]:
    """F1 of the skeleton, and over common edges the share of right marks and of right arrowheads."""
    both = np.triu((marks != 0) & (mag != 0)).sum()
    f1 = 2 * both / (np.triu(marks != 0).sum() + np.triu(mag != 0).sum())
    common = (marks != 0) & (pag != 0)
    heads = common & (marks == ARROW)
    return float(f1), float((marks == pag)[common].mean()), float((pag == ARROW)[heads].mean())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--peer", action="store_true")
    asked.add_argument("--runs", type=int, default=15)
    asked.add_argument("--methods", default="fci,rfci")
    given = asked.parse_args()
    print(f"whence {whence.__version__}, NumPy {np.__version__}, kernels {whence.kernels.BACKEND}, alpha {ALPHA}")
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(5):
        values, mag, pag = case(seed)
        for method in given.methods.split(","):
            used, marks = ours(values, method, given.runs)
            rows.setdefault(method, []).append((used, *scores(marks, mag, pag)))
        if given.peer:
            used, marks = peer(values)
            rows.setdefault("causal-learn", []).append((used, *scores(marks, mag, pag)))
    for name, seen in rows.items():
        used, f1, right, heads = np.mean(seen, axis=0)
        least, most = min(s[0] for s in seen), max(s[0] for s in seen)
        print(f"{name}: CPU {least:.3f} to {most:.3f} s, mean {used:.3f}; skeleton F1 {f1:.3f}; "
              f"marks right {right:.3f}, arrowheads right {heads:.3f}")


if __name__ == "__main__":
    main()
