"""The states that a small quantum circuit gives to rows of data, simulated exactly.

Every coordinate turns qubits by its value, neighbouring qubits are entangled, and this is repeated ("data
re-uploading"). The kernel of two rows is the probability that one's circuit followed by the other's inverse
returns to the start: the squared overlap of their states.
"""

from __future__ import annotations

import numpy as np

MOST_QUBITS = 8
LAYERS = 2
FEWEST_QUBITS = 3


def qubits(coordinates: int) -> int:
    """Qubits for rows of so many coordinates: one each, and at least 3 so that there is something to entangle."""
    return max(coordinates, FEWEST_QUBITS)


def states(points: np.ndarray, layers: int = LAYERS) -> np.ndarray:
    """complex (n, 2^q) states of the rows of (n, p) angles; q = ``qubits(p)``, at most 8.

    Each layer rotates qubit k about Y by coordinate k mod p and about Z by its square root of 2 multiple, then
    applies a controlled Z between neighbours on a ring.
    """
    n, p = points.shape
    q = qubits(p)
    state = np.zeros((n, 2**q), dtype=np.complex128)
    state[:, 0] = 1.0
    signs = _ring(q)
    for _ in range(layers):
        for k in range(q):
            angle = points[:, k % p] / 2 if p else np.zeros(n)
            state = _rotated(state, angle, k, q)
        state *= signs
    return state


def _rotated(state: np.ndarray, angle: np.ndarray, k: int, q: int) -> np.ndarray:
    """Qubit k turned about Y by twice the angle and then about Z by 2 sqrt(2) angles."""
    parts = state.reshape(len(state), 2**k, 2, 2 ** (q - k - 1))
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    turn = np.exp(1j * np.sqrt(2.0) * angle)[:, None, None]
    low, high = c * parts[:, :, 0] - s * parts[:, :, 1], s * parts[:, :, 0] + c * parts[:, :, 1]
    return np.stack([low / turn, high * turn], axis=2).reshape(state.shape)


def _ring(q: int) -> np.ndarray:
    """Signs (2^q,) of controlled Z gates between neighbours on a ring of q qubits."""
    bits = (np.arange(2**q)[:, None] >> np.arange(q)[::-1]) & 1
    pairs = (bits * np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(pairs % 2, -1.0, 1.0)


def fidelity(made: np.ndarray, one: np.ndarray) -> np.ndarray:
    """(n,) squared overlaps of states (n, D) with one state (D,)."""
    return np.abs(made @ one.conj()) ** 2
