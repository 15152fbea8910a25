"""Score-based discovery: time, memory and accuracy on random linear models and on discrete networks.

    python bench/scores.py                           linear Gaussian: 50 and 200 variables, degree 4; 1,000, degree 2
    python bench/scores.py --network alarm.bif       10,000 rows of a discrete network, BDeu
    python bench/scores.py --standardised            every column divided by its standard deviation
    python bench/scores.py --peer xges --seeds 2     a peer instead, where it is installed: xges, ges-package,
                                                     causallearn-boss, causallearn-grasp, causallearn-ges,
                                                     pyagrum (with --network); its import is in the time
    python bench/scores.py --sachs DIR               all methods on the protein data, beside the consensus graph

Times are of the process (CPU of all threads) and by the wall, from a table in memory to the result. Memory is the most
the process held, less what it held after one small graph was learned; every method and case has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

METHODS = (("boss", {}), ("ges", {}), ("ges", {"refine": "turning"}))


def marks_from(adjacency: np.ndarray) -> np.ndarray:
    """Marks from a matrix with i -> j at [i, j], and both for an undirected edge."""
    there = adjacency.astype(bool)
    marks = np.zeros(there.shape, dtype=np.int8)
    marks[there], marks[there & there.T], marks[there.T & ~there] = 2, 3, 3
    return marks


def from_causallearn(graph: np.ndarray) -> np.ndarray:
    """causal-learn writes -1 for a tail and 1 for an arrowhead at the row's node."""
    marks = np.zeros(graph.shape, dtype=np.int8)
    marks[graph.T == 1], marks[graph.T == -1] = 2, 3
    return marks


def peer(name: str, values: np.ndarray, levels: list[int] | None) -> np.ndarray:
    """The marks a peer finds, at its defaults (BDeu where levels are given)."""
    if name == "xges":
        from xges import XGES

        found = XGES()
        found.fit(values, verbose=0)
        return marks_from(np.asarray(found.get_adjacency_matrix()))
    if name == "ges-package":
        import ges

        return marks_from(ges.fit_bic(values)[0])
    if name == "pyagrum":
        import pandas
        import pyagrum

        names = [f"v{i}" for i in range(values.shape[1])]
        learner = pyagrum.BNLearner(pandas.DataFrame(values.astype(int).astype(str), columns=names))
        learner.useScoreBDeu()
        learner.useGreedyHillClimbing()
        network = learner.learnBN()
        dag = np.zeros((len(names), len(names)), dtype=bool)
        for a, b in network.arcs():
            dag[names.index(network.variable(a).name()), names.index(network.variable(b).name())] = True
        return dag.astype(np.int8)
    score = "local_score_BDeu" if levels else "local_score_BIC"
    if name == "causallearn-ges":
        from causallearn.search.ScoreBased.GES import ges as search

        return from_causallearn(search(values, score_func=score)["G"].graph)
    if name == "causallearn-boss":
        from causallearn.search.PermutationBased.BOSS import boss as search
    else:
        from causallearn.search.PermutationBased.GRaSP import grasp as search
    return from_causallearn(search(values, score_func=score, verbose=False).graph)


def learn(path: str, method: str, parameters: dict[str, Any], runs: int) -> dict[str, Any]:
    """One method on one case, in this process. ``marks`` go to a file beside it."""
    import resource

    def held() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    with np.load(path) as data:
        values = data["values"]
        levels = data["levels"].tolist() if "levels" in data else None
    ours = method in ("boss", "ges", "tabu")
    if ours:
        import whence
        from discovery import table_of

        whence.discover({"a": np.arange(20.0) % 7, "b": np.arange(20.0) % 5}, method, **parameters)
    before, wall, cpu, marks = held(), float("inf"), float("inf"), None
    for _ in range(runs):
        table = table_of(values, "continuous" if levels is None else "categorical", levels) if ours else None
        start, used = time.perf_counter(), time.process_time()
        if ours:
            graph = whence.discover(table, method, **parameters).graph
            at = [table.names.index(name) for name in graph.names]  # constant columns are no nodes
            marks = np.zeros((len(table.names),) * 2, dtype=np.int8)
            marks[np.ix_(at, at)] = graph.marks
        else:
            marks = peer(method, values, levels)
        wall, cpu = min(wall, time.perf_counter() - start), min(cpu, time.process_time() - used)
    np.save(path + ".marks.npy", marks)
    return {"wall": wall, "cpu": cpu, "memory": held() - before}


def run(label: str, arrays: dict[str, Any], method: str, parameters: dict[str, Any], runs: int, python: str
        ) -> tuple[float, ...] | None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "case.npz")
        np.savez(path, **arrays)
        command = [python, __file__, "--case", json.dumps([path, method, parameters, runs])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            print(label, method, "took more than 600 s", flush=True)
            return None
        if done.returncode:
            print(label, method, "failed:", done.stderr[-300:], flush=True)
            return None
        out = json.loads(done.stdout.splitlines()[-1])
        found = np.load(path + ".marks.npy")
    from discovery import scores

    if method == "pyagrum":
        from whence.graphs.orient import class_of

        found = class_of(marks_from(found))
    near = scores(found, arrays["true"])
    return out["wall"], out["cpu"], out["memory"], near["F1"], near["SHD"]


def cases(given: argparse.Namespace) -> list[tuple[str, list[dict[str, Any]]]]:
    if not given.network:
        from discovery import gaussian

        out = []
        for nodes, degree in given.sizes:
            sets = []
            for seed in range(given.seeds):
                values, true = gaussian(nodes, degree, 1000, seed)
                if given.standardised:
                    values = (values - values.mean(axis=0)) / values.std(axis=0)
                sets.append({"values": values, "true": true})
            out.append((f"{nodes} variables, degree {degree}", sets))
        return out
    from whence.graphs.formats.bif import read_network
    from whence.graphs.transform import to_cpdag
    from whence.simulate.networks import DiscreteNetwork

    found = read_network(Path(given.network).read_text())
    model = DiscreteNetwork(found.graph, found.parents, found.tables, found.levels)
    names = sorted(found.graph.names)
    order = [found.graph.index[n] for n in names]
    true = to_cpdag(found.graph).marks[np.ix_(order, order)]
    sets = []
    for seed in range(1, given.seeds + 1):
        table = model.sample(10_000, seed)
        sets.append({"values": np.column_stack([table.codes(n) for n in names]), "true": true,
                     "levels": np.array([len(found.levels[n]) for n in names])})
    return [(Path(given.network).stem, sets)]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--network")
    asked.add_argument("--sachs", help="the folder of the protein data; see bench/sachs.py")
    asked.add_argument("--standardised", action="store_true")
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--runs", type=int, default=3)
    asked.add_argument("--sizes", type=json.loads, default=[[50, 4], [200, 4], [1000, 2]])
    asked.add_argument("--peer", help="a peer's name, measured instead of our methods")
    asked.add_argument("--python", default=sys.executable, help="the interpreter that has the peer")
    asked.add_argument("--case", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.case:
        print(json.dumps(learn(*json.loads(given.case))))
        return
    if given.sachs:
        from sachs import table

        table(given.sachs)
        return
    methods = [(given.peer, {})] if given.peer else METHODS
    for label, sets in cases(given):
        for method, parameters in methods:
            rows = [row for arrays in sets
                    if (row := run(label, arrays, method, parameters, 1 if given.peer else given.runs, given.python))]
            if rows:
                wall, cpu, memory, f1, shd = zip(*rows, strict=True)
                print(f"{label}: {' '.join([method, *map(str, parameters.values())])}: {len(rows)} sets, wall "
                      f"{np.mean(wall):.3f} s (most {max(wall):.3f}), CPU {np.mean(cpu):.3f} s (most {max(cpu):.3f}), "
                      f"memory {max(memory):.0f} MB, F1 {np.mean(f1):.3f}, SHD {np.mean(shd):.1f} (most {max(shd)})",
                      flush=True)


if __name__ == "__main__":
    main()
