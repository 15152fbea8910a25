"""whence: causal answers with their uncertainty, their assumptions and what would change them.

Names are loaded when first used; ``import whence`` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module that defines it.
_PUBLIC = {
    "read": "whence.data.load",
    "Table": "whence.data.table",
    "profile": "whence.data.profile",
    "Profile": "whence.data.profile",
    "Knowledge": "whence.graphs.knowledge",
    "graph": "whence.graphs.build",
    "Graph": "whence.graphs.graph",
    "DAG": "whence.graphs.classes",
    "CPDAG": "whence.graphs.classes",
    "MPDAG": "whence.graphs.classes",
    "ADMG": "whence.graphs.classes",
    "separated": "whence.graphs.separation",
    "claims": "whence.graphs.claims",
    "premises": "whence.graphs.premises",
    "discover": "whence.discovery.discovery",
    "Discovery": "whence.discovery.discovery",
    "posterior": "whence.discovery.posterior",
    "Posterior": "whence.discovery.posterior",
    "identify": "whence.identification.identify",
    "Identified": "whence.identification.result",
    "NotIdentified": "whence.identification.result",
    "Spec": "whence.identification.spec",
    "estimate": "whence.estimation.estimate",
    "Effect": "whence.estimation.effect",
    "conditional": "whence.estimation.conditional",
    "Conditional": "whence.estimation.heterogeneity.people",
    "bounds": "whence.estimation.bounds",
    "Bounds": "whence.estimation.bounds",
    "Refused": "whence.core.result",
    "check": "whence.checks.run",
    "Check": "whence.checks.check",
    "study": "whence.studies.study",
    "Study": "whence.studies.study",
    "Finding": "whence.report.finding",
    "methods": "whence.core.registry",
    "WhenceError": "whence.core.errors",
}

__all__ = [*_PUBLIC, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from whence.checks.check import Check as Check
    from whence.checks.run import check as check
    from whence.core.errors import WhenceError as WhenceError
    from whence.core.registry import methods as methods
    from whence.core.result import Refused as Refused
    from whence.data.load import read as read
    from whence.data.profile import Profile as Profile
    from whence.data.profile import profile as profile
    from whence.data.table import Table as Table
    from whence.discovery.discovery import Discovery as Discovery
    from whence.discovery.discovery import discover as discover
    from whence.discovery.posterior import Posterior as Posterior
    from whence.discovery.posterior import posterior as posterior
    from whence.estimation.bounds import Bounds as Bounds
    from whence.estimation.bounds import bounds as bounds
    from whence.estimation.conditional import conditional as conditional
    from whence.estimation.effect import Effect as Effect
    from whence.estimation.estimate import estimate as estimate
    from whence.estimation.heterogeneity.people import Conditional as Conditional
    from whence.graphs.build import graph as graph
    from whence.graphs.claims import claims as claims
    from whence.graphs.classes import ADMG as ADMG
    from whence.graphs.classes import CPDAG as CPDAG
    from whence.graphs.classes import DAG as DAG
    from whence.graphs.classes import MPDAG as MPDAG
    from whence.graphs.graph import Graph as Graph
    from whence.graphs.knowledge import Knowledge as Knowledge
    from whence.graphs.premises import premises as premises
    from whence.graphs.separation import separated as separated
    from whence.identification.identify import identify as identify
    from whence.identification.result import Identified as Identified
    from whence.identification.result import NotIdentified as NotIdentified
    from whence.identification.spec import Spec as Spec
    from whence.report.finding import Finding as Finding
    from whence.studies.study import Study as Study
    from whence.studies.study import study as study


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'whence' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
