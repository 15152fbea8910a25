"""BOSS-FCI: the edges a score finds, thinned by tests, and directions that allow for unmeasured causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from whence.core.card import Card
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.discovery.ancestral_knowledge import Held
from whence.discovery.ancestral_orientation import judged, orient, start
from whence.discovery.boss import CARD as BOSS
from whence.discovery.boss import boss
from whence.discovery.evidence import PairTable, named_pairs, pair_index
from whence.discovery.fci import ALPHA, ASSUMPTIONS, MAX_CONDITIONING, MAX_PATH, RULES, TEST, learned_pag
from whence.discovery.independence import Level, Tests
from whence.discovery.learned import Learned
from whence.discovery.orientation import Triples
from whence.discovery.possible_dsep import remove_links, single_list
from whence.discovery.scored import Scored
from whence.discovery.separations import Separations
from whence.discovery.skeleton import Skeleton, skeleton, upper
from whence.discovery.verified_colliders import collider_marks
from whence.graphs.bits import closure, ones, rows
from whence.graphs.classes import CPDAG, MPDAG
from whence.graphs.graph import ARROW, TAIL
from whence.graphs.knowledge import Knowledge
from whence.graphs.zhang import zhang

CARD = Card(
    name="boss_fci",
    task="discovery",
    title="BOSS-FCI, greedy FCI on the best order",
    summary="FCI that starts from the graph a score finds instead of all pairs. Edges are found more surely than by "
    "tests alone; tests then take away those that only unmeasured causes bring about.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(*ASSUMPTIONS[:3], "The score fits the data: linear Gaussian for numbers, multinomial for categories.",
                 "Whether a row was seen did not depend on what the columns hold."),
    parameters=(ALPHA, MAX_CONDITIONING, TEST, MAX_PATH, *BOSS.parameters),
    output="PAG",
    cost="that of BOSS, and tests for the edges of triangles",
    citations=(
        "Ogarrio, J. M., Spirtes, P. and Ramsey, J. (2016). A hybrid causal search algorithm for latent variable "
        "models. Proceedings of Machine Learning Research 52:368-379.",
        *BOSS.citations,
        RULES,
    ),
    function="whence.discovery.boss_fci:boss_fci",
)


def boss_fci(
    asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int, progress: Progress = SILENT
) -> Learned:
    """Learns a PAG. Ogarrio et al. (2016), with BOSS in the place of their greedy search.

    The class BOSS finds, without knowledge, joins every pair that nothing separates, and some that unmeasured causes
    make it join: those lie in triangles, and tests given neighbours and beyond take them away. A pair that BOSS leaves
    apart is separated by the parents of the later one; the evidence is the test given these, which need not agree.
    Knowledge then fixes ends as in ``fci``. Raises ``WhenceError`` (``contradictory_knowledge``).
    """
    names, tests, alpha, largest = asked.names, asked.tests, parameters["alpha"], parameters["max_conditioning"]
    assert tests is not None
    held = Held.of(names, knowledge)
    found = boss(asked, None, parameters, seed, progress)
    assert isinstance(found.graph, (CPDAG, MPDAG))
    dag = found.graph.member.marks
    thin = _thinned(tests, names, dag, held, alpha, largest, progress)
    state = Separations(thin, held.required)
    known = zhang(start(collider_marks(state), held), lambda i, j: None, selection=False)
    remarks = [*thin.remarks, *remove_links(state, known, tests, alpha, largest, parameters["max_path"], progress)]
    triples = _by_separators(state, judged(state, held, tests, alpha, progress, "max_p"))
    learned = learned_pag(state, triples, orient(state, held, triples, False), "max_p", remarks)
    return replace(learned, details=dict(found.details))


def _thinned(
    tests: Tests, names: tuple[str, ...], dag: np.ndarray, held: Held, alpha: float, largest: int | None,
    progress: Progress,
) -> Skeleton:
    """The edges of the DAG and those required; tests given neighbours may take away others that lie in triangles."""
    required = held.required | held.required.T
    joined = (dag != 0) | required
    beside = (joined.astype(np.int32) @ joined.astype(np.int32)) > 0
    fixed = required | joined & ~beside
    found = skeleton(tests, names, joined, fixed, alpha, largest, progress)
    told = tuple(r for r in found.remarks
                 if r.code != "required_edge_unsupported" or _is_required(names, required, r.about))
    evidence = _with_apart(found, tests, dag, joined, alpha, upper(required))
    alone = np.flatnonzero(upper(~joined) & np.isnan(evidence.p_value))
    return replace(found, evidence=evidence, remarks=(*told, *_by_score_alone(names, alone)))


def _by_score_alone(names: tuple[str, ...], pairs: np.ndarray) -> list[Remark]:
    """A remark on the pairs the score leaves apart where no test could be made."""
    if not len(pairs):
        return []
    named = named_pairs(names, pairs)
    text = (
        f"{len(pairs):,} pairs, such as {named[0][0]} and {named[0][1]}, are apart because the score has no use for an "
        "edge; no test of them could be made, as others determine them or too few rows are left."
    )
    about = tuple(sorted({name for pair in named for name in pair}))
    return [Remark("apart_by_score_alone", text, about, {"pairs": named[:50]})]


def _is_required(names: tuple[str, ...], required: np.ndarray, pair: tuple[str, ...]) -> bool:
    a, b = (names.index(n) for n in pair)
    return bool(required[a, b])


def _with_apart(
    found: Skeleton, tests: Tests, dag: np.ndarray, joined: np.ndarray, alpha: float, by_knowledge: np.ndarray
) -> PairTable:
    """The evidence, with the test of every pair the DAG leaves apart given the parents of the later one."""
    e, d = found.evidence, len(dag)
    p_value, statistic, df = e.p_value.copy(), e.statistic.copy(), np.array(e.df)
    n, size, start_at = np.array(e.n), e.size.copy(), e.start.copy()
    flat, stored = [e.given], len(e.given)
    for x, others, level in _apart(tests, dag, joined, alpha):
        at = np.asarray(pair_index(d, np.minimum(x, others), np.maximum(x, others)))
        p_value[at], statistic[at], df[at], n[at] = level.p_value, level.statistic, level.df, level.n
        width = level.sets.shape[1]
        size[at], start_at[at] = width, stored + width * np.arange(len(at))
        flat.append(level.sets.ravel())
        stored += level.sets.size
    return replace(e, by_knowledge=by_knowledge, p_value=p_value, statistic=statistic, df=df, n=n, size=size,
                   start=start_at, given=np.concatenate(flat))


def _apart(tests: Tests, dag: np.ndarray, joined: np.ndarray, alpha: float) -> list[tuple[int, np.ndarray, Level]]:
    """Per node, the earlier nodes the DAG leaves apart from it, and their tests given its parents."""
    parents = rows((dag == TAIL) & (dag.T == ARROW))
    out = []
    above = [closure(parents, 1 << k) for k in range(len(dag))]
    order = sorted(range(len(dag)), key=lambda k: (above[k].bit_count(), k))
    earlier = 0
    for x in order:
        others = [y for y in ones(earlier) if not joined[x, y]]
        earlier |= 1 << x
        if others:
            given = ones(parents[x])
            pairs = np.array([[min(x, y), max(x, y)] for y in others], dtype=np.int32)
            level = tests.level(single_list(len(dag), x, given), pairs, len(given), alpha)
            sets = np.broadcast_to(np.array(given, dtype=np.int32), (len(others), len(given)))
            out.append((x, np.array(others), replace(level, sets=np.ascontiguousarray(sets))))
    return out


def _by_separators(state: Separations, triples: Triples) -> Triples:
    """Verdicts as the separating sets, and so the score, have them; the tests say how strongly they are held."""
    collider = np.array([not state.separator(a, c) >> b & 1 for a, b, c in triples.nodes.tolist()], dtype=bool)
    never = np.zeros(len(collider), dtype=bool)
    return replace(triples, collider=np.where(triples.forced, triples.collider, collider), ambiguous=never, open=never)
