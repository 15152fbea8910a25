"""``whence profile``: what is in a data set."""

from __future__ import annotations

from whence.cli import screen
from whence.cli.inputs import read_data
from whence.cli.options import Data, Json, Kinds, Missing, Seed
from whence.cli.progress import bars
from whence.cli.status import ANSWERED


def profile(data: Data, /, *, kinds: Kinds = (), missing: Missing = (), json: Json = False, seed: Seed = 0) -> int:
    """Describe a data set: kinds, gaps, oddities, structure.

    Each column gets its kind, its range or levels, and its share of missing values. Remarks name what matters for a
    causal analysis (constant and duplicated columns, near-collinearity, missingness that depends on other columns,
    panel or time structure), each with the numbers behind it.

    Examples:

      whence profile data.csv
      whence profile data.parquet --kinds stage=ordinal site=categorical
      whence profile data.csv --json
    """
    from whence.data.profile import profile as describe

    with bars() as progress:
        described = describe(read_data(data, kinds, missing), progress=progress)
    if json:
        screen.emit(described.to_dict())
    else:
        from whence.cli.show_profile import show

        show(described)
    return ANSWERED
