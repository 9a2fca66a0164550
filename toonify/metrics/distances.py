"""The figures themselves: feature vectors in, numbers out. Rows are pictures; A is what is judged, B the reference."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from toonify.metrics.gaussian import Doubles, Gaussian

Vectors = NDArray[np.float32] | Doubles  # N x d; arithmetic is in double precision whichever they are
_SUBSET = 1000  # pictures in each of KID's subsets, where there are so many
_BLOCK = 1024  # rows of a matrix of all pairs that are in memory at a time


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """FID: |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Heusel et al. 2017, eq. 6).

    With C = R.T R, the trace of the square root is the sum of the singular values of R_a R_b.T: exact also where
    covariances are singular, where a matrix square root has to be helped, and many times as fast.
    """
    shift = float(np.sum((a.mean - b.mean) ** 2))
    spread = float(np.sum(a.root**2) + np.sum(b.root**2))
    shared = float(np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum())
    return max(shift + spread - 2 * shared, 0.0)  # rounding may take it below


def subset_size(smaller: int) -> int:
    """How many pictures KID's subsets have, if the smaller set has that many.

    Half of a small set, so that subsets differ and their standard deviation says something.
    """
    return _SUBSET if smaller >= _SUBSET else max(smaller // 2, 2)


def kernel_distance(
    a: Vectors, b: Vectors, *, subset: int, subsets: int = 100, seed: int = 2020
) -> tuple[float, float]:
    """KID: the unbiased squared MMD of the kernel (x.y / d + 1)^3 over random subsets (Binkowski et al. 2018).

    Returns mean and standard deviation over the subsets, drawn as torch-fidelity draws them with the same seed.
    """
    random = np.random.RandomState(seed)
    chosen = [
        (random.choice(len(a), subset, replace=False), random.choice(len(b), subset, replace=False))
        for _ in range(subsets)
    ]
    of_a, of_b = (np.array(rows) for rows in zip(*chosen, strict=True))
    within_a = _kernel_sums(a, a, of_a, of_a) - _diagonal_sums(a, of_a)
    within_b = _kernel_sums(b, b, of_b, of_b) - _diagonal_sums(b, of_b)
    between = _kernel_sums(a, b, of_a, of_b)
    estimates = (within_a + within_b) / (subset * (subset - 1)) - 2 * between / subset**2
    return float(estimates.mean()), float(estimates.std())


def _kernel(x: Vectors, y: Vectors) -> Doubles:
    base = x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1
    return np.asarray(base * base * base)


def _kernel_sums(x: Vectors, y: Vectors, of_x: NDArray[np.intp], of_y: NDArray[np.intp]) -> Doubles:
    """The sum of the kernel over all pairs, for each pair of subsets (S x m row numbers each)."""
    if len(x) * len(y) > of_x.size * of_y.shape[1]:
        return np.array([_kernel(x[rows], y[columns]).sum() for rows, columns in zip(of_x, of_y, strict=True)])
    # Few pictures, so subsets overlap much: the kernel of all pairs is taken once and serves them all.
    in_x, in_y = _membership(of_x, len(x)), _membership(of_y, len(y))
    sums = np.zeros(len(of_x))
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        sums += ((in_x[:, rows] @ _kernel(x[rows], y)) * in_y).sum(axis=1)
    return sums


def _diagonal_sums(x: Vectors, of_x: NDArray[np.intp]) -> Doubles:
    diagonal: Doubles = (_squares(x) / x.shape[1] + 1) ** 3
    return np.asarray(diagonal[of_x].sum(axis=1))


def _membership(rows: NDArray[np.intp], count: int) -> Doubles:
    member = np.zeros((len(rows), count))
    np.put_along_axis(member, rows, 1.0, axis=1)
    return member


def inception_score(logits: Doubles, *, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """Inception Score: exp of the mean KL(p(class | picture) || p(class)), in shuffled parts (Salimans et al. 2016).

    `logits` are N x 1008, without bias. Returns mean and standard deviation over the parts. Raises ValueError if there
    are fewer pictures than parts.
    """
    if len(logits) < splits:
        raise ValueError(f"the Inception Score of {splits} parts needs {splits} pictures or more")
    order = np.random.RandomState(seed).permutation(len(logits))
    shifted = logits[order] - logits[order].max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    scores = []
    for part in range(splits):
        rows = slice(part * len(p) // splits, (part + 1) * len(p) // splits)
        marginal = p[rows].mean(axis=0)
        divergence = np.where(p[rows] > 0, p[rows] * (log_p[rows] - np.log(np.maximum(marginal, 1e-300))), 0)
        scores.append(float(np.exp(divergence.sum(axis=1).mean())))
    return float(np.mean(scores)), float(np.std(scores))


def precision_recall(a: Vectors, b: Vectors, *, neighbors: int = 3) -> tuple[float, float]:
    """Share of A that lies among B, and of B that lies among A (Kynkaanniemi et al. 2019).

    A vector lies among others if it is within the distance of one of them to its k-th nearest of its own kind.
    """
    return _share_among(a, b, neighbors), _share_among(b, a, neighbors)


def _share_among(points: Vectors, others: Vectors, neighbors: int) -> float:
    if len(others) <= neighbors:
        raise ValueError(f"precision and recall with {neighbors} neighbors need {neighbors + 1} pictures or more")
    radii = np.concatenate(
        [np.partition(distances, neighbors, axis=1)[:, neighbors] for distances in _distances(others, others)]
    )
    inside = [(distances <= radii).any(axis=1) for distances in _distances(points, others)]
    return float(np.concatenate(inside).mean())


def _distances(x: Vectors, y: Vectors) -> Iterator[Doubles]:
    """The squared distance from each row of x to all of y, a block of rows at a time."""
    of_y = _squares(y)
    for start in range(0, len(x), _BLOCK):
        rows = x[start : start + _BLOCK].astype(np.float64)
        distances = np.empty((len(rows), len(y)))
        for first in range(0, len(y), _BLOCK):
            part = slice(first, first + _BLOCK)
            distances[:, part] = _squares(rows)[:, None] + of_y[part] - 2 * rows @ y[part].astype(np.float64).T
        yield np.maximum(distances, 0)


def _squares(x: Vectors) -> Doubles:
    """The squared length of each row, in double precision."""
    return np.asarray(np.einsum("nd,nd->n", x, x, dtype=np.float64))
