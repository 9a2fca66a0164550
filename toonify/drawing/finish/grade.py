"""The grade: light and color of the whole picture, as a style likes them."""

from dataclasses import dataclass

import numpy as np

from toonify.drawing.finish.filters import gaussian, smoothstep
from toonify.drawing.finish.lab import Planes, to_planes, to_rgb
from toonify.pixels.arrays import Floats, Pixels, to_floats
from toonify.pixels.boxes import Box
from toonify.pixels.resize import fit_long_side, resize
from toonify.styles.look import Grade

_FRAME_SIDE = 192  # pixels: the size at which the frame as a whole is looked at
_GLOW = 0.024  # of the long side: standard deviation of the light that spreads


@dataclass(frozen=True)
class Frame:
    """What a grade needs to know of the frame as a whole."""

    lightness: float  # its mean, L / 100
    glow: Floats | None  # light that spreads, 3 x h x w sRGB at a small size; None: none does

    def cropped(self, box: Box, height: int, width: int) -> "Frame":
        """The same frame as a part of the photo, H x W pixels, sees it."""
        if self.glow is None:
            return self
        _, h, w = self.glow.shape
        top, left = box.top * h // height, box.left * w // width
        bottom, right = -(-box.bottom * h // height), -(-box.right * w // width)
        return Frame(self.lightness, np.ascontiguousarray(self.glow[:, top:bottom, left:right]))

    def towards(self, other: "Frame", share: float) -> "Frame":
        """Between this one (`share` 0) and another of the same grade (1)."""
        lightness = self.lightness + share * (other.lightness - self.lightness)
        if self.glow is None or other.glow is None:
            return Frame(lightness, other.glow)
        return Frame(lightness, self.glow + np.float32(share) * (other.glow - self.glow))


def measure_frame(photo: Pixels, grade: Grade | None) -> Frame:
    """Measure a photo of any size, H x W x 3."""
    height, width = photo.shape[:2]
    side = min(_FRAME_SIDE, max(height, width))
    small = to_floats(resize(photo, fit_long_side(height, width, side)))
    planes = to_planes(small)
    lightness = float(planes[0].mean())
    if grade is None or not grade.glow:
        return Frame(lightness, None)
    bright = smoothstep(planes[0], 0.75, 1.0)[..., None]
    shining = gaussian(bright * to_rgb(apply_grade(planes, grade, lightness)), _GLOW * side)
    return Frame(lightness, np.ascontiguousarray(shining.transpose(2, 0, 1)))


def apply_grade(planes: Planes, grade: Grade, mean: float) -> Planes:
    """Grade a picture, of which `mean` is the mean lightness over the frame.

    Light: a gamma curve that brings a dark frame towards `grade.lightness`, an S-curve for contrast, and the range from
    `grade.black` to `grade.white`. Color: saturation, more of it for dull colors than for strong ones, some for what
    became lighter; greens turned to yellow; shadows and highlights shifted (split toning).
    """
    before, a, b = planes
    before = np.clip(before, 0, 1)
    light = np.power(before, _gamma(grade, mean))
    light += grade.contrast * (smoothstep(light, 0, 1) - light)
    black = grade.black * (1 - 0.6 * _night(mean))
    light = black + (grade.white - black) * light

    chroma = np.sqrt(a * a + b * b)
    dull = np.exp(-np.square(chroma / 0.3)) * smoothstep(chroma, 0.015, 0.08)
    lifted = np.clip((light + 0.05) / (before + 0.05), 0.8, 1.35)
    factor = grade.saturation * (1 + grade.vibrance * dull)
    factor *= np.power(lifted, 0.45)
    factor = 1 + (1 - smoothstep(chroma, 0.45, 0.8)) * (factor - 1)  # the strongest are at the border of sRGB
    if grade.greens:
        green = grade.greens * smoothstep(-a, 0.02, 0.15) * smoothstep(b, -0.02, 0.12)
        a, b = a * (1 - 0.5 * green), b * (1 + 0.15 * green)
    dark, bright = 1 - smoothstep(light, 0.1, 0.55), smoothstep(light, 0.6, 0.95)
    a = a - 0.35 * (factor - 1) * np.maximum(-b, 0)  # CIELAB's blues turn purple as they get stronger
    a, b = (
        factor * plane + shadow * dark + highlight * bright
        for plane, shadow, highlight in zip((a, b), grade.shadows, grade.highlights, strict=True)
    )
    return [light, a, b]


def add_glow(picture: Floats, glow: Floats, amount: float) -> Floats:
    """Add light to h x w x 3 in 0..1 as a second exposure would (screen blending); `glow` has the same size."""
    return 1 - (1 - picture) * (1 - amount * glow)


def _gamma(grade: Grade, mean: float) -> float:
    """The exponent that brings a mean lightness towards that of the grade; at least 0.62, and 1 for bright frames."""
    mean = max(mean, 0.05)
    if mean >= grade.lightness:
        return 1.0
    aim = mean + (grade.lightness - mean) * grade.lift * (1 - 0.6 * _night(mean))
    return max(0.62, float(np.log(aim) / np.log(mean)))


def _night(mean: float) -> float:
    """How much a frame of that mean lightness is a night, 0..1. It is to stay one: it is lifted two fifths as far."""
    return min(max((0.4 - mean) / 0.3, 0.0), 1.0)
