"""Separation on 1,000 nodes against networkx, and adjustment verdicts on 200 nodes. Run: python bench/graphs.py"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import networkx as nx
import numpy as np

import whence
from whence.core.rng import generator
from whence.simulate.graphs import random_dag


def timed(call: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    start = time.process_time()
    call()
    return 1000 * (time.process_time() - start)


def separation(nodes: int = 1000, degree: float = 4, queries: int = 200) -> str:
    dag = random_dag(nodes, degree, seed=0)
    other = nx.DiGraph([(a, b) for a, _, b in dag.edges()])
    other.add_nodes_from(dag.names)
    rng = generator(0, "queries")
    whence.separated(dag, dag.names[0], dag.names[1])  # the bit sets of a graph are made once
    ours, theirs = [], []
    for _ in range(queries):
        x, y, *given = (dag.names[i] for i in rng.choice(nodes, 6, replace=False))
        ours.append(timed(lambda x=x, y=y, given=given: whence.separated(dag, x, y, given)))
        theirs.append(timed(lambda x=x, y=y, given=given: nx.is_d_separator(other, {x}, {y}, set(given))))
    return (f"separation, {nodes} nodes, degree {degree:g}: median {statistics.median(ours):.3f} ms, "
            f"networkx {nx.__version__} {statistics.median(theirs):.2f} ms")


def adjustment(nodes: int = 200, degree: float = 6, hidden: float = 0.2, graphs: int = 100) -> str:
    times = []
    for seed in range(graphs):
        dag = random_dag(nodes, degree, seed=seed)
        rng = generator(seed, "roles")
        order = rng.permutation(nodes)
        latents = [dag.names[i] for i in order[2 : 2 + int(hidden * nodes)]]
        x, y = (dag.names[i] for i in order[:2])
        graph = whence.graph(dag, latents=latents)
        whence.separated(graph, x, y)
        times.append(timed(lambda graph=graph, x=x, y=y: whence.identify(graph, x, y)))
    return (f"adjustment verdict and set, {graphs} graphs of {nodes} nodes, degree {degree:g}, {hidden:.0%} hidden: "
            f"median {statistics.median(times):.2f} ms, worst {max(times):.2f} ms")


if __name__ == "__main__":
    print(f"whence {whence.__version__}, NumPy {np.__version__}")
    print(separation())
    print(adjustment())
