"""Claims about MAGs and PAGs against every graph with hidden causes over four measured nodes.

A graph with hidden nodes counts by its latent projection: a hidden node matters to separation, descent and
common causes only through the pairs of measured nodes it reaches past hidden nodes, which is what <-> says.
So all 543 DAGs times all 64 sets of <-> stand for every number of hidden nodes with any children.
"""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from tests.reference import mags_by_definition as naive
from tests.reference.graphs_by_definition import all_dags

from whence.graphs.claims import KINDS, SYMMETRIC, claims
from whence.graphs.classes import MAG, PAG

D = 4
NAMES = tuple("abcd")
PAIRS = list(itertools.combinations(range(D), 2))


def projections():
    """directed, bidirected: bool (n, 4, 4)."""
    dags = np.zeros((543, D, D), dtype=bool)
    for at, pairs in enumerate(all_dags(range(D))):
        for x, y in pairs:
            dags[at, x, y] = True
    spouses = np.zeros((2 ** len(PAIRS), D, D), dtype=bool)
    for k, (i, j) in enumerate(PAIRS):
        spouses[:, i, j] = spouses[:, j, i] = np.arange(len(spouses)) >> k & 1
    return np.repeat(dags, len(spouses), axis=0), np.tile(spouses, (len(dags), 1, 1))


def connected(directed, bidirected):
    """bool (n, 2^4, 4, 4): m-connection given each set, by walks over (entered by an arrowhead, node)."""
    n = len(directed)
    below = naive.closure(directed)
    out = np.zeros((n, 2**D, D, D), dtype=bool)
    edges = {(0, 1): directed, (1, 0): directed.transpose(0, 2, 1), (1, 1): bidirected}  # (leaves, arrives) by a head
    for code in range(2**D):
        z = np.array([code >> k & 1 for k in range(D)], dtype=bool)
        opens = (below & z).any(2)
        step = np.zeros((n, 2, D, 2, D), dtype=bool)
        for entered in (0, 1):
            for (leaving, arriving), edge in edges.items():
                passes = opens if entered and leaving else np.broadcast_to(~z, (n, D))
                step[:, entered, :, arriving, :] |= edge & passes[:, :, None]
        reach = naive.closure(step.reshape(n, 2 * D, 2 * D)).reshape(n, 2, D, 2, D)
        out[:, code] = reach[:, 0].any(2) & ~z[:, None] & ~z[None, :]
    return out


def common_causes(directed, bidirected):
    """bool (n, 4, 4): a third node, or a hidden one behind <->, reaches i without j and j without i."""
    out = np.zeros(directed.shape, dtype=bool)
    for i, j in itertools.permutations(range(D), 2):
        around = directed.copy()
        around[:, j] = around[:, :, j] = False
        to_i = naive.closure(around)[:, :, i]
        around = directed.copy()
        around[:, i] = around[:, :, i] = False
        to_j = naive.closure(around)[:, :, j]
        to_i[:, j] = to_j[:, i] = False
        third = [k for k in range(D) if k not in (i, j)]
        out[:, i, j] = (to_i & to_j)[:, third].any(1) | (bidirected & to_i[:, :, None] & to_j[:, None, :]).any((1, 2))
    return out


def verdict(found):
    return "all" if found.all() else "some" if found.any() else "none"


def truths(directed, bidirected, model):
    """Kind -> bool (n, 4, 4); "parent" is read in the MAG: never separated, and a cause."""
    below = naive.closure(directed)
    codes = np.arange(2**D)
    out = {kind: np.zeros(directed.shape, dtype=bool) for kind in KINDS}
    out["common_cause"] = common_causes(directed, bidirected)
    for i, j in itertools.permutations(range(D), 2):
        third = [k for k in range(D) if k not in (i, j)]
        never = model[:, (codes >> i & 1 | codes >> j & 1) == 0, i, j].all(1)
        out["causes"][:, i, j] = below[:, i, j]
        out["parent"][:, i, j] = below[:, i, j] & never
        out["indirect"][:, i, j] = (below[:, i, third] & below[:, third, j]).any(1)
        out["common_effect"][:, i, j] = (below[:, i, third] & below[:, j, third]).any(1)
    return below, out


def check(graph, truth, rows):
    for i, j in PAIRS:
        found = claims(graph, NAMES[i], NAMES[j])
        for kind in KINDS:
            for x, y in [(i, j)] if kind in SYMMETRIC else [(i, j), (j, i)]:
                one = found.of(kind, NAMES[x])
                assert one.verdict == verdict(truth[kind][rows, x, y]), (graph, one)


@pytest.mark.slow
def test_every_pag_and_mag_of_four_nodes_against_all_graphs_with_hidden_causes():
    directed, bidirected = projections()
    model = np.concatenate([connected(directed[k:k + 4000], bidirected[k:k + 4000])
                            for k in range(0, len(directed), 4000)])
    below, truth = truths(directed, bidirected, model)
    keys = [row.tobytes() for row in np.packbits(model.reshape(len(model), -1), axis=1)]
    classes, behind = defaultdict(list), defaultdict(list)
    for at, key in enumerate(keys):
        classes[key].append(at)
        behind[key, below[at].tobytes()].append(at)
    seen = 0
    for members in naive.classes(D, PAIRS, naive.CHOICES):
        kept = members[~((members == 3) & (members.transpose(0, 2, 1) == 3)).any((1, 2))]
        common = naive.common(members)
        if not len(kept) or ((common == 3) & (common.T != 2) & (common != 0)).any():
            continue
        key = naive.mags(kept[:1])[1][0]
        assert key in classes
        seen += 1
        check(PAG(NAMES, common), truth, classes[key])
        above = naive.closure((kept == 2) & (kept.transpose(0, 2, 1) == 3))
        for one, reach in zip(kept[:3], above, strict=False):
            check(MAG(NAMES, one), truth, behind[key, reach.tobytes()])
    assert seen == len(classes)
