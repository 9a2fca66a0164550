"""From a photo to its picture: what it shall look like, what draws it, and what is done with the drawing.

`plan.py` says what is wanted (`combinations.py`: in several styles and looks), `open.py` opens the network that draws
it quickest here, `drawer.py` draws at once or in tiles as the memory allows, `finish` gives the drawing its colors, its
look and its size; `style.py` is all of it.
"""

from toonify.drawing.combinations import Combination, Loader, choose_combinations
from toonify.drawing.load import load_plan, load_style
from toonify.drawing.plan import DrawingPlan, DrawOptions, choose_plan, draw_options
from toonify.drawing.style import Drawing, Sketch, Style

__all__ = [
    "Combination",
    "DrawOptions",
    "Drawing",
    "DrawingPlan",
    "Loader",
    "Sketch",
    "Style",
    "choose_combinations",
    "choose_plan",
    "draw_options",
    "load_plan",
    "load_style",
]
