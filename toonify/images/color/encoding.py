"""Primaries and transfer functions by name: the code points of ITU-T H.273, and those that files give as numbers."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
XY = tuple[float, float]


@dataclass(frozen=True)
class Chromaticities:
    """CIE 1931 xy of the primaries and the white point."""

    red: XY
    green: XY
    blue: XY
    white: XY

    def to_xyz(self) -> Doubles:
        """The 3 x 3 matrix from linear RGB to XYZ, with Y = 1 for white (SMPTE RP 177).

        Raises ValueError for primaries that span no triangle, and for a white with y = 0.
        """
        primaries = np.array([_xyz(xy) for xy in (self.red, self.green, self.blue)]).T
        try:
            scale = np.linalg.solve(primaries, _xyz(self.white))
        except np.linalg.LinAlgError as error:
            raise ValueError("the primaries span no triangle") from error
        return primaries * scale

    def is_near(self, other: "Chromaticities") -> bool:
        """Whether they are the same up to what files round: 0.001."""
        return bool(np.abs(_numbers(self) - _numbers(other)).max() <= 0.0015)


def _xyz(xy: XY) -> Doubles:
    x, y = xy
    if y == 0:
        raise ValueError("a chromaticity with y = 0")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _numbers(colors: Chromaticities) -> Doubles:
    return np.array([colors.red, colors.green, colors.blue, colors.white])


_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
BT709 = Chromaticities((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
BT2020 = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)
_BT601_525 = Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_BT601_625 = Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
# ITU-T H.273 (09/2023), table 2. Code point 10, XYZ, is not here: it has no primaries of this kind.
PRIMARIES_OF_CODE = {
    1: BT709,
    4: Chromaticities((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: _BT601_625,
    6: _BT601_525,
    7: _BT601_525,
    8: Chromaticities((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: BT2020,
    11: Chromaticities(*_P3, _DCI),
    12: Chromaticities(*_P3, _D65),
    22: Chromaticities((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}


@dataclass(frozen=True)
class Gamma:
    """A power function: linear = sample ** exponent."""

    exponent: float


Transfer = Literal["srgb", "pq", "hlg", "log100", "log316", "st428"] | Gamma
# ITU-T H.273 (09/2023), table 3. 1, 6, 14 and 15 are cameras' curves; what they are made for is shown by BT.1886, and
# every viewer and browser shows such values as they are: so they stand for sRGB's here, too, as do 7, 11 and 12.
TRANSFER_OF_CODE: dict[int, Transfer] = {
    **dict.fromkeys((1, 6, 7, 11, 12, 13, 14, 15), "srgb"),
    4: Gamma(2.2),
    5: Gamma(2.8),
    8: Gamma(1.0),
    9: "log100",
    10: "log316",
    16: "pq",
    17: "st428",
    18: "hlg",
}
_UNSPECIFIED = 2


@dataclass(frozen=True)
class Encoding:
    """How RGB samples stand for colors: full range, 0 to 1."""

    primaries: Chromaticities = BT709
    transfer: Transfer = "srgb"

    @property
    def is_hdr(self) -> bool:
        """Whether white is not the brightest that it can hold."""
        return self.transfer in ("pq", "hlg")


SRGB = Encoding()
ADOBE_RGB = Encoding(Chromaticities((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65), Gamma(563 / 256))


def from_code_points(primaries: int, transfer: int, notes: list[str]) -> Encoding:
    """The encoding that two code points of ITU-T H.273 mean; what they leave open is sRGB's.

    Those that are not known are named in `notes`, and sRGB's are taken in their place.
    """
    colors, curve = PRIMARIES_OF_CODE.get(primaries), TRANSFER_OF_CODE.get(transfer)
    unknown = [
        f"{what} {code}"
        for what, code, found in (("primaries", primaries, colors), ("transfer function", transfer, curve))
        if found is None and code not in (_UNSPECIFIED, 0)
    ]
    if unknown:
        notes.append(f"its colors are read as sRGB: {' and '.join(unknown)} of H.273 not known")
    return Encoding(colors or BT709, curve or "srgb")
