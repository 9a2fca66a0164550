"""From a photo to its picture: what it shall look like, what draws it, and what is done with the drawing.

`look.py` says what is wanted, `open.py` opens the network that draws it quickest here, `drawer.py` draws at once or
in tiles as the memory allows, `finish.py` corrects colours and brings the drawing to its size; `style.py` is all of it.
"""

from toonify.drawing.look import DrawOptions, Look, choose_look, draw_options
from toonify.drawing.style import Sketch, Style, load_look, load_style

__all__ = ["DrawOptions", "Look", "Sketch", "Style", "choose_look", "draw_options", "load_look", "load_style"]
