"""Moving pictures: GIF, APNG, animated WebP and AVIF sequences, frame by frame, and back.

`source.py` tells whether a file moves and opens it; `gif.py`, `apng.py`, `webp.py` and `avif.py` know the formats,
`parts.py` lays frames together as they are seen. `write.py` writes; `palette.py` and `changes.py` are what it takes for
a GIF. Clips (MP4 and its kin) are in `toonify.videos`.
"""

from toonify.images.moving.source import MovingPicture, frame_count, moves, read_moving, read_structure
from toonify.images.moving.write import encode_moving, left_out

__all__ = ["MovingPicture", "encode_moving", "frame_count", "left_out", "moves", "read_moving", "read_structure"]
