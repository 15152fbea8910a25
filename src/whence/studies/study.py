"""A study: data and a question, a plan, a run, a finding. What every face of whence calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whence.checks.run import check
from whence.core.errors import WhenceError
from whence.core.hashing import content_hash
from whence.core.progress import SILENT, Progress
from whence.core.registry import find_card
from whence.core.result import Refused, Remark, to_plain, versions
from whence.data.load import read
from whence.data.profile import Profile, profile
from whence.data.table import Table
from whence.estimation.choose import COMPARING, OWN, QUANTITIES, gives
from whence.estimation.dependence import KINDS, SHARED, split
from whence.estimation.effect import Effect
from whence.estimation.estimate import estimate, unadjusted
from whence.estimation.parameters import checked
from whence.graphs.build import graph as build_graph
from whence.graphs.graph import Graph
from whence.graphs.knowledge import Knowledge
from whence.identification.post_treatment import post_treatment
from whence.identification.spec import PARTS, Spec
from whence.report.finding import Finding
from whence.studies.plan import Plan, Request
from whence.studies.planning import make_plan
from whence.studies.script import script as write_script

LEARN = "learn"
# Estimators that a study sets beside its answer; for other designs, the unadjusted comparison alone.
COMPARED = ("difference", "aipw", "ipw", "regression")
CHANGES = ("imputation", "group_time", "twfe")
NOT_FOR_DOSES = ("continuous_treatment", "treatment_in_groups")  # refusals that say nothing about the answer
COMPARED_BY = {"did": CHANGES, "event_study": CHANGES, "synthetic_control": (),
               "interrupted_series": ("interrupted_series", "structural_series")}


@dataclass(frozen=True, eq=False)
class Study:
    """Data, a question and the plan to answer it. ``run()`` gives the ``Finding``.

    path: the file the data came from, or None. kinds, missing: as given to ``read``. method, parameters,
    seed: passed to ``estimate``.
    """

    table: Table
    plan: Plan
    question: str | None = None
    about: str | None = None
    path: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    method: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    _made: dict[str, Any] = field(default_factory=dict, repr=False)  # results by content, shared with edits

    def edit(self, **changes: Any) -> Study:
        """The same study with other fields of its spec (``controls=``, ``strategy=``, ...), or another ``spec``.

        Running it makes anew only what depends on the changes; the profile and estimates of the same spec are kept.
        Raises ``WhenceError`` for unknown fields and columns, and ``no_plan`` where there is no spec to edit.
        """
        given = changes.pop("spec", None)
        if given is None and self.plan.spec is None:
            raise WhenceError("There is no plan to edit.", code="no_plan", hint=str(self.plan.refused))
        spec = given if given is not None else self.plan.spec
        assert isinstance(spec, Spec)
        if changes:
            spec = Spec.from_dict({**spec.to_dict(), **changes})
        for name in spec.columns:
            self.table.column(name)
        was = self.plan.spec.to_dict() if self.plan.spec is not None else {}
        changed = [name for name, value in spec.to_dict().items() if was.get(name) != value]
        said = Remark("edited", f"Changed by hand: {', '.join(changed) or 'nothing'}.", (), {"fields": changed})
        settled = tuple(w for w in self.plan.warnings if w.code != "close_call")
        plan = dataclasses.replace(self.plan, spec=spec, refused=None, choices=(*self.plan.choices, said),
                                   warnings=settled, runner_up=None)
        return dataclasses.replace(self, plan=plan)

    def _estimate(self, spec: Spec, method: str, progress: Progress, **parameters: Any) -> Effect | Refused:
        key = content_hash(["estimate", spec.to_dict(), method, self.seed, to_plain(parameters)])
        if key not in self._made:
            self._made[key] = estimate(self.table, spec, method, self.seed, progress=progress, **parameters)
        return self._made[key]

    def _profile(self, progress: Progress) -> Profile:
        if "profile" not in self._made:
            self._made["profile"] = profile(self.table, progress=progress)
        return self._made["profile"]

    def run(self, progress: Progress = SILENT) -> Finding:
        """Estimate, compare with other methods, check; the same seed gives the same finding."""
        common: dict[str, Any] = {
            "question": self.question, "about": self.about, "source": self.table.source, "spec": self.plan.spec,
            "profile": self._profile(progress), "choices": self.plan.choices,
            "graph": self.plan.graph, "discovery": self.plan.discovery, "identified": self.plan.identified,
        }
        if self.plan.spec is None:
            return Finding(**common, refused=self.plan.refused, warnings=self.plan.warnings,
                           provenance=self._provenance(None))
        result = self._estimate(self.plan.spec, self.method, progress, **self.parameters)
        if isinstance(result, Refused):
            return Finding(**common, refused=result, warnings=self.plan.warnings, script=self.script(),
                           provenance=self._provenance(None))
        others, remarks = self._alternatives(result, progress)
        checks = check(self.table, result, graph=self._testable_graph, seed=self.seed, progress=progress)
        return Finding(
            **common, effect=result, alternatives=others, checks=tuple(checks),
            warnings=(*self.plan.warnings, *result.warnings, *remarks), script=self.script(result.method),
            provenance=self._provenance(result))

    def script(self, method: str | None = None) -> str:
        """Python that gives the same numbers; ``method`` is the one the run chose, if it ran."""
        if self.plan.spec is None:
            raise WhenceError("A study without a plan has nothing to repeat.", code="no_plan",
                              hint=str(self.plan.refused))
        return write_script(self.table, self.path, self.plan.spec, method or self.method, self.parameters, self.seed,
                            self.kinds, self.missing, self._testable_graph, self.question)

    @property
    def _testable_graph(self) -> Graph | None:
        """The graph that the data can contradict: one that was given, not one learned from them."""
        return self.plan.graph if self.plan.discovery is None else None

    def _alternatives(self, main: Effect, progress: Progress) -> tuple[tuple[Effect, ...], list[Remark]]:
        """The same contrast by every other estimator, the unadjusted comparison first (alone, where nothing else
        can use the strategy)."""
        effects, remarks = [], []
        if main.spec.strategy in OWN and main.spec.strategy not in COMPARED_BY:
            plain = self._estimate(unadjusted(main.spec), "auto", progress)
            return ((plain,), []) if isinstance(plain, Effect) else ((), [])
        if main.spec.truth is not None:
            return self._uncorrected(main, progress)
        shared = main.provenance.parameters
        dependent = shared.get("covariance") in KINDS
        errors = {p.name: shared[p.name] for p in SHARED if dependent and p.name in shared}
        unfit = {w.evidence.get("instead_of") for w in main.warnings}  # too many columns for these data, as was said
        if main.spec.quantity not in (*QUANTITIES, *PARTS) and main.spec.strategy in COMPARING:
            effects += self._plain(main, progress)
        for name in COMPARED_BY.get(main.spec.strategy, COMPARED):
            if name == main.method or name in unfit or (main.spec.strata and name != "difference"):
                continue  # the others do not look within the strata of an experiment
            card = find_card("estimation", name)
            if not gives(card, main.spec.quantity) or (len(main.spec.treatments) > 1 and not card.several_treatments):
                continue
            spec = main.spec.replace(controls=()) if name == "difference" else main.spec
            other = self._estimate(spec, name, progress, **errors)
            if isinstance(other, Effect):
                effects.append(other)
            elif other.code not in NOT_FOR_DOSES:
                remarks.append(Remark("alternative_refused", f"Not compared with {name}: {other.reason}"))
        return tuple(effects), remarks

    def _uncorrected(self, main: Effect, progress: Progress) -> tuple[tuple[Effect, ...], list[Remark]]:
        """The same comparison of predictions as if they were the truth."""
        plain = self._estimate(main.spec.replace(truth=None), main.diagnostics["comparison"], progress)
        if isinstance(plain, Refused):
            return (), []
        return (plain,), [Remark("uncorrected", f"Set beside it is the same comparison ({plain.method}) of "
                                 f"{main.spec.outcome} as it is, without correction.", (main.spec.outcome,))]

    def _plain(self, main: Effect, progress: Progress) -> list[Effect]:
        """The unadjusted comparison for a quantity that is not a plain average: of the same quantiles, or of means."""
        spec = main.spec.replace(controls=())
        if main.spec.event is not None:
            found = self._estimate(spec, main.method, progress)
        elif "quantiles" in main.provenance.parameters:
            quantiles = main.provenance.parameters["quantiles"]
            found = self._estimate(spec, main.method, progress, quantiles=quantiles)
        else:
            found = self._estimate(spec.replace(quantity="ATE"), "difference", progress)
        return [found] if isinstance(found, Effect) and main.spec.controls else []

    def _provenance(self, effect: Effect | None) -> dict[str, Any]:
        from whence.kernels import BACKEND

        return {
            "data": self.table.hash, "rows": self.table.n_rows, "columns": len(self.table.names),
            "spec": self.plan.spec.hash if self.plan.spec is not None else None,
            "graph": self.plan.graph.hash if self.plan.graph is not None else None,
            "method": effect.method if effect is not None else self.method,
            "parameters": to_plain(effect.provenance.parameters if effect is not None else self.parameters),
            "seed": self.seed, "kernels": BACKEND, "versions": versions("numpy", "scipy", "scikit-learn", "duckdb"),
            "citations": list(effect.provenance.citations) if effect is not None else [],
        }


def study(
    source: Any, question: str | None = None, about: str | None = None, graph: Any = None,
    knowledge: Knowledge | None = None, spec: Spec | Mapping[str, Any] | None = None, *,
    treatment: str | None = None, outcome: str | None = None, controls: Sequence[str] | None = None,
    quantity: str | None = None, cluster: str | None = None, weights: str | None = None,
    kinds: Mapping[str, str] | None = None, missing: Sequence[str] = (), method: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0, progress: Progress = SILENT,
) -> Study:
    """Plan a study of ``source`` (anything ``read`` takes).

    question: plain words, e.g. ``"Does the programme raise earnings?"``. about: a description of the data.
    graph: anything ``whence.graph`` takes, or ``"learn"`` to learn one from the data. knowledge: what is known
    of the graph; given without a graph, the graph is learned within it. spec: the whole plan, instead of a
    question. treatment, outcome, controls: fix these roles. kinds, missing: as in ``read``. The rest as in
    ``Spec`` and ``estimate``.

    Raises ``WhenceError`` for input that cannot be used. A question that the data or the graph cannot answer
    is not an error: ``plan.refused`` says why.
    """
    missing = (missing,) if isinstance(missing, str) else tuple(missing)
    table = read(source, kinds=kinds, missing=missing)
    path = str(source) if isinstance(source, (str, Path)) else None
    if method != "auto":
        card = find_card("estimation", method)
        checked(card, split(card, parameters or {})[1])
    extra = {k: v for k, v in (("quantity", quantity), ("cluster", cluster), ("weights", weights)) if v is not None}
    for role in ("cluster", "weights"):
        if role not in extra and role in table.roles:
            extra[role] = table.roles[role]
    learn = isinstance(graph, str) and graph == LEARN
    drawn: Graph | None = None if graph is None or learn else build_graph(graph)
    if spec is not None:
        plan = _given(table, spec, drawn, question, extra)
    elif question is None and (treatment is None or outcome is None):
        raise WhenceError("A study needs a question, a spec, or a treatment and an outcome.", code="no_question",
                          hint='For example: study("data.csv", "Does training raise earnings?").')
    else:
        request = Request(question, about, drawn, learn, knowledge, treatment, outcome,
                          None if controls is None else tuple(controls), extra, seed)
        plan = make_plan(table, request, progress)
    return Study(table, plan, question, about, path, dict(kinds or {}), missing, method, dict(parameters or {}), seed)


def _given(
    table: Table, spec: Spec | Mapping[str, Any], graph: Graph | None, question: str | None, extra: Mapping[str, Any]
) -> Plan:
    """The plan that a spec is: nothing to choose, only names to check."""
    spec = spec if isinstance(spec, Spec) else Spec.from_dict(spec)
    spec = spec.replace(**extra) if extra else spec
    for name in spec.columns:
        table.column(name)
    given = (Remark("given", "The treatment, the outcome and the controls were given."),)
    if graph is not None and spec.strategy in COMPARING and {*spec.treatments, *spec.outcomes} <= {*graph.names}:
        refused = post_treatment(graph, spec.treatments, spec.outcomes, spec.controls)
        if refused is not None:
            return Plan(None, refused, given, graph=graph)
    return Plan(spec, None, given, graph=graph)
