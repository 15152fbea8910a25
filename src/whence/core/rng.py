"""Seeded generators, passed in. Streams are named, so order of use and of columns do not matter."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from whence.core.errors import WhenceError

if TYPE_CHECKING:
    import numpy as np


def generator(seed: int, *stream: str | int) -> np.random.Generator:
    """A NumPy generator for ``seed`` and a named stream, e.g. ``generator(seed, "folds", 3)``.

    Equal arguments give equal numbers; different streams are independent.
    """
    import numpy as np

    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise WhenceError(
            f"The seed must be a whole number of at least 0, not {seed!r}.",
            code="bad_seed", value=seed, allowed="integers >= 0",
        )
    key = hashlib.blake2b(repr(stream).encode(), digest_size=16).digest()
    words = [int.from_bytes(key[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([int(seed), *words])))
