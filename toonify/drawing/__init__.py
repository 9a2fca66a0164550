"""From a photo to its picture: what it shall look like, what draws it, and what is done with the drawing.

`plan.py` says what is wanted, `open.py` opens the network that draws it quickest here, `drawer.py` draws at once or
in tiles as the memory allows, `finish.py` corrects colours and brings the drawing to its size; `style.py` is all of it.
"""

from toonify.drawing.plan import DrawingPlan, DrawOptions, choose_plan, draw_options
from toonify.drawing.style import Drawing, Sketch, Style, load_plan, load_style

__all__ = [
    "DrawOptions",
    "Drawing",
    "DrawingPlan",
    "Sketch",
    "Style",
    "choose_plan",
    "draw_options",
    "load_plan",
    "load_style",
]
