"""The demonstration: a real question on a real cohort, with a graph drawn from what is known.

The data are the NHANES I Epidemiologic Follow-up Study as distributed with Hernan and Robins, "Causal
Inference: What If" (2020), and shipped by the ``causaldata`` package (in the extra ``demo``).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whence.core.errors import WhenceError
from whence.core.progress import SILENT, Progress
from whence.report.finding import Finding
from whence.studies.study import Study, study

QUESTION = "How much does quitting smoking change weight?"

# Time runs down the page: what was so at birth, then life until 1971, then the decade of the study.
GRAPH = """dag {
  qsmk [exposure]
  wt82_71 [outcome]
  sex -> { education exercise active smokeintensity smokeyrs wt71 qsmk wt82_71 }
  age -> { education exercise active smokeintensity smokeyrs wt71 qsmk wt82_71 }
  race -> { education exercise active smokeintensity smokeyrs wt71 qsmk wt82_71 }
  education -> { exercise active smokeintensity smokeyrs wt71 qsmk wt82_71 }
  exercise -> { active wt71 qsmk wt82_71 }
  active -> { wt71 qsmk wt82_71 }
  smokeyrs -> { smokeintensity wt71 qsmk wt82_71 }
  smokeintensity -> { wt71 qsmk wt82_71 }
  wt71 -> { qsmk wt82_71 }
  qsmk -> wt82_71
}
"""
KINDS = {"education": "categorical", "exercise": "categorical", "active": "categorical"}


@dataclass(frozen=True)
class Demo:
    """The files written and the study on them."""

    data: Path
    about: Path
    graph: Path
    study: Study

    def command(self) -> str:
        """The command line that asks the same question."""
        kinds = " ".join(f"--kind {name}={kind}" for name, kind in KINDS.items())
        return f'whence ask {self.data} "{QUESTION}" --about {self.about} --graph {self.graph} {kinds}'


def prepare(folder: str | Path, progress: Progress = SILENT) -> Demo:
    """Write the cohort, its codebook and the graph to ``folder`` and plan the study.

    Raises ``WhenceError`` (``missing_extra``) when the data package is not installed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    cohort, codebook = _frames()
    data, about, graph = folder / "nhefs.csv", folder / "nhefs-about.txt", folder / "nhefs-graph.txt"
    cohort.to_csv(data, index=False)
    entries = [f"{name}: {' '.join(text.split()).lower()}" for name, text in codebook]
    about.write_text(
        "Cigarette smokers aged 25 to 74 had a first visit in 1971 and a second in 1982.\n" + "\n".join(entries) + "\n",
        encoding="utf-8")
    graph.write_text(GRAPH, encoding="utf-8")
    planned = study(data, QUESTION, about.read_text(encoding="utf-8"), GRAPH, kinds=KINDS, progress=progress)
    return Demo(data, about, graph, planned)


def run(folder: str | Path, progress: Progress = SILENT) -> tuple[Demo, Finding, Path]:
    """The whole road: files, plan, finding, report. Gives the demo, the finding and the report's path."""
    demo = prepare(folder, progress)
    finding = demo.study.run(progress)
    return demo, finding, finding.report(Path(folder) / "report.html")


def _frames() -> tuple[Any, list[tuple[str, str]]]:
    """The cohort as a data frame and the codebook as (name, text) pairs, read without importing the package."""
    spec = importlib.util.find_spec("causaldata")
    if spec is None or not spec.submodule_search_locations or importlib.util.find_spec("pandas") is None:
        raise WhenceError("The demo's data are not installed.", code="missing_extra", value="demo",
                          hint="Install them with: pip install causaldata pandas")
    import pandas as pd

    load: Any = pd.read_stata  # its declared type admits a reader, which these arguments never give
    root = Path(spec.submodule_search_locations[0])
    cohort = load(root / "nhefs" / "nhefs.dta")
    labelled = [c for c in cohort.columns if cohort[c].dtype == "category"]
    cohort[labelled] = cohort[labelled].astype(str).astype(int)  # the labels, not Stata's positions
    whole = [c for c in cohort.columns if (cohort[c].dropna() % 1 == 0).all()]
    cohort[whole] = cohort[whole].astype("Int64")  # 1, not 1.0
    book = load(root / "nhefs_codebook" / "nhefs_codebook.dta")
    known = {str(c) for c in cohort.columns}
    pairs = [(str(v), str(d)) for v, d in zip(book["variable"], book["description"], strict=True) if str(v) in known]
    return cohort, pairs
