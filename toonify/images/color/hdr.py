"""PQ and HLG to light, and the light of HDR to what an SDR picture can hold.

Sources: ITU-R BT.2100-2, tables 4 (PQ) and 5 (HLG); ITU-R BT.2408-7, section 2 (reference white, 203 cd/m2) and
annex 5 (the tone mapping of ITU-R BT.2390, EETF).
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

TONE_MAPPED = "its HDR was tone-mapped to sRGB"
REFERENCE_WHITE = 203.0  # cd/m2, which becomes white
_HLG_PEAK = 1000.0  # cd/m2 of the display that HLG is graded for; its system gamma is 1.2 then
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_HIGHLIGHTS = (
    1e-4  # share of the pixels that may be brighter than what counts as a picture's peak: compression's ringing
)


def pq_to_linear(sample: Doubles) -> Doubles:
    """PQ's EOTF: samples from 0 to 1 to light in units of reference white."""
    power = sample ** (1 / _M2)
    return (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1) * 10_000 / REFERENCE_WHITE


def linear_to_pq(linear: Singles) -> Singles:
    """PQ's inverse EOTF: light in units of reference white to samples from 0 to 1."""
    power = (np.maximum(linear, 0) * (REFERENCE_WHITE / 10_000)) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2, np.float32)


def hlg_to_scene(sample: Doubles) -> Doubles:
    """HLG's inverse OETF: samples from 0 to 1 to the light of the scene, from 0 to 1."""
    return np.where(sample <= 0.5, sample**2 / 3, (np.exp((sample - _C) / _A) + _B) / 12)


def hlg_to_linear(scene: Singles) -> Singles:
    """HLG's OOTF: the scene's light, ... x 3 (BT.2020), to that of a display of 1000 cd/m2, in reference whites."""
    luminance = scene @ _BT2020_LUMA
    return np.asarray(
        scene * (np.maximum(luminance, 1e-9) ** 0.2)[..., None] * (_HLG_PEAK / REFERENCE_WHITE), np.float32
    )


def peak_of(parts: Iterable[Singles]) -> float:
    """The brightest channel of a picture that is given in parts, but for one pixel in 10,000; at least 1."""
    brightest = np.concatenate([part.max(axis=-1).ravel() for part in parts])
    place = min(len(brightest) - 1, int(len(brightest) * (1 - _HIGHLIGHTS)))
    return max(1.0, float(np.partition(brightest, place)[place]))


def tone_map(linear: Singles, peak: float) -> None:
    """Bring light up to `peak` into 0 to 1, in place: H x W x 3 in units of reference white.

    BT.2390's EETF with the black of both at 0, on the largest channel of a pixel, so that colors keep their hue. What
    is darker than its knee stays as it is; a picture no brighter than reference white stays as it is altogether.
    """
    if peak <= 1:
        return
    brightest = linear.max(axis=-1)
    white, whole = (float(level) for level in linear_to_pq(np.array([1.0, peak], np.float32)))
    most = white / whole
    knee = 1.5 * most - 0.5
    level = np.minimum(linear_to_pq(brightest) / whole, 1)
    t = np.maximum(level - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    mapped = pq_to_linear(np.where(level < knee, level, spline) * whole)
    linear *= (mapped / np.maximum(brightest, 1e-9)).astype(np.float32)[..., None]
