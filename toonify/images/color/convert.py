"""RGB samples of any encoding to sRGB."""

import functools

import numpy as np
import numpy.typing as npt

from toonify.images.color.encoding import BT709, SRGB, Chromaticities, Doubles, Encoding, Gamma, Transfer
from toonify.images.color.hdr import TONE_MAPPED, hlg_to_linear, hlg_to_scene, peak_of, pq_to_linear, tone_map
from toonify.pixels.arrays import Pixels

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Singles = npt.NDArray[np.float32]

_STEPS = 1 << 14  # of linear light before it is encoded: a step is at most a fifth of a level, where black begins
_BAND = 1 << 20  # pixels that are converted at a time
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def encoding_to_srgb(samples: Samples, encoding: Encoding, notes: list[str]) -> Pixels:
    """H x W x 3 samples (RGB, full range, 8 or 16 bits) as sRGB pixels.

    White stays white: white points are adapted (Bradford), colors outside of sRGB are clipped. PQ and HLG are mapped
    to SDR with reference white at 203 cd/m2 (ITU-R BT.2408), which is said in `notes`.
    """
    if encoding == SRGB:
        return to_8_bits(samples)
    try:
        matrix = _matrix(encoding.primaries)
    except ValueError as error:
        notes.append(f"its colors are read as sRGB: {error}")
        return to_8_bits(samples)
    most = np.iinfo(samples.dtype).max
    if encoding.is_hdr:
        notes.append(TONE_MAPPED)
    elif encoding.primaries.is_near(BT709):
        return np.asarray(_to_8_bits(_to_linear(encoding.transfer, most))[samples], np.uint8)
    curve = _to_linear(encoding.transfer, most)
    result = np.empty(samples.shape, np.uint8)
    bands = _bands(samples.shape[0], samples.shape[1])
    peak = 1.0
    if encoding.is_hdr:
        peak = peak_of([_light(samples[band], curve, encoding) for band in bands])
    for band in bands:
        linear = _light(samples[band], curve, encoding)
        if encoding.is_hdr:
            tone_map(linear, peak)
        result[band] = _to_8_bits(linear @ matrix.T.astype(np.float32))
    return result


def to_8_bits(samples: Samples) -> Pixels:
    """Samples of 8 or 16 bits as 8, rounded."""
    if samples.dtype == np.uint8:
        return np.asarray(samples, np.uint8)
    return np.asarray((samples.astype(np.uint32) * 255 + 32_767) // 65_535, np.uint8)


def _bands(height: int, width: int) -> list[slice]:
    rows = max(1, _BAND // max(1, width))
    return [slice(top, top + rows) for top in range(0, height, rows)]


def _light(samples: Samples, curve: Singles, encoding: Encoding) -> Singles:
    """Linear light of samples; of HDR in units of reference white."""
    light = curve[samples]
    return hlg_to_linear(light) if encoding.transfer == "hlg" else light


@functools.lru_cache(maxsize=32)
def _to_linear(transfer: Transfer, most: int) -> Singles:
    """The linear light of each sample from 0 to `most`; of HLG, that of the scene."""
    sample = np.arange(most + 1) / most
    linear: Doubles
    match transfer:
        case Gamma(exponent):
            linear = sample**exponent
        case "srgb":
            linear = np.where(sample <= 0.04045, sample / 12.92, ((sample + 0.055) / 1.055) ** 2.4)
        case "pq":
            linear = pq_to_linear(sample)
        case "hlg":
            linear = hlg_to_scene(sample)
        case "log100":  # H.273, table 3: 10 to the power of 2 (V - 1)
            linear = np.where(sample > 0, 10 ** (2 * (sample - 1)), 0)
        case "log316":
            linear = np.where(sample > 0, 10 ** (2.5 * (sample - 1)), 0)
        case "st428":
            linear = 52.37 / 48 * sample**2.6
    return linear.astype(np.float32)


@functools.lru_cache(maxsize=1)
def _encoded() -> Pixels:
    """sRGB's 8 bits of linear light from 0 to 1, in equal steps."""
    linear = np.linspace(0, 1, _STEPS + 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), np.uint8)


def _to_8_bits(linear: Singles) -> Pixels:
    """sRGB's pixels of linear light; what lies outside of 0 to 1 is clipped."""
    steps = np.rint(np.clip(linear, 0, 1) * _STEPS).astype(np.uint16)
    return np.asarray(_encoded()[steps], np.uint8)


@functools.lru_cache(maxsize=32)
def _matrix(primaries: Chromaticities) -> Doubles:
    """From linear RGB of some primaries to linear sRGB, white to white. Raises ValueError."""
    source = primaries.to_xyz()
    white, target = (_BRADFORD @ matrix.sum(axis=1) for matrix in (source, BT709.to_xyz()))
    if not (white > 0).all():
        raise ValueError("a white point that is no white")
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(target / white) @ _BRADFORD
    return np.asarray(np.linalg.inv(BT709.to_xyz()) @ adapt @ source, np.float64)
