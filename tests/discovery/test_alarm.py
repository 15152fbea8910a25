"""The ALARM network (Beinlich et al. 1989), 10,000 rows: other PC implementations reach a skeleton F1 of .92 to
.955 and a structural Hamming distance of 6 to 15."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from whence.discovery import discrete
from whence.discovery.discovery import discover
from whence.discovery.discrete import DiscreteTests
from whence.discovery.pc import CARD, pc
from whence.graphs.build import graph
from whence.graphs.graph import Graph
from whence.graphs.transform import to_cpdag
from whence.simulate.networks import DiscreteNetwork


def read_bif(path: Path) -> DiscreteNetwork:
    text = path.read_text()
    levels, parents, tables = {}, {}, {}
    for name, values in re.findall(r"variable\s+(\S+)\s*\{\s*type discrete \[[^]]*\]\s*\{([^}]*)\}", text):
        levels[name] = tuple(v.strip() for v in values.split(","))
    family = r"probability\s*\(\s*([^|)\s]+)\s*(?:\|\s*([^)]*))?\)\s*\{(.*?)\n\}"
    for name, above, body in re.findall(family, text, re.S):
        parents[name] = tuple(p.strip() for p in above.split(",")) if above else ()
        table = np.zeros([len(levels[v]) for v in (*parents[name], name)])
        for key, row in re.findall(r"(?:\(([^)]*)\)|table)\s*([^;]*);", body):
            at = tuple(levels[p].index(k.strip()) for p, k in zip(parents[name], key.split(","), strict=False) if key)
            table[at] = [float(v) for v in row.split(",")]
        tables[name] = table / table.sum(axis=-1, keepdims=True)
    edges = [(p, "-->", name) for name in levels for p in parents[name]]
    return DiscreteNetwork(graph([*edges, *levels], kind="DAG"), parents, tables, levels)


def accuracy(found: Graph, true: Graph) -> tuple[float, int]:
    """F1 of the skeleton, and the structural Hamming distance, one count per pair."""
    order = [found.index[n] for n in true.names]
    ours = found.marks[np.ix_(order, order)]
    both = np.triu((ours != 0) & (true.marks != 0)).sum()
    f1 = 2 * both / (np.triu(ours != 0).sum() + np.triu(true.marks != 0).sum())
    return float(f1), int(np.triu((ours != true.marks) | (ours.T != true.marks.T)).sum())


@pytest.mark.parametrize("rule", ["max_p", "majority"])
@pytest.mark.parametrize("test", ["chi2", "g2"])
def test_alarm(cases: Path, test: str, rule: str) -> None:
    """Three sets: on average no worse than the best of the others."""
    network = read_bif(cases / "networks" / "alarm.bif")
    scores = []
    for seed in (1, 2, 3):
        table = network.sample(10_000, seed)
        names = tuple(sorted(table.names))
        tests = DiscreteTests.of(table, names, test)
        assert tests is not None
        learned = pc(tests, names, None, CARD.checked({"colliders": rule}))
        scores.append(accuracy(learned.graph, to_cpdag(network.graph)))
    f1, distance = np.mean(scores, axis=0)
    assert f1 > 0.95
    assert distance < 5.7


def test_threads_do_not_change_the_answer(cases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = read_bif(cases / "networks" / "alarm.bif").sample(2_000, 1)
    answers = []
    for count in (1, 2, 8):
        monkeypatch.setattr(discrete, "threads", lambda count=count: count)
        answers.append(discover(table).to_dict())
    assert answers[0] == answers[1] == answers[2]
