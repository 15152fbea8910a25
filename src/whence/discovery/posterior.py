"""The exact posterior over all DAGs: the probability of every edge and path, the best graph, and those that matter."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from whence.core.card import Card, Parameter
from whence.core.errors import WhenceError, unknown_name
from whence.core.progress import SILENT, Progress
from whence.core.result import Refused, Remark, fields_to_plain
from whence.discovery.credible import Credible, credible
from whence.discovery.dag_sums import (
    MOST_COLUMNS,
    MOST_FOR_BLANKETS,
    DagSums,
    best_parents,
    draw,
    family_scores,
    marks_of,
    sum_dags,
)
from whence.discovery.discovery import about_nodes, as_table
from whence.discovery.learned import Learned, constraints
from whence.discovery.probability_table import probability_table
from whence.discovery.scored import SCORE_ASSUMPTIONS, SCORE_PARAMETERS, Scored, learned_dag, scored
from whence.graphs.classes import DAG
from whence.graphs.graph import ARROW
from whence.graphs.knowledge import Knowledge

ALL_PARENTS_UP_TO, FEW_PARENTS = 15, 6
BAYESIAN = ("bge", "bdeu")

CARD = Card(
    name="posterior",
    task="discovery",
    title="Exact posterior over DAGs",
    summary="Weighs every graph without cycles by how probable it is given the data, and reports the probability of "
    "each arrow and path beside the best graph. For up to 20 columns.",
    data_kinds=("continuous", "count", "binary", "categorical", "ordinal"),
    assumptions=(
        *SCORE_ASSUMPTIONS[:2],
        "The score is the probability of the data: linear Gaussian for numbers, multinomial for categories.",
        "Before the data all graphs are equally probable, up to the price of an arrow.",
    ),
    parameters=(
        Parameter("score", "str", "bayes", "name of a score's card; 'bayes' goes by the kinds of the columns: BGe for "
                  "numbers, BDeu for categories"),
        SCORE_PARAMETERS[1],
        Parameter("gamma", "float", 0.0, "each arrow has prior odds d^(-2 gamma) for d columns; 0 makes all graphs "
                  "equally probable", low=0.0),
        *SCORE_PARAMETERS[3:],
        Parameter("max_parents", "int", None, "the most parents a variable may have; None is no limit up to 15 columns "
                  "and 6 above", low=0, high=MOST_COLUMNS, optional=True),
    ),
    output="CPDAG, or MPDAG with knowledge, of the most probable DAG",
    cost="3^d for d columns, whatever the rows; d 2^(d-1) families are scored",
    citations=(
        "Tian, J. and He, R. (2009). Computing posterior probabilities of structural features in Bayesian networks. "
        "Uncertainty in Artificial Intelligence 25:538-547.",
        "Pensar, J., Talvitie, T., Hyttinen, A. and Koivisto, M. (2020). A Bayesian approach for estimating causal "
        "effects from observational data. AAAI 34:5395-5402.",
        "Silander, T. and Myllymaki, P. (2006). A simple approach for finding the globally optimal Bayesian network "
        "structure. Uncertainty in Artificial Intelligence 22:445-452.",
    ),
    function="whence.discovery.posterior:learn_posterior",
)


@dataclass(frozen=True, eq=False)
class Posterior:
    """How probable every DAG over ``names`` is given the data; exact, but for rounding.

    edges, paths: (d, d), entry [i, j] for the arrow from names[i] to names[j], and for a directed path. blankets:
    (d, d), that each is in the other's Markov blanket; None above 15 columns. best: the most probable DAG, and its
    probability. score: card of the score. n: rows. log_total: log of the sum over DAGs of exp(score). max_parents:
    the limit that held. error: relative rounding error of that sum, from computing it in two ways.
    """

    names: tuple[str, ...]
    edges: np.ndarray
    paths: np.ndarray
    blankets: np.ndarray | None
    best: DAG
    best_probability: float
    score: str
    n: int
    log_total: float
    max_parents: int
    error: float
    remarks: tuple[Remark, ...]
    knowledge: Knowledge | None = None
    _sums: DagSums = field(repr=False, default=None, metadata={"plain": False})  # pyright: ignore[reportAssignmentType]

    def edge(self, a: str, b: str) -> float:
        """The probability of the arrow a --> b. Raises ``WhenceError`` (``unknown_node``), as the others do."""
        return float(self.edges[self._at(a), self._at(b)])

    def path(self, a: str, b: str) -> float:
        """The probability that a is a cause of b, directly or through others."""
        return float(self.paths[self._at(a), self._at(b)])

    def adjacent(self, a: str, b: str) -> float:
        """The probability of an arrow between a and b, either way."""
        return self.edge(a, b) + self.edge(b, a)

    def markov_blanket(self, a: str, b: str) -> float:
        """The probability that b is in the Markov blanket of a: adjacent, or with a common child.

        Raises ``WhenceError`` (``too_many_columns``) above 15 columns.
        """
        i, j = self._at(a), self._at(b)
        if self.blankets is None:
            raise WhenceError(f"Markov blankets are summed for up to {MOST_FOR_BLANKETS} columns.",
                              code="too_many_columns", value=len(self.names), allowed=f"at most {MOST_FOR_BLANKETS}",
                              hint="Count them in graphs drawn by sample().")
        return float(self.blankets[i, j])

    def probability(self, graph: DAG) -> float:
        """Of one DAG over the same nodes. Raises ``WhenceError`` (``unknown_node``) for other nodes."""
        if set(graph.names) != set(self.names):
            odd = sorted(set(graph.names) ^ set(self.names))[0]
            raise unknown_name("node", odd, self.names, code="unknown_node")
        order = [graph.names.index(name) for name in self.names]
        into = graph.marks[np.ix_(order, order)] == ARROW
        masks = (into * (1 << np.arange(len(order)))[:, None]).sum(axis=0)
        return float(np.exp(self._sums.log_probability(masks)))

    def sample(self, count: int = 1000, seed: int = 0) -> list[DAG]:
        """Independent draws of DAGs, each as often as it is probable."""
        return [DAG(self.names, marks_of(masks)) for masks in draw(self._sums, count, seed)]

    def credible(self, level: float = 0.95, draws: int = 2000, seed: int = 0) -> Credible:
        """The smallest set of classes (CPDAGs) that hold ``level`` of the probability; of DAGs where members of one
        class are not equally probable, as with knowledge or a limit of parents. See ``Credible``.

        Raises ``WhenceError`` (``bad_parameter``) for a level not between 0 and 1, or no draws.
        """
        plain = not self.knowledge and self.max_parents >= len(self.names) - 1
        return credible(self._sums, self.names, level, draws, seed, plain)

    def to_dict(self) -> dict[str, Any]:
        return fields_to_plain(self)

    def _at(self, name: str) -> int:
        if name not in self.names:
            raise unknown_name("node", name, self.names, code="unknown_node")
        return self.names.index(name)

    def _certain(self) -> list[str]:
        """The arrows more probable than not, most probable first."""
        pairs = sorted(((-self.edges[i, j], i, j) for i, j in np.argwhere(self.edges > 0.5)))
        return [f"{self.names[i]} --> {self.names[j]}: {-p:.2f}" for p, i, j in pairs]

    def __repr__(self) -> str:
        lines = [f"Posterior over the DAGs of {len(self.names)} variables ({self.score}, {self.n:,} rows)",
                 f"  the most probable DAG has probability {self.best_probability:.2g}"]
        lines += [f"  {text}" for text in self._certain()] or ["  no arrow is more probable than not"]
        return "\n".join([*lines, *(f"  warning: {remark}" for remark in self.remarks)])

    def _repr_html_(self) -> str:
        picture = probability_table(self.names, [("row → column: an arrow", self.edges),
                                                 ("row is a cause of column", self.paths)])
        said = (f"Probabilities over all graphs without cycles ({html.escape(self.score)}, {self.n:,} rows). "
                f"The most probable single graph has probability {self.best_probability:.2g}.")
        notes = "".join(f"<li>{html.escape(str(remark))}</li>" for remark in self.remarks)
        return f"<figure>{picture}<figcaption>{said}</figcaption></figure>" + (f"<ul>{notes}</ul>" if notes else "")


def posterior(source: Any, knowledge: Knowledge | None = None, score: str = "bayes", *, gamma: float = 0.0,
              sample_size: float | None = None, penalty: float | None = None, max_parents: int | None = None
              ) -> Posterior | Refused:
    """The exact posterior over all DAGs of a table, or of anything ``whence.read`` takes, with up to 20 columns.

    knowledge: graphs that contradict it have probability zero. score: a score's card, or ``"bayes"``: BGe for
    numbers, BDeu for categories. The other parameters are those of the card of method ``"posterior"``.

    Data with too few rows or columns give a ``Refused``. Raises ``WhenceError``: ``too_many_columns`` (use
    ``discover(..., "partition_mcmc")``), ``no_graph`` when no graph agrees with the knowledge, and as ``discover``.
    """
    given = {"score": score, "gamma": gamma, "sample_size": sample_size, "penalty": penalty, "max_parents": max_parents}
    parameters = CARD.checked(given)
    table = as_table(source)
    if knowledge is not None and not isinstance(knowledge, Knowledge):
        raise WhenceError("knowledge must be a whence.Knowledge.", code="bad_parameter", value=type(knowledge).__name__,
                          allowed="Knowledge or None")
    if knowledge:
        knowledge.validate(table.names)
    asked = scored(table, parameters)
    if isinstance(asked, Refused):
        return asked
    return of_score(asked, about_nodes(knowledge, asked) if knowledge else None, parameters["max_parents"])


def of_score(asked: Scored, knowledge: Knowledge | None = None, max_parents: int | None = None) -> Posterior:
    """The posterior under a score at hand."""
    names = asked.names
    d = len(names)
    if d > MOST_COLUMNS:
        raise WhenceError(
            f"There are {d} columns; sums over all graphs are made for up to {MOST_COLUMNS}.", code="too_many_columns",
            value=d, allowed=f"at most {MOST_COLUMNS}",
            hint="Method 'partition_mcmc' draws graphs from the same posterior; or choose fewer columns.",
        )
    usual = d - 1 if d <= ALL_PARENTS_UP_TO else FEW_PARENTS
    most = usual if max_parents is None else min(d - 1, max_parents)
    scores = family_scores(asked.score.kernel, *constraints(names, knowledge), most)
    best = best_parents(scores)
    sums = sum_dags(scores)
    return Posterior(
        names, sums.edges, sums.paths, sums.blankets, DAG(names, marks_of(best)),
        float(np.exp(sums.log_probability(best))), asked.score.method, asked.score.n, sums.log_total, most, sums.error,
        (*asked.remarks, *_cautions(asked, most, max_parents)), knowledge, sums,
    )


def learn_posterior(asked: Scored, knowledge: Knowledge | None, parameters: Mapping[str, Any], seed: int,
                    progress: Progress = SILENT) -> Learned:
    """Learns the class of the most probable DAG; ``details`` hold the probabilities, by name.

    Tian and He (2009), sections 3 and 4, with the sums over the variables that do not descend from one (Pensar et
    al. 2020, section 4) for arrows and paths alike. ``whence.posterior`` gives the same as an object.
    """
    progress.begin("all graphs")
    found = of_score(asked, knowledge, parameters["max_parents"])
    progress.end()
    names = found.names
    details = {
        "edges": by_name(names, found.edges), "paths": by_name(names, found.paths),
        "adjacent": by_name(names, found.edges + found.edges.T),
        "markov_blankets": None if found.blankets is None else by_name(names, found.blankets),
        "best_probability": found.best_probability, "log_total": found.log_total, "max_parents": found.max_parents,
        "rounding_error": found.error,
    }
    may, _ = constraints(names, knowledge)
    return learned_dag(asked, found.best.marks == ARROW, may, knowledge, found.remarks[len(asked.remarks):], details)


def by_name(names: tuple[str, ...], table: np.ndarray) -> dict[str, dict[str, float]]:
    """A (d, d) table as numbers by row and column name, without the diagonal."""
    return {a: {b: float(table[i, j]) for j, b in enumerate(names) if i != j} for i, a in enumerate(names)}


def approximate(asked: Scored) -> list[Remark]:
    """A remark where the score is not a marginal likelihood."""
    out = []
    if asked.score.method not in BAYESIAN:
        text = (f"The score {asked.score.method!r} only approximates the log probability of the data, better with more "
                "rows; so do the probabilities of graphs.")
        out.append(Remark("approximate_posterior", text, (), {"score": asked.score.method}))
    return out


def _cautions(asked: Scored, most: int, given: int | None) -> list[Remark]:
    out = approximate(asked)
    if given is None and most < len(asked.names) - 1:
        text = f"With {len(asked.names)} columns, graphs with more than {most} parents of one variable were left out."
        out.append(Remark("parents_limited", text, (), {"max_parents": most}))
    if asked.score.n < 10 * len(asked.names):
        text = (f"With {asked.score.n:,} rows for {len(asked.names)} columns the prior still speaks: try other values "
                "of sample_size.")
        out.append(Remark("prior_matters", text, (), {"rows": asked.score.n}))
    return out
