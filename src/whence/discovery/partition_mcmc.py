"""Partition MCMC: graphs drawn from the posterior where there are too many to sum over."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.core.result import Remark
from whence.core.rng import generator
from whence.discovery.dag_sums import marks_of, no_graph
from whence.discovery.learned import Learned, constraints
from whence.discovery.posterior import CARD as EXACT
from whence.discovery.posterior import approximate, by_name
from whence.discovery.scored import Scored, learned_dag
from whence.graphs.bits import ones
from whence.graphs.graph import ARROW
from whence.graphs.knowledge import Knowledge
from whence.stats.score.score import Kernel

MOST_COLUMNS = 60
AGREE = 1.05  # R-hat below which the chains tell the same story (Vehtari et al. 2021 ask for 1.01 of long ones)

CARD = Card(
    name="partition_mcmc",
    task="discovery",
    title="Partition Markov chain Monte Carlo",
    summary="Draws graphs from the posterior over DAGs, for more columns than can be summed over exactly, and says how "
    "far its chains agree.",
    data_kinds=EXACT.data_kinds,
    assumptions=EXACT.assumptions,
    parameters=(
        *EXACT.parameters[:-1],
        Parameter("max_parents", "int", 3, "the most parents a variable may have", low=0, high=MOST_COLUMNS),
        Parameter("chains", "int", 4, "independent chains, from different starts", low=2, high=100),
        Parameter("steps", "int", 4000, "moves of each chain; the first fifth is left out", low=50, high=100_000_000),
        Parameter("draws", "int", 400, "graphs kept of each chain, evenly spread", low=10, high=1_000_000),
    ),
    output="CPDAG, or MPDAG with knowledge, of the most probable DAG that was drawn",
    cost="d^max_parents families once, then a scan of a few variables' families per step",
    citations=(
        "Kuipers, J. and Moffa, G. (2017). Partition MCMC for inference on acyclic digraphs. Journal of the American "
        "Statistical Association 112:282-299.",
        "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Burkner, P.-C. (2021). Rank-normalization, folding, "
        "and localization: an improved R-hat. Bayesian Analysis 16:667-718.",
    ),
    function="whence.discovery.partition_mcmc:partition_mcmc",
)

Layers = tuple[int, ...]  # disjoint sets of variables as masks; the first has no parents


@dataclass(frozen=True, eq=False)
class Families:
    """Per variable the allowed sets of parents as masks, int64, and their scores."""

    sets: list[np.ndarray]
    scores: list[np.ndarray]

    @staticmethod
    def of(kernel: Kernel, may: np.ndarray, required: np.ndarray, most: int) -> Families:
        """may, required: bool (d, d), [i, j] for i -> j. Raises ``WhenceError`` (``no_graph``)."""
        sets, scores = [], []
        for y in range(len(may)):
            held = np.flatnonzero(required[:, y]).tolist()
            free = np.flatnonzero(may[:, y] & ~required[:, y]).tolist()
            found = [sorted([*held, *c]) for k in range(most - len(held) + 1) for c in itertools.combinations(free, k)]
            if not found:
                raise no_graph()
            sets.append(np.array([sum(1 << z for z in of) for of in found], dtype=np.int64))
            scores.append(np.array([kernel.local(y, np.array(of, dtype=np.int32)) for of in found]))
        return Families(sets, scores)

    def fitting(self, y: int, above: int, last: int) -> np.ndarray:
        """Indices of the families with all parents in ``above``, and one at least in ``last`` unless it is empty."""
        sets = self.sets[y]
        fits = (sets & ~above) == 0
        return np.flatnonzero(fits & ((sets & last) != 0) if last else fits)


def partition_mcmc(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
                   progress: Progress = SILENT) -> Learned:
    """Learns the class of the most probable DAG that was drawn; ``details`` hold the share of draws with each arrow and
    path, by name, and for the arrows the largest split R-hat and the smallest effective number of draws.

    Raises ``WhenceError``: ``too_many_columns`` above 60, ``no_graph``.
    """
    names = asked.names
    if len(names) > MOST_COLUMNS:
        raise WhenceError(f"There are {len(names)} columns; graphs are drawn for up to {MOST_COLUMNS}.",
                          code="too_many_columns", value=len(names), allowed=f"at most {MOST_COLUMNS}",
                          hint="Method 'boss' with stability= takes any number of columns.")
    may, required = constraints(names, knowledge)
    families = Families.of(asked.score.kernel, may, required, min(parameters["max_parents"], len(names) - 1))
    steps, keep = parameters["steps"], min(parameters["draws"], parameters["steps"] * 4 // 5)
    kept = np.linspace(steps // 5, steps - 1, keep).astype(int)
    progress.begin("chains", parameters["chains"])
    drawn = []
    for number in range(parameters["chains"]):
        drawn.append(_run(families, required, seed, number, steps, set(kept.tolist())))
        progress.step()
    progress.end()
    draws = np.array(drawn)
    arrows = (draws[:, :, None, :] >> np.arange(len(names))[:, None] & 1).astype(np.float64)  # chain, draw, from, to
    rhat, size = convergence(arrows)
    best = max((tuple(map(int, g)) for chain in draws for g in np.unique(chain, axis=0)),
               key=lambda g: (_score(asked.score.kernel, g), g))
    details = {"edges": by_name(names, arrows.mean(axis=(0, 1))), "paths": by_name(names, _paths(draws)),
               "draws": draws.shape[0] * draws.shape[1], "chains": len(draws), "r_hat": rhat, "effective_draws": size}
    remarks = approximate(asked)
    if rhat > AGREE or size < 100:
        text = (f"The chains do not agree yet (R-hat {rhat:.2f}, {size:.0f} effective draws for the slowest arrow): "
                "the probabilities are rough. Raise steps.")
        remarks.append(Remark("not_converged", text, (), {"r_hat": rhat, "effective_draws": size}))
    return learned_dag(asked, marks_of(np.array(best)) == ARROW, may, knowledge, tuple(remarks), details)


def _run(families: Families, required: np.ndarray, seed: int, number: int, steps: int, kept: set[int]) -> np.ndarray:
    chain = Chain(families, seed, number, _start(families, required, generator(seed, "start", number)))
    out = []
    for step in range(steps):
        chain.step()
        if step in kept:
            out.append(chain.graph())
    return np.array(out)


def _start(families: Families, required: np.ndarray, rng: np.random.Generator) -> Layers:
    """The layers of the graph with the best parents along a random order that knowledge allows."""
    left, above = rng.permutation(len(required)).tolist(), 0
    parents = dict.fromkeys(left, 0)
    while left:
        y = next(v for v in left if not required[left, v].any())
        left.remove(y)
        at = families.fitting(y, above, 0)
        if not len(at):
            raise no_graph()
        parents[y] = int(families.sets[y][at[np.argmax(families.scores[y][at])]])
        above |= 1 << y
    layers, done = [], 0
    while len(parents):
        layer = sum(1 << y for y, of in parents.items() if not of & ~done)
        parents = {y: of for y, of in parents.items() if not layer >> y & 1}
        layers.append(layer)
        done |= layer
    return tuple(layers)


def _score(kernel: Kernel, parents: tuple[int, ...]) -> float:
    return sum(kernel.local(y, np.array(ones(of), dtype=np.int32)) for y, of in enumerate(parents))


def _paths(draws: np.ndarray) -> np.ndarray:
    """(d, d): the share of graphs with a path from i to j."""
    graphs, counts = np.unique(draws.reshape(-1, draws.shape[-1]), axis=0, return_counts=True)
    reach = (graphs[:, None, :] >> np.arange(graphs.shape[1])[:, None] & 1).astype(np.float32)
    for _ in range(max(1, (graphs.shape[1] - 1).bit_length())):  # paths of twice the length each time
        reach = ((reach + reach @ reach) > 0).astype(np.float32)
    return np.einsum("g,gij->ij", counts / counts.sum(), reach)


def convergence(draws: np.ndarray) -> tuple[float, float]:
    """The largest split R-hat and the smallest effective number of draws over quantities drawn as (chains, draws, ...).

    Vehtari et al. (2021), equations 1 to 4 and 10 to 13; quantities that hardly vary (share below .01 or above .99)
    are left out.
    """
    half = draws.shape[1] // 2
    split = np.concatenate([draws[:, :half], draws[:, -half:]]).reshape(2 * len(draws), half, -1)
    share = split.mean(axis=(0, 1))
    split = split[:, :, (share >= 0.01) & (share <= 0.99)]
    if not split.shape[2]:
        return 1.0, float(draws.shape[0] * draws.shape[1])
    within = split.var(axis=1, ddof=1).mean(axis=0)
    between = half * split.mean(axis=1).var(axis=0, ddof=1)
    total = (half - 1) / half * within + between / half
    rhat = np.sqrt(total / np.maximum(within, 1e-300))
    sizes = [_effective(split[:, :, k], within[k], total[k]) for k in range(split.shape[2])]
    return float(min(rhat.max(), 1e6)), float(min(sizes))


def _effective(draws: np.ndarray, within: float, total: float) -> float:
    """Of one quantity, (chains, draws): Geyer's initial positive sequence."""
    chains, n = draws.shape
    away = draws - draws.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(away, 2 * n, axis=1)) ** 2
    lagged = np.fft.irfft(power, axis=1)[:, :n].mean(axis=0) / n * n / (n - 1)
    rho = 1 - (within - lagged) / total
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    stop = int(np.argmax(pairs < 0)) if (pairs < 0).any() else len(pairs)
    time = max(2 * pairs[:stop].sum() - 1, 1 / math.log10(max(chains * n, 10)))
    return chains * n / time


class Chain:
    """One chain over ordered partitions: a graph belongs to the one whose layers are its sources, then the sources of
    the rest, and so on (Kuipers and Moffa 2017, section 3)."""

    def __init__(self, families: Families, seed: int, number: int, start: Layers) -> None:
        self.families, self.rng = families, generator(seed, "chain", number)
        self.layers = start
        self.weight = functools.lru_cache(maxsize=200_000)(self._weight)
        self.value = self.total(start)

    def _weight(self, y: int, above: int, last: int) -> float:
        at = self.families.fitting(y, above, last)
        if not len(at):
            return -math.inf
        values = self.families.scores[y][at]
        top = values.max()
        return float(top + np.log(np.exp(values - top).sum())) if top > -math.inf else -math.inf

    def total(self, layers: Layers) -> float:
        """Log weight of a partition: of all graphs with these layers (equation 9)."""
        above, last, out = 0, 0, 0.0
        for layer in layers:
            left = layer
            while left and out > -math.inf:
                y = (left & -left).bit_length() - 1
                out += self.weight(y, above, last)
                left &= left - 1
            above, last = above | layer, layer
        return out

    def step(self) -> None:
        """One move: split or join layers, move one variable anywhere, or swap two of neighbouring layers."""
        kind = self.rng.random()
        if kind < 0.05:
            return  # staying put now and then makes the chain aperiodic
        proposal, ratio = self._split_or_join() if kind < 0.4 else self._relocate() if kind < 0.8 else self._swap()
        if proposal is None:
            return
        value = self.total(proposal)
        if math.log(1 - self.rng.random()) < value - self.value + ratio:
            self.layers, self.value = proposal, value

    def _split_or_join(self) -> tuple[Layers | None, float]:
        """Uniform among all joins of neighbours and all splits of a layer in two (section 4.1)."""
        ways = _splits(self.layers)
        choice = self.rng.integers(len(self.layers) - 1 + sum(ways))
        if choice < len(self.layers) - 1:
            k = int(choice)
            new = (*self.layers[:k], self.layers[k] | self.layers[k + 1], *self.layers[k + 2 :])
        else:
            rank = int(choice) - (len(self.layers) - 1)
            k = 0
            while rank >= ways[k]:
                rank -= ways[k]
                k += 1
            first = _spread(rank + 1, self.layers[k])
            new = (*self.layers[:k], first, self.layers[k] & ~first, *self.layers[k + 1 :])
        back = len(new) - 1 + sum(_splits(new))
        return new, math.log(len(self.layers) - 1 + sum(ways)) - math.log(back)

    def _relocate(self) -> tuple[Layers | None, float]:
        """Takes one variable out and puts it in any layer, or in one of its own at any place; each equally probable."""
        d = len(self.families.sets)
        bit = 1 << int(self.rng.integers(d))
        rest = tuple(layer & ~bit for layer in self.layers if layer & ~bit)
        place = int(self.rng.integers(2 * len(rest) + 1))
        k = place // 2
        if place % 2:
            return (*rest[:k], rest[k] | bit, *rest[k + 1 :]), 0.0
        return (*rest[:k], bit, *rest[k:]), 0.0

    def _swap(self) -> tuple[Layers | None, float]:
        """Two variables of different layers change places."""
        a, b = (1 << int(v) for v in self.rng.choice(len(self.families.sets), 2, replace=False))
        if any(layer & a and layer & b for layer in self.layers):
            return None, 0.0
        both = a | b
        return tuple(layer ^ both if layer & both else layer for layer in self.layers), 0.0

    def graph(self) -> np.ndarray:
        """Parents, as masks, of a graph drawn from those of the partition."""
        parents, above, last = np.zeros(len(self.families.sets), dtype=np.int64), 0, 0
        for layer in self.layers:
            for y in range(len(parents)):
                if layer >> y & 1:
                    at = self.families.fitting(y, above, last)
                    values = self.families.scores[y][at]
                    edges = np.cumsum(np.exp(values - values.max()))
                    chosen = np.searchsorted(edges, self.rng.random() * edges[-1], side="right")
                    parents[y] = self.families.sets[y][at[min(chosen, len(at) - 1)]]
            above, last = above | layer, layer
        return parents


def _splits(layers: Layers) -> list[int]:
    return [2 ** layer.bit_count() - 2 for layer in layers]


def _spread(number: int, over: int) -> int:
    """The subset of ``over`` whose members are the bits of ``number``."""
    out = 0
    while over:
        out |= (over & -over) if number & 1 else 0
        number >>= 1
        over &= over - 1
    return out
