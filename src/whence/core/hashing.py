"""Content hashes: the same bytes give the same name, on any machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from whence.core.result import to_plain


def content_hash(*parts: Any) -> str:
    """Hex digest (32 characters) of arrays (dtype, shape, bytes), bytes, strings and JSON-ready values."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if hasattr(part, "tobytes") and hasattr(part, "dtype"):
            if part.dtype.kind == "O":
                body = json.dumps([None if v is None else str(v) for v in part.ravel().tolist()]).encode()
            else:
                body = part if part.flags.c_contiguous and part.size else part.tobytes()
            head = f"array {part.dtype.str} {part.shape}"
        elif isinstance(part, (bytes, bytearray)):
            head, body = "bytes", bytes(part)
        elif part is None or isinstance(part, str):
            head, body = "json", json.dumps(part).encode()
        else:
            head, body = "json", json.dumps(to_plain(part), sort_keys=True).encode()
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        size = len(body) if isinstance(body, bytes) else body.nbytes
        digest.update(f"{head} {size}\n".encode())
        digest.update(body)
    return digest.hexdigest()
