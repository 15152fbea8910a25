"""KCI with the kernel of a small quantum circuit, simulated exactly, and resampled p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from whence.data.table import Table
from whence.stats.citest import kci
from whence.stats.citest.kci import EXACT, run
from whence.stats.citest.result import IndependenceTest

CARD = replace(
    kci.CARD,
    name="kci_quantum",
    title="Kernel conditional independence test with a simulated quantum kernel",
    summary="KCI where rows are compared by the overlap of the states that an entangled circuit of at most 8 qubits "
    "gives them. For tens of rows; measured here, it has no advantage over the Gaussian kernel.",
    parameters=tuple(
        replace(p, default={"kernel": "quantum", "null": "resampling"}.get(p.name, p.default))
        for p in kci.PARAMETERS
    ),
    cost="n^2 times the rank, and n 2^q for q qubits",
    citations=(
        *kci.CITATIONS,
        "Perez-Salinas, A., Cervera-Lierta, A., Gil-Fuster, E. and Latorre, J. I. (2020). Data re-uploading for a "
        "universal quantum classifier. Quantum 4:226.",
        "Schuld, M. (2021). Supervised quantum machine learning models are kernel methods. arXiv:2101.11020.",
    ),
    function="whence.stats.citest.kci_quantum:kci_quantum_test",
)


def kci_quantum_test(
    table: Table, x: str, y: str, given: Sequence[str] = (), *, kernel: str = "quantum", null: str = "resampling",
    width: float = 1.0, draws: int = 499, seed: int = 0,
) -> IndependenceTest:
    """Tests x independent of y given ``given`` on the rows where all of them are present; see ``kci_test``.

    Raises ``WhenceError`` for unknown or repeated columns, and for datetime and text.
    """
    parameters = {"kernel": kernel, "null": null, "width": width, "draws": draws}
    return run(CARD, table, x, y, tuple(given), parameters, seed, EXACT, len(table))
