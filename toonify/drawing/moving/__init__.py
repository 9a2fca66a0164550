"""Frames of a moving picture, drawn one after the other and held still over time.

`motion.py` says where everything was in the frame before, `hold.py` blends a drawing with the one before it along that
motion, `tracks.py` follows faces, `sequence.py` takes frames through all steps.
"""

from toonify.drawing.moving.sequence import Held, draw_sequence

__all__ = ["Held", "draw_sequence"]
