"""`python -m toonify`: the same command line as `toonify`."""

import sys

from toonify.cli import main

sys.exit(main())
