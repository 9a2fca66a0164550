"""What has changed between two frames."""

import numpy as np
import numpy.typing as npt

from toonify.pixels.boxes import Box


def around(changed: npt.NDArray[np.bool_]) -> Box:
    """The smallest box that holds all that is marked; one pixel where nothing is, for a frame must bring something."""
    rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return Box(0, 0, 1, 1)
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
