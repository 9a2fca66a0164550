"""The matrices of Winograd's convolutions."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

TAPS = 3  # r, the width of the filters
_POINTS = {
    2: (0, 1, -1),
    4: (0, 1, -1, 2, -2),
    6: (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)),
}


def winograd_matrices(m: int) -> tuple[Matrix, Matrix, Matrix]:
    """A' (m x n), B' (n x n) and G (n x 3) of F(m, 3), with n = m + 2, for m = 2, 4 or 6.

    They correlate n numbers d with a filter g of 3, to m results, in n multiplications:
    result[i] = sum over j of d[i + j] g[j] = (A' [(G g) * (B' d)])[i].

    Source: Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4. The construction is
    Toom and Cook's: A' and G evaluate polynomials at n - 1 small numbers and at infinity, B' is solved for. Each
    row of B' is scaled to a largest entry of 1, and the row of G inversely, so that the products are of similar size.
    """
    n = m + TAPS - 1
    a, g = _evaluate(m, m).T, _evaluate(m, TAPS)
    # For each result i and tap j, the equation holds for all d if: sum over k of A'[i, k] G[k, j] B'[k] = unit[i + j].
    system = np.einsum("ik,kj->ijk", a, g).reshape(m * TAPS, n)
    units = np.eye(n)[np.add.outer(np.arange(m), np.arange(TAPS)).ravel()]
    b = np.linalg.lstsq(system, units, rcond=None)[0]
    scale = np.abs(b).max(axis=1, keepdims=True)
    return a, b / scale, g * scale


def _evaluate(m: int, coefficients: int) -> Matrix:
    """Values of the monomials of a polynomial (points x coefficients) at F(m, 3)'s points and at infinity."""
    finite = [[float(Fraction(point) ** power) for power in range(coefficients)] for point in _POINTS[m]]
    leading = [0.0] * (coefficients - 1) + [1.0]
    return np.array([*finite, leading])
