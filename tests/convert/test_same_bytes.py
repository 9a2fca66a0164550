"""The same photos to the same bytes, whatever the number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toonify.images import FORMATS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity"),
]
PROGRAM = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv.pop(1))])
from toonify.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos of all kinds that are drawn: sizes, gray, transparency, turned, with profiles and metadata."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(22)
    for number in range(40):
        height, width = (int(side) for side in random.integers(40, 400, 2))
        coarse = random.integers(0, 256, (height // 8 + 2, width // 8 + 2, 4), dtype=np.uint8)
        mode, suffix = [("RGB", "jpg"), ("RGBA", "png"), ("L", "jpg"), ("RGB", "webp"), ("RGB", "tiff")][number % 5]
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).convert(mode)
        exif = Image.Exif()
        exif[0x010F], exif[0x0112] = "Maker", 1 + number % 8
        image.save(folder / f"{number:02}.{suffix}", exif=exif)
    return folder


@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: ())(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_forty_photos_become_the_same_bytes_with_one_thread_and_with_two(
    kind: str, forty: Path, tiny_onnx: Path, tmp_path: Path
) -> None:
    made = []
    for cores in (1, 2):
        out = tmp_path / str(cores)
        command = [sys.executable, "-c", PROGRAM, str(cores), "convert", str(forty), "-o", str(out), "--quiet"]
        options = ["--style", str(tiny_onnx), "--format", kind, "--look", "drawn"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        subprocess.run([*command, *options], check=True, env=environment)
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert len(made[0]) == 40 and made[0] == made[1]
