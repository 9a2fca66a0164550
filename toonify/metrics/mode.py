"""The names of the protocols by which a picture becomes what Inception takes (`protocol.py`)."""

from typing import Literal

Mode = Literal["legacy", "pytorch", "clean"]
