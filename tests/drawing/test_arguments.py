"""From Python: arguments of another type are named, and `dir` shows the API."""

from pathlib import Path

import numpy as np
import pytest

import toonify
from toonify.errors import UsageError


def test_dir_is_the_api() -> None:
    assert dir(toonify) == ["Style", "__version__", "load_style"]


def test_a_path_is_a_name(tiny_onnx: Path, noise: np.ndarray) -> None:
    assert np.array_equal(toonify.load_style(tiny_onnx)(noise), toonify.load_style(str(tiny_onnx))(noise))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": "1"}, "strength '1': give a number"),
        ({"strength": True}, "strength True: give a number"),
        ({"strength": None}, "strength None: give a number"),
        ({"lines": "many"}, "lines 'many': give a number or None"),
        ({"size": 64.0}, "size 64.0: give a whole number or 'full' or None"),
        ({"size": "big"}, "size 'big': give a whole number or 'full' or None"),
        ({"output_size": None}, "output_size None: give a whole number or 'same' or 'drawn'"),
        ({"look": "wild"}, "look 'wild': give 'soft' or 'drawn' or 'bold' or None"),
        ({"look": ["soft"]}, "look ['soft']: give 'soft'"),
        ({"raw": 1}, "raw 1: give True or False"),
        ({"variant": 2}, "variant 2: give the name of a variant"),
        ({"tile": 12.5}, "tile 12.5: give a whole number or 'auto' or 'off'"),
        ({"device": "gpu"}, "device 'gpu': give 'auto' or 'cpu' or 'cuda'"),
        ({"backend": 3}, "backend 3: give 'onnx'"),
        ({"strenght": 1}, "strenght is no argument of load_style (is it strength?)"),
    ],
)
def test_an_argument_of_another_type_is_named(options: dict, message: str, tiny_onnx: Path) -> None:
    with pytest.raises(UsageError) as caught:
        toonify.load_style(tiny_onnx, **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", [None, 3, b"shinkai"])
def test_a_name_of_another_type_is_named(name: object) -> None:
    with pytest.raises(UsageError, match="give the name of a style, or a path"):
        toonify.load_style(name)
