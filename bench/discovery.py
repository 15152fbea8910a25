"""Constraint-based discovery: time, memory and accuracy, alone and beside causal-learn.

    python bench/discovery.py                       linear Gaussian: 200 and 1,000 variables, and 20 with gaps
    python bench/discovery.py --large               also 5,000 variables
    python bench/discovery.py --network alarm.bif   10,000 rows of a discrete network, G2 and chi-square
    python bench/discovery.py --peer                also causal-learn, in the same process, in turns

Every case runs in a process of its own: peak memory is what the process held at most, less what it held once whence
was imported and one small graph was learned. Times are the best of several runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

import whence
from whence.core.registry import methods
from whence.data.table import Column, Table
from whence.discovery.discovery import Discovery
from whence.graphs.formats.bif import read_network
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.transform import to_cpdag
from whence.simulate.graphs import random_dag
from whence.simulate.linear import linear_gaussian
from whence.simulate.networks import DiscreteNetwork

ALPHA = 0.01


def gaussian(nodes: int, degree: float, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, d) of a random linear model, and the marks of its class; nodes in name order."""
    dag = random_dag(nodes, degree, seed)
    weights = linear_gaussian(dag, seed).weights
    values = np.random.default_rng(seed).standard_normal((nodes, rows))
    waiting = (weights != 0).sum(axis=0)
    ready = list(np.flatnonzero(waiting == 0))
    while ready:
        i = ready.pop()
        for j in np.flatnonzero(weights[i]):
            values[j] += weights[i, j] * values[i]
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    order = np.argsort(dag.names)
    return values[order].T.copy(), to_cpdag(dag).marks[np.ix_(order, order)]


def table_of(values: np.ndarray, kinds: str, levels: list[int] | None = None) -> Table:
    """A new table: nothing of an earlier run is remembered."""
    names = [f"v{i:05d}" for i in range(values.shape[1])]
    columns = {
        n: Column(n, kinds, values[:, i].copy(), None if levels is None else tuple(range(levels[i])))
        for i, n in enumerate(names)
    }
    return Table(MappingProxyType(columns), len(values))


def scores(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """F1 of the skeleton and the structural Hamming distance of the class; one count per pair."""
    both = np.triu((found != 0) & (true != 0)).sum()
    f1 = 2 * both / max(np.triu(found != 0).sum() + np.triu(true != 0).sum(), 1)
    return {"F1": float(f1), "SHD": int(np.triu((found != true) | (found.T != true.T)).sum())}


def best_of(runs: int, call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Least wall and CPU seconds of several calls, and the last answer."""
    wall, cpu, answer = float("inf"), float("inf"), None
    for _ in range(runs):
        start, used = time.perf_counter(), time.process_time()
        answer = call()
        wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - used)
    return wall, cpu, answer


def learn(values: np.ndarray, levels: list[int] | None, test: str) -> np.ndarray:
    table = table_of(values, "continuous" if levels is None else "categorical", levels)
    start, used = time.perf_counter(), time.process_time()
    found = whence.discover(table, alpha=ALPHA, test=test)
    learn.seen = min(learn.seen, (time.perf_counter() - start, time.process_time() - used))  # type: ignore[attr-defined]
    assert isinstance(found, Discovery)
    return found.graph.marks


def peer(values: np.ndarray, test: str) -> np.ndarray:
    """The marks of causal-learn's PC, whose graph has -1 for a tail and 1 for an arrowhead at the row's node."""
    from causallearn.search.ConstraintBased.PC import pc

    graph = pc(values, ALPHA, "fisherz" if test == "auto" else "chisq" if test == "chi2" else "gsq",
               show_progress=False).G.graph
    marks = np.zeros(graph.shape, dtype=np.int8)
    marks[graph.T == 1], marks[graph.T == -1] = ARROW, TAIL
    return marks


def held() -> float:
    """The most memory this process held so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(path: str, test: str, runs: int, with_peer: bool) -> dict[str, Any]:
    """One case, in this process."""
    whence.discover({"a": np.arange(20.0) % 7, "b": np.arange(20.0) % 5})
    before = held()
    with np.load(path) as data:
        values, true = data["values"], data["true"]
        levels = data["levels"].tolist() if "levels" in data else None
    out: dict[str, Any] = {}
    learn.seen = (float("inf"), float("inf"))  # type: ignore[attr-defined]
    _, _, marks = best_of(runs, lambda: learn(values, levels, test))
    out["wall"], out["cpu"] = learn.seen  # type: ignore[attr-defined]
    out |= {"memory": held() - before} | scores(marks, true)
    if with_peer:
        wall, cpu, marks = best_of(1, lambda: peer(values, test))
        learn(values, levels, test)  # in turns, in case the machine was busier during the peer's run
        out["wall"], out["cpu"] = learn.seen  # type: ignore[attr-defined]
        out["peer"] = {"wall": wall, "cpu": cpu} | scores(marks, true)
    return out


def run(name: str, arrays: dict[str, Any], test: str, runs: int, with_peer: bool) -> None:
    """The case in a process of its own, and its line."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "case.npz")
        np.savez(path, **arrays)
        command = [sys.executable, __file__, "--case", json.dumps([path, test, runs, with_peer])]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(name, "failed:", done.stderr[-500:])
        return
    out = json.loads(done.stdout.splitlines()[-1])
    other = out.pop("peer", None)
    line = (f"{name}: wall {out['wall']:.3f} s, CPU {out['cpu']:.3f} s, peak {out['memory']:.0f} MB above import, "
            f"skeleton F1 {out['F1']:.3f}, SHD {out['SHD']}")
    if other:
        line += (f"; causal-learn CPU {other['cpu']:.2f} s (ratio {other['cpu'] / out['cpu']:.0f}), "
                 f"F1 {other['F1']:.3f}, SHD {other['SHD']}")
    print(line, flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--large", action="store_true")
    asked.add_argument("--peer", action="store_true")
    asked.add_argument("--network")
    asked.add_argument("--case", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.case:
        print(json.dumps(measure(*json.loads(given.case))))
        return
    print(f"whence {whence.__version__}, NumPy {np.__version__}, kernels {whence.kernels.BACKEND}, alpha {ALPHA}")
    if given.network:
        network(given.network, given.peer)
        return
    cases = [(200, 4, 15, given.peer), (1000, 2, 5, False)]
    cases += [(5000, 2, 1, False)] if given.large else []
    for nodes, degree, runs, with_peer in cases:
        values, true = gaussian(nodes, degree, 1000, 0)
        run(f"Gaussian, {nodes} variables, degree {degree}, 1,000 rows", {"values": values, "true": true}, "auto", runs,
            with_peer)
    values, true = gaussian(20, 4, 1000, 0)
    values[np.random.default_rng(0).random(values.shape) < 0.2] = np.nan
    run("Gaussian, 20 variables, degree 4, 1,000 rows, 20 % missing", {"values": values, "true": true}, "auto", 15,
        False)


def network(path: str, with_peer: bool) -> None:
    """10,000 rows of a discrete network in BIF, with each test on categories that is registered."""
    found = read_network(Path(path).read_text())
    model = DiscreteNetwork(found.graph, found.parents, found.tables, found.levels)
    names = sorted(found.graph.names)
    order = [found.graph.index[n] for n in names]
    true = to_cpdag(found.graph).marks[np.ix_(order, order)]
    for seed in (1, 2, 3):
        table = model.sample(10_000, seed)
        arrays = {"values": np.column_stack([table.codes(n) for n in names]), "true": true,
                  "levels": np.array([len(found.levels[n]) for n in names])}
        for test in ("chi2", "g2"):
            if any(card.name == test for card in methods("independence_test")):
                run(f"{Path(path).stem}, seed {seed}, {test}", arrays, test, 5, with_peer)


if __name__ == "__main__":
    main()
