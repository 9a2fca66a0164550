"""Drawing pictures that are too large to be drawn at once: tile by tile, and yet as the whole frame would be.

`graphs/anatomy.py` reads from a network's graph how far it sees and what it needs of the whole frame, `plan.py` makes
sweeps over the picture of that, `segment.py` a network of each sweep, and `tiled.py` runs them.
"""

from toonify.drawing.tiles.tiled import OnShare, TiledNetwork

__all__ = ["OnShare", "TiledNetwork"]
