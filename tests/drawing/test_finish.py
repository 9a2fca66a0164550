import numpy as np
import pytest
from PIL import Image

from toonify.drawing.finish import Colors, finish_soft
from toonify.drawing.finish import correct as module
from toonify.errors import ImageError
from toonify.pixels.arrays import to_floats, to_pixels
from toonify.pixels.color import keep_color, saturate

PHOTO = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)).resize(
        (180, 120), Image.Resampling.BICUBIC
    )
)
DRAWING = np.clip(0.8 * to_floats(PHOTO)[..., ::-1] + 0.1, 0, 1).astype(np.float32)


def literal(drawing: np.ndarray, photo: np.ndarray, colors: Colors, strength: float) -> np.ndarray:
    """All at once, as the formulas say."""
    whole = saturate(keep_color(drawing, to_floats(photo), colors.keep), colors.saturation)
    if strength != 1:
        whole = strength * np.clip(whole, 0, 1) + (1 - strength) * to_floats(photo)
    return to_pixels(whole.astype(np.float32))


@pytest.mark.parametrize("strip", [1, 5000, 1 << 20])
@pytest.mark.parametrize("colors", [Colors(0, 1), Colors(1, 1.25), Colors(0.4, 0)])
@pytest.mark.parametrize("strength", [1, 0.3])
def test_strips_are_what_the_whole_is(
    strip: int, colors: Colors, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STRIP_PIXELS", strip)
    result = finish_soft(DRAWING, PHOTO, PHOTO, colors, detail=0, strength=strength)
    assert np.abs(result.astype(int) - literal(DRAWING, PHOTO, colors, strength)).max() <= 1


def test_a_drawing_in_half_precision_comes_out_the_same() -> None:
    colors = Colors(1, 1.25)
    whole, half = (
        finish_soft(drawing, PHOTO, PHOTO, colors, detail=0, strength=1)
        for drawing in (DRAWING, DRAWING.astype(np.float16))
    )
    assert np.abs(whole.astype(int) - half).max() <= 1


def test_colors_that_were_compared_at_a_smaller_size_are_the_same_to_the_eye(monkeypatch: pytest.MonkeyPatch) -> None:
    big = [
        np.asarray(Image.fromarray(part).resize((720, 480), Image.Resampling.BICUBIC))
        for part in (PHOTO, to_pixels(DRAWING))
    ]
    photo, drawing = big[0], to_floats(big[1])
    colors = Colors(1, 1)
    exact = finish_soft(drawing, photo, photo, colors, detail=0, strength=1)
    monkeypatch.setattr(module, "_MODEL_SIDE", 240)
    quick = finish_soft(drawing, photo, photo, colors, detail=0, strength=1)
    difference = np.abs(exact.astype(int) - quick)
    assert 0 < difference.mean() < 0.7  # of 255
    uncorrected = np.abs(exact.astype(int) - to_pixels(drawing)).mean()
    assert uncorrected > 10


@pytest.mark.parametrize("size", [(240, 360), (60, 90), (1, 1), (121, 181)])
def test_other_sizes_than_the_drawings(size: tuple[int, int]) -> None:
    full = np.asarray(Image.fromarray(PHOTO).resize(size[::-1]))
    result = finish_soft(DRAWING.astype(np.float16), PHOTO, full, Colors(1, 1.25), detail=0, strength=1)
    assert result.shape == (*size, 3) and result.dtype == np.uint8
    expected = literal(DRAWING, PHOTO, Colors(1, 1.25), 1)
    shrunk = np.asarray(Image.fromarray(result).resize((18, 12), Image.Resampling.BOX), int)
    assert (
        size == (1, 1)
        or np.abs(shrunk - np.asarray(Image.fromarray(expected).resize((18, 12), Image.Resampling.BOX))).mean() < 4
    )


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("full", [PHOTO, PHOTO[::2, ::2]])
def test_what_are_no_numbers_is_refused(number: float, kind: type, full: np.ndarray) -> None:
    drawing = DRAWING.astype(kind)
    drawing[-1, -1, -1] = number
    with pytest.raises(ImageError, match="not of finite numbers"):
        finish_soft(drawing, PHOTO, full, Colors(1, 1.25), detail=0, strength=1)
