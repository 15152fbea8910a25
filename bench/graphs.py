"""Graphs and identification beside networkx, y0 and gadjid, single thread, CPU time, best of three per call.

Run: python bench/graphs.py (a peer that is not installed is skipped and named). Everything is imported and called
once before anything is timed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import whence
from whence.core.rng import generator
from whence.graphs.adjustment_distance import structural_intervention_distance as sid
from whence.graphs.equivalence import class_size
from whence.graphs.graph import Graph
from whence.graphs.svg import to_svg
from whence.graphs.transform import latent_projection, to_cpdag
from whence.identification.frontdoor import frontdoor
from whence.identification.idc import estimand
from whence.identification.instrument import instruments
from whence.simulate.graphs import random_dag

PEERS = ("networkx", "y0", "gadjid")


def best(call: Callable[[], object], repeats: int = 3) -> float:
    """CPU milliseconds of one call, the best of a few."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(1000 * (time.process_time() - start))
    return min(times)


def line(what: str, times: list[float]) -> None:
    ordered = sorted(times)
    print(f"{what}: median {statistics.median(ordered):.3f} ms, 95 % {ordered[int(0.95 * (len(ordered) - 1))]:.3f} ms, "
          f"worst {ordered[-1]:.3f} ms ({len(ordered)} runs)", flush=True)


def versions() -> dict[str, str]:
    found = {}
    for peer in PEERS:
        try:
            importlib.import_module(peer)
            found[peer] = importlib.metadata.version(peer)
        except ImportError:
            print(f"{peer} is not installed: skipped")
    return found


def cases(nodes: int, degree: float, graphs: int, hidden: float = 0.2) -> Iterator[tuple[Graph, str, str]]:
    """Random DAGs with hidden nodes, a treatment and an outcome that it does not follow."""
    for seed in range(graphs):
        dag = random_dag(nodes, degree, seed=seed)
        order = generator(seed, "roles").permutation(nodes)
        x, y = (dag.names[i] for i in order[:2])
        if dag.bits.ancestors[dag.bits.rank[x]] >> dag.bits.rank[y] & 1:
            x, y = y, x
        yield whence.graph(dag, latents=[dag.names[i] for i in order[2 : 2 + int(hidden * nodes)]]), x, y


def separation(peers: dict[str, str], nodes: int = 1000, degree: float = 4, queries: int = 200) -> None:
    dag = random_dag(nodes, degree, seed=0)
    rng = generator(0, "queries")
    whence.separated(dag, dag.names[0], dag.names[1])  # the bit sets of a graph are made once
    asked = [[dag.names[i] for i in rng.choice(nodes, 6, replace=False)] for _ in range(queries)]
    line(f"separation, {nodes} nodes, degree {degree:g}",
         [best(lambda a=a: whence.separated(dag, a[0], a[1], a[2:])) for a in asked])
    if "networkx" in peers:
        import networkx as nx

        other = nx.DiGraph([(a, b) for a, _, b in dag.edges()])
        other.add_nodes_from(dag.names)
        line("  networkx", [best(lambda a=a: nx.is_d_separator(other, {a[0]}, {a[1]}, set(a[2:]))) for a in asked])
        wrong = sum(bool(whence.separated(dag, a[0], a[1], a[2:])) != nx.is_d_separator(other, {a[0]}, {a[1]},
                                                                                       set(a[2:])) for a in asked)
        print(f"  answers that differ: {wrong} of {queries}")


def o_set(nodes: int = 1000, degree: float = 4, queries: int = 50) -> None:
    times = []
    for graph, x, y in cases(nodes, degree, queries, hidden=0.0):
        whence.separated(graph, x, y)
        times.append(best(lambda graph=graph, x=x, y=y: whence.identify(graph, x, y)))
    line(f"O-set, {nodes} nodes, degree {degree:g}", times)


def verdict(nodes: int, degree: float, graphs: int = 100) -> None:
    """identify and the first minimal set; ``strategy="adjustment"`` is the verdict of the criterion alone."""
    for strategy in ("adjustment", "auto"):
        times = []
        for graph, x, y in cases(nodes, degree, graphs):
            def ask(graph: Graph = graph, x: str = x, y: str = y, strategy: str = strategy) -> object:
                found = whence.identify(graph, x, y, strategy=strategy)
                return next(found.minimal_sets(1), None) if found else None
            ask()
            times.append(best(ask))
        line(f"verdict and first minimal set ({strategy}), {nodes} nodes, degree {degree:g}, 20 % hidden", times)


def searches(nodes: int = 100, graphs: int = 30) -> None:
    for degree in (3, 6, 20, 50):
        for what, search in (("front door", frontdoor), ("instruments", instruments), ("ID", estimand)):
            times = []
            for graph, x, y in cases(nodes, degree, graphs):
                search(graph, x, y)
                times.append(best(lambda s=search, graph=graph, x=x, y=y: s(graph, x, y)))
            line(f"{what}, {nodes} nodes, degree {degree}, 20 % hidden", times)


def identification(peers: dict[str, str], nodes: int = 12, degree: float = 3, graphs: int = 20) -> None:
    """The verdict of the ID algorithm beside y0, on graphs small enough for it."""
    if "y0" not in peers:
        return
    from y0.algorithm.identify import Identification, Unidentifiable
    from y0.algorithm.identify import identify as theirs
    from y0.dsl import P, Variable
    from y0.graph import NxMixedGraph

    ours, other, differ = [], [], 0
    for graph, x, y in cases(nodes, degree, graphs):
        projected = latent_projection(graph)
        mixed = NxMixedGraph.from_str_edges(
            nodes=list(projected.names), directed=[(a, b) for a, e, b in projected.edges() if e == "-->"],
            undirected=[(a, b) for a, e, b in projected.edges() if e == "<->"],
        )

        def ask(mixed: Any = mixed, x: str = x, y: str = y) -> bool:
            try:
                theirs(Identification.from_expression(graph=mixed, query=P(Variable(y) @ Variable(x))))
            except Unidentifiable:
                return False
            return True
        differ += ask() != bool(estimand(projected, x, y))
        ours.append(best(lambda g=projected, x=x, y=y: estimand(g, x, y)))
        other.append(best(ask, 1))
    line(f"ID, {nodes} nodes, degree {degree:g}", ours)
    line("  y0", other)
    print(f"  verdicts that differ: {differ} of {graphs}")


def distances(peers: dict[str, str]) -> None:
    for nodes in (50, 200):
        one, two = (random_dag(nodes, 4, seed=seed) for seed in (1, 2))
        line(f"structural intervention distance, {nodes} nodes", [best(lambda one=one, two=two: sid(one, two))])
        if "gadjid" in peers:
            import gadjid

            a, b = ((g.marks == 2).astype(np.int8) for g in (one, two))  # row to column
            line("  gadjid", [best(lambda a=a, b=b: gadjid.sid(b, a, edge_direction="from row to column"))])
            print(f"  gadjid: {gadjid.sid(b, a, edge_direction='from row to column')[1]}, ours: {sid(one, two).wrong}")


def conversions() -> None:
    dag = random_dag(1000, 4, seed=3)
    line("DAG to CPDAG, 1,000 nodes", [best(lambda: to_cpdag(dag))])
    cpdag = to_cpdag(dag)
    line("size of its class", [best(lambda: class_size(cpdag))])
    for nodes in (60, 200):
        graph = random_dag(nodes, 3, seed=4)
        line(f"layered layout and SVG, {nodes} nodes", [best(lambda graph=graph: to_svg(graph))])


if __name__ == "__main__":
    found = versions()
    print(f"whence {whence.__version__}, NumPy {np.__version__}", found)
    separation(found)
    o_set()
    for size in (3, 6, 20):
        verdict(200, size)
    searches()
    conversions()
    identification(found)
    distances(found)
