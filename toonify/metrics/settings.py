"""What figures depend on, apart from pictures and networks: the command line names it without importing either."""

from typing import Literal

LONG_SIDE = 512  # pixels at which a picture is compared with its photo
Mode = Literal["legacy", "pytorch", "clean"]  # protocols by which a picture becomes what Inception takes: protocol.py
