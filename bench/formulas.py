"""The formulas of ID, whence's and y0's, by value: on random binary models with hidden nodes against the known truth.

Run: python bench/formulas.py [graphs]. y0 must be importable. The truth is the truncated factorisation of the model
with its hidden nodes; a formula is right when it equals that to 1e-9 at every level of every node it mentions.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from y0.algorithm.identify import Identification, Unidentifiable
from y0.algorithm.identify import identify as theirs
from y0.dsl import Fraction, One, Probability, Product, Sum, Variable
from y0.dsl import P as P_of
from y0.graph import NxMixedGraph

import whence
from whence.core.rng import generator
from whence.graphs.transform import latent_projection
from whence.identification.hedge import Hedge
from whence.identification.idc import estimand

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "reference"))
import causal_truth as truth

NAPKIN = ((), (), (0, 1), (2,), (0, 3), (1, 4))  # 0, 1 hidden: 2 -> 3 -> 4 -> 5, 2 <-> 4, 2 <-> 5


def value(e: Any, joint: np.ndarray, names: list[str]) -> np.ndarray:
    """A formula of y0 on a joint, with one axis per name (length 1 where it does not depend on it)."""
    def over(chosen: Any) -> tuple[int, ...]:
        return tuple(names.index(v.name) for v in chosen)

    def margin(keep: tuple[int, ...]) -> np.ndarray:
        return joint.sum(axis=tuple(k for k in range(joint.ndim) if k not in keep), keepdims=True)

    if isinstance(e, Probability):
        children, parents = over(e.children), over(e.parents)
        return margin(children + parents) / margin(parents)
    if isinstance(e, Product):
        out = np.ones((1,) * joint.ndim)
        for factor in e.expressions:
            out = out * value(factor, joint, names)
        return out
    if isinstance(e, Sum):
        whole = value(e.expression, joint, names)
        axes = over(e.ranges)
        shape = [max(whole.shape[k], joint.shape[k]) if k in axes else whole.shape[k] for k in range(joint.ndim)]
        return np.broadcast_to(whole, shape).sum(axis=axes, keepdims=True)
    if isinstance(e, Fraction):
        return value(e.numerator, joint, names) / value(e.denominator, joint, names)
    if isinstance(e, One):
        return np.ones((1,) * joint.ndim)
    raise TypeError(type(e))


def right(found: np.ndarray, tables: list[np.ndarray], x: int, y: int, hidden: int) -> bool:
    """Whether it is P(y | do(x)) at both values of x."""
    nodes = len(tables)
    for level in (0, 1):
        joint = truth.intervened(tables, {x: level})
        true = joint.sum(axis=tuple(k for k in range(nodes) if k != y))
        shape = [1] * (nodes - hidden)
        shape[y - hidden] = 2
        at = found.take([min(level, found.shape[x - hidden] - 1)], axis=x - hidden)
        if not np.abs(at - true.reshape(shape)).max() < 1e-9:
            return False
    return True


def compare(parents: Any, hidden: int, x: int, y: int, rng: np.random.Generator) -> tuple[str, str]:
    """What whence and y0 answer: ``right``, ``wrong``, ``refused`` or the name of an error."""
    nodes = len(parents)
    names = [f"v{k}" for k in range(nodes)]
    text = " ; ".join([*names, *(f"{names[p]} -> {names[v]}" for v in range(nodes) for p in parents[v])])
    graph = latent_projection(whence.graph(f"dag {{ {text} }}", latents=names[:hidden]))
    tables = truth.random_tables(parents, [2] * nodes, rng)
    joint = truth.product(tables).sum(axis=tuple(range(hidden)))
    seen = names[hidden:]
    ours = estimand(graph, names[x], names[y])
    mine = "refused" if isinstance(ours, Hedge) else (
        "right" if right(ours.evaluate(joint, seen), tables, x, y, hidden) else "wrong")
    mixed = NxMixedGraph.from_str_edges(
        nodes=seen, directed=[(a, b) for a, e, b in graph.edges() if e == "-->"],
        undirected=[(a, b) for a, e, b in graph.edges() if e == "<->"])
    try:
        formula = theirs(Identification.from_expression(graph=mixed, query=P_of(Variable(names[y])
                                                                                @ Variable(names[x]))))
    except Unidentifiable:
        return mine, "refused"
    return mine, "right" if right(value(formula, joint, seen), tables, x, y, hidden) else "wrong"


def main(graphs: int) -> None:
    rng = generator(0, "formulas")
    print("napkin (whence, y0):", compare(NAPKIN, 2, 4, 5, rng))
    counts: Counter[tuple[str, str]] = Counter()
    for _ in range(graphs):
        hidden = int(rng.integers(1, 4))
        nodes = hidden + int(rng.integers(4, 7))
        # Hidden nodes come first and have no parents; the others follow one another in order.
        parents = [()] * hidden + [tuple(int(p) for p in range(v) if rng.random() < 0.45) for v in range(hidden, nodes)]
        x, y = sorted(int(v) for v in hidden + rng.choice(nodes - hidden, 2, replace=False))
        counts[compare(tuple(parents), hidden, x, y, rng)] += 1
    print(f"{graphs} random graphs (whence, y0):", dict(counts))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
