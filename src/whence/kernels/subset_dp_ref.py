"""Scores of families, the best graph and sums over graphs in NumPy: the reference of ``cpp/families.cpp`` and
``cpp/dag_sums.cpp``, which say what is computed.

A set of variables is a bit mask. The sets that lack y are numbered 0 .. 2^(d-1) - 1: bits above y move down by one.
Numbers of any size are a mantissa times a power of two, for a posterior spans more than a float holds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

ZERO = -(1 << 25)
_SMALL = 1e-24


def packed(sets: Any, y: int) -> Any:
    """The numbers of sets that lack y."""
    low = (1 << y) - 1
    return (sets & low) | ((sets >> 1) & ~low)


def unpacked(numbers: Any, y: int) -> Any:
    """The inverse of ``packed``."""
    low = (1 << y) - 1
    return (numbers & low) | ((numbers & ~low) << 1)


def subsets(of: int) -> np.ndarray:
    """int64: all subsets of a set, ascending."""
    out = np.zeros(1, dtype=np.int64)
    while of:
        out = np.concatenate([out, out | (of & -of)])
        of &= of - 1
    return out


def members(of: int) -> list[int]:
    """The bits that are set."""
    return [v for v in range(of.bit_length()) if of >> v & 1]


def family_scores(score: Any, may: np.ndarray, required: np.ndarray, most: int, threads: int, out: np.ndarray) -> None:
    """out[y, set]: local scores; minus infinity for sets that are not allowed."""
    weigh = 1 << np.arange(len(may))
    for y in range(len(may)):
        allowed, held = int(weigh[may[y] > 0].sum()), int(weigh[required[y] > 0].sum())
        for number in range(out.shape[1]):
            of = int(unpacked(number, y))
            fits = not of & ~allowed and not held & ~of and of.bit_count() <= most
            out[y, number] = score.local(y, np.array(members(of), dtype=np.int32)) if fits else -math.inf


def best_graph(scores: np.ndarray, threads: int, parents: np.ndarray) -> float:
    """The score of the best graph, and its parents as masks."""
    d, half = scores.shape
    best, numbers = scores.copy(), np.arange(half)
    for b in range(d - 1):
        with_b = numbers >> b & 1 > 0
        best[:, with_b] = np.maximum(best[:, with_b], best[:, ~with_b])
    total, sink = np.full(2 * half, -math.inf), np.zeros(2 * half, dtype=np.int64)
    total[0] = 0.0
    for s in range(1, 2 * half):
        for y in members(s):
            rest = s & ~(1 << y)
            value = total[rest] + best[y, packed(rest, y)]
            if value > total[s]:
                total[s], sink[s] = value, y
    s = 2 * half - 1
    while s and np.isfinite(total[-1]):
        y = int(sink[s])
        s &= ~(1 << y)
        within = int(packed(s, y))
        equal = [int(p) for p in subsets(within) if scores[y, p] == best[y, within]]
        parents[y] = unpacked(min(equal, key=lambda p: (p.bit_count(), p)), y)
    return float(total[-1])


def family_sums(scores: np.ndarray, threads: int, mantissa: np.ndarray, exponent: np.ndarray) -> None:
    """mantissa[y, U] 2^exponent[y, U]: the sum of exp(scores[y, P]) over P within U."""
    d, half = scores.shape
    whole = np.floor(scores / math.log(2.0))
    there = whole > ZERO
    whole[~there] = ZERO
    mantissa[:] = np.where(there, np.exp(np.where(there, scores - whole * math.log(2.0), 0.0)), 0.0)
    exponent[:] = whole
    numbers = np.arange(half)
    for b in range(d - 1):
        with_b = numbers >> b & 1 > 0
        top = np.maximum(exponent[:, with_b], exponent[:, ~with_b])
        mantissa[:, with_b] = _shifted(mantissa[:, with_b], exponent[:, with_b] - top) + _shifted(
            mantissa[:, ~with_b], exponent[:, ~with_b] - top)
        exponent[:, with_b] = top
    fraction, up = np.frexp(mantissa)
    exponent += np.where(mantissa > 0, up - 1, 0).astype(exponent.dtype)
    mantissa[:] = 2 * fraction


def dag_sums(m: np.ndarray, e: np.ndarray, threads: int, zm: np.ndarray, ze: np.ndarray) -> None:
    """zm[S] 2^ze[S]: the weight of the DAGs on S."""
    d, full = len(m), len(zm) - 1
    zm[:], zm[0], ze[0] = 0.0, 1.0, 0
    for s in range(1, full + 1):
        rests = [(v, s & ~(1 << v)) for v in members(s)]
        ze[s] = max(ZERO, *(int(e[v, packed(rest, v)]) + int(ze[rest]) for v, rest in rests))
    for u in range(full):
        free = full & ~u
        weight, power = _products(m, e, u, [v for v in range(d) if free >> v & 1])
        to = subsets(free)[1:] | u
        zm[to] -= zm[u] * _shifted(weight[1:], power[1:] + ze[u] - ze[to])


def dag_features(m: np.ndarray, e: np.ndarray, zm: np.ndarray, ze: np.ndarray, threads: int, bm: np.ndarray,
                 be: np.ndarray, edges: np.ndarray, paths: np.ndarray) -> None:
    """B(U), and the probabilities of edges and paths."""
    full = len(zm) - 1
    bm[full], be[full] = 1.0, 0
    edges[:], paths[:] = 0.0, 0.0
    for u in range(full - 1, -1, -1):
        outside = members(full & ~u)
        slopes = _extend(m, e, u, outside, bm, be)
        share = float(_shifted(zm[u] / zm[full], int(ze[u]) + int(be[u]) - int(ze[full])))
        for v, slope in zip(outside, slopes, strict=True):
            at = packed(u, v)
            weight = share * m[v, at] * slope
            if abs(weight) <= _SMALL:
                continue
            paths[v, [k for k in outside if k != v]] += weight
            for k in members(u):
                fewer = packed(u & ~(1 << k), v)
                edges[k, v] += weight * (1 - float(_shifted(m[v, fewer] / m[v, at], int(e[v, fewer]) - int(e[v, at]))))


def dag_blankets(m: np.ndarray, e: np.ndarray, threads: int, blankets: np.ndarray) -> None:
    """blankets[a, b]: the probability that each is in the other's Markov blanket."""
    whole = _all_graphs(m, e)
    blankets[:] = 0.0
    for a in range(len(m)):
        for b in range(a + 1, len(m)):
            none = _all_graphs(*_apart(m, e, a, b))
            blankets[a, b] = blankets[b, a] = 1 - float(_shifted(none[0] / whole[0], none[1] - whole[1]))


def _shifted(mantissa: Any, power: Any) -> Any:
    """mantissa 2^power, nothing where that is too small for a float."""
    kept = np.clip(power, -1100, 1000)
    with np.errstate(under="ignore"):
        return np.ldexp(mantissa, kept.astype(np.int32) if isinstance(kept, np.ndarray) else int(kept))


def _products(m: np.ndarray, e: np.ndarray, u: int, outside: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Per set R of ``outside``: (-1)^|R| times the product of A_r(u)."""
    weight, power = np.ones(1), np.zeros(1, dtype=np.int64)
    for v in outside:
        at = packed(u, v)
        weight, power = np.concatenate([weight, -m[v, at] * weight]), np.concatenate([power, power + e[v, at]])
    return weight, power


def _extend(m: np.ndarray, e: np.ndarray, u: int, outside: list[int], bm: np.ndarray, be: np.ndarray) -> list[float]:
    """B(u), and its derivatives by the mantissas of A_v(u) in units of 2^be[u]."""
    power = _products(m, e, u, outside)[1]
    be[u] = max(ZERO, *(int(e[v, packed(u, v)]) + int(be[u | 1 << v]) for v in outside))
    to = subsets(sum(1 << v for v in outside)) | u
    terms = np.concatenate([[0.0], _shifted(bm[to[1:]], power[1:] + be[to[1:]] - be[u])])
    levels = [terms]
    for v in reversed(outside):
        low, high = np.split(levels[-1], 2)
        levels.append(low - m[v, packed(u, v)] * high)
    bm[u] = -levels[-1][0]
    weight, slopes = np.ones(1), []
    for v, level in zip(outside, levels[-2::-1], strict=True):
        slopes.append(float(weight @ level[len(weight):]))
        weight = np.concatenate([weight, -m[v, packed(u, v)] * weight])
    return slopes


def _all_graphs(m: np.ndarray, e: np.ndarray) -> tuple[float, int]:
    full = 2 * m.shape[1] - 1
    bm, be = np.ones(full + 1), np.zeros(full + 1, dtype=np.int64)
    for u in range(full - 1, -1, -1):
        _extend(m, e, u, members(full & ~u), bm, be)
    return float(bm[0]), int(be[0])


def _apart(m: np.ndarray, e: np.ndarray, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the families of graphs in which a and b are neither adjacent nor have a common child."""
    out_m, out_e, numbers = m.copy(), e.copy(), np.arange(m.shape[1])
    for v in range(len(m)):
        sets = unpacked(numbers, v)
        one, two = packed(sets & ~(1 << a), v), packed(sets & ~(1 << b), v)
        if v in (a, b):
            at = two if v == a else one
            out_m[v], out_e[v] = m[v, at], e[v, at]
            continue
        none = packed(sets & ~(1 << a | 1 << b), v)
        top = np.maximum(e[v, one], e[v, two])
        value = sum(sign * _shifted(m[v, at], e[v, at] - top) for sign, at in ((1, one), (1, two), (-1, none)))
        both = (sets >> a & sets >> b & 1) > 0
        out_m[v], out_e[v] = np.where(both, value, m[v]), np.where(both, top, e[v])
    return out_m, out_e
