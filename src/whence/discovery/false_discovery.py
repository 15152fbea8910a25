"""Edges with control of the expected share of false ones among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whence.core.result import Remark
from whence.discovery.evidence import named_pairs
from whence.discovery.skeleton import Skeleton

_LEAST = 1e-300  # a level below this is no longer a number for the tests


def benjamini_yekutieli(p_value: np.ndarray, rate: float, hypotheses: int | None = None) -> float:
    """The largest p-value that is rejected at this false discovery rate, or 0 when none is.

    p_value: (k,), those left out of ``hypotheses`` in all (k when None) count as 1. Under any dependence of valid
    p-values the expected share of true hypotheses among the rejected ones is at most ``rate``.

    Source: Benjamini, Y. and Yekutieli, D. (2001). The control of the false discovery rate in multiple testing under
    dependency. Annals of Statistics 29:1165-1188, theorem 1.3.
    """
    m = len(p_value) if hypotheses is None else hypotheses
    if not m or not len(p_value):
        return 0.0
    ordered = np.sort(p_value)
    limit = rate * np.arange(1, len(ordered) + 1) / (m * (1 / np.arange(1, m + 1)).sum())
    passed = np.flatnonzero(ordered <= limit)
    return float(ordered[passed[-1]]) if len(passed) else 0.0


def control_false_edges(
    skeleton: Skeleton, required: np.ndarray, alpha: float, rate: float
) -> tuple[Skeleton, float]:
    """The skeleton with only the edges that hold at a false discovery rate, and the level this amounts to.

    Every pair that tests decide is a hypothesis, "some conditioning set makes them independent"; its p-value is the
    largest over the sets that were tried, and 1 when the pair was separated. That p-value is valid for a pair that
    truly has no edge as soon as one of the sets tried separates it in truth. So the expected share of edges that
    should not be there is at most ``rate`` in any sample in which, for every pair without an edge that the search
    kept joined, a true separating set was among those tried; an edge wrongly removed early can break this, and does
    so with a probability that vanishes as rows grow (the setting of Li and Wang, 2009). Directions are not covered,
    nor edges that could not be tested, which stay.

    Source: Li, J. and Wang, Z. J. (2009). Controlling the false discovery rate of the association/causality structure
    learned with the PC algorithm. Journal of Machine Learning Research 10:475-514; here the correction is made once,
    after the search, so that every set the search tried counts.
    """
    evidence = skeleton.evidence
    tested = ~evidence.by_knowledge & ~np.isnan(evidence.p_value)
    joined = tested & evidence.present
    level = benjamini_yekutieli(evidence.p_value[joined], rate, int(np.count_nonzero(tested)))
    gone = np.flatnonzero(joined & (evidence.p_value > level))
    if not len(gone):
        return skeleton, min(alpha, max(level, _LEAST))
    present = evidence.present.copy()
    present[gone] = False
    adjacent = np.zeros_like(skeleton.adjacent)
    adjacent[np.triu_indices(len(adjacent), 1)] = present
    adjacent |= adjacent.T | required | required.T
    pairs = named_pairs(skeleton.names, gone)
    text = (
        f"{len(gone):,} of {int(np.count_nonzero(joined)):,} edges were taken away so that at most {rate:.3g} of "
        "those that stay are expected to be false."
    )
    about = tuple(sorted({name for pair in pairs for name in pair}))
    remark = Remark("false_edges_controlled", text, about, {"rate": rate, "level": level, "pairs": pairs[:50]})
    kept = replace(skeleton, adjacent=adjacent, evidence=replace(evidence, present=present),
                   remarks=(*skeleton.remarks, remark))
    return kept, min(alpha, max(level, _LEAST))
