"""The ALARM network (Beinlich et al. 1989), 10,000 rows: other PC implementations reach a skeleton F1 of .92 to
.955 and a structural Hamming distance of 6 to 15."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from whence.discovery.discovery import discover
from whence.graphs.build import graph
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


def test_alarm(cases: Path) -> None:
    network = read_bif(cases / "networks" / "alarm.bif")
    found = discover(network.sample(10_000, 1)).graph
    true = to_cpdag(network.graph)
    order = [found.index[n] for n in true.names]
    ours = found.marks[np.ix_(order, order)]
    both = np.triu((ours != 0) & (true.marks != 0)).sum()
    f1 = 2 * both / (np.triu(ours != 0).sum() + np.triu(true.marks != 0).sum())
    distance = np.triu((ours != true.marks) | (ours.T != true.marks.T)).sum()
    assert f1 > 0.94
    assert distance <= 8
