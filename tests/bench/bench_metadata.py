"""Counts what is left of pictures' metadata in their drawings, by ExifTool, and what it says that is wrong with it.

    apt-get install libimage-exiftool-perl; apt-get source --download-only libimage-exiftool-perl   # its t/images
    python tests/bench/bench_metadata.py FOLDER [--format same jpg png webp avif tiff] [--verbose]

Each picture of the folder that toonify reads is written again as a drawing of it would be. A value is lost if it is
not in the drawing, and changed if it is another there; what describes the file alone is not counted. Warnings are
those of `exiftool -validate`.
"""

import argparse
import collections
import json
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

from toonify.errors import ImageError
from toonify.images import FORMATS, encode_picture, read_photo

OF_THE_FILE = ("System", "File", "ExifTool", "Composite", "IFD1", "ICC", "MPF", "VP8", "Preview", "MPImage", "Source")


def values(path: Path) -> dict[str, Any]:
    """All values that ExifTool finds, by group and name."""
    command = ["exiftool", "-j", "-a", "-G1", "-s", "-n", "-e", "-u", "-charset", "exif=latin1", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return {key: value for key, value in json.loads(done.stdout)[0].items() if not key.startswith(OF_THE_FILE)}


def complaints(path: Path) -> list[str]:
    """What `exiftool -validate` says that is wrong."""
    command = ["exiftool", "-validate", "-a", "-warning", "-error", "-s3", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    return [line for line in done.stdout.splitlines() if line.strip()][1:]


def measure(pictures: list[Path], kind: str, verbose: bool) -> str:
    """A row of the table."""
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as name:
        for path in pictures:
            try:
                with path.open("rb") as file:
                    photo = read_photo(file)
            except ImageError:
                continue
            form = photo.format if kind == "same" else kind
            target = Path(name) / f"drawing.{form}"
            note = "toonify 0 a/b recipe:0123456789abcdef"
            target.write_bytes(
                encode_picture(photo.pixels, format=form, alpha=photo.alpha, metadata=photo.metadata, note=note)
            )
            before, after = values(path), values(target)
            lost = [key for key in before if key not in after]
            changed = [key for key in before if key in after and before[key] != after[key]]
            wrong, wrong_after = complaints(path), complaints(target)
            counts += collections.Counter(
                files=1,
                values=len(before),
                lost=len(lost),
                changed=len(changed),
                wrong=len(wrong),
                wrong_after=len(wrong_after),
                more=len(wrong_after) > len(wrong),
            )
            if verbose:
                new = [each for each in wrong_after if each not in wrong]
                print(path.name, form, "lost", lost, "changed", changed, "new warnings", new, *photo.notes)
                print("   ", *photo.metadata.left_out(form))
    told = ("files", "values", "lost", "changed", "wrong", "wrong_after", "more")
    return f"| {kind} | " + " | ".join(str(counts[key]) for key in told) + " |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", nargs="+", choices=["same", *FORMATS], default=["same", *FORMATS])
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's, of odd Exif
    pictures = sorted(path for path in options.folder.iterdir() if path.is_file())
    print("| drawn as | files | values | lost | changed | warnings before | after | files with more |")
    print("| --- " * 8 + "|")
    for kind in options.format:
        print(measure(pictures, kind, options.verbose), flush=True)


if __name__ == "__main__":
    main()
