"""Means and variances over a whole picture, gathered tile by tile."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Statistics:
    """Mean and variance of each channel over all the tiles that were added, in float64.

    Source: Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances, 1979,
    equation 2.1. Sums of squares would cancel where a channel is nearly of one value.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean: NDArray[np.float64] | float = 0.0
        self._spread: NDArray[np.float64] | float = 0.0

    def add(self, count: int, mean: ArrayLike, spread: ArrayLike) -> None:
        """Add a tile of `count` places: for each channel its mean, and the sum of squared differences from that."""
        total = self._count + count
        difference = np.asarray(mean, np.float64) - self._mean
        self._spread = self._spread + np.asarray(spread, np.float64) + difference**2 * (self._count * count / total)
        self._mean = self._mean + difference * (count / total)
        self._count = total

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of each channel."""
        return np.asarray(self._mean)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Of each channel: the mean squared difference from the mean."""
        return np.asarray(self._spread) / self._count
