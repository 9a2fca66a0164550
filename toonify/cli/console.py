"""What commands print on: all end alike where the reader has gone, and no line ends in spaces."""

import re
from typing import Any

import rich.console


class Console(rich.console.Console):
    """Rich's console, which would end the program by itself where a pipe is closed, and fill lines with spaces."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As Rich's; into a pipe or a file, spaces at the ends of lines are left out."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        self.file.write(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))
        self.file.flush()

    def on_broken_pipe(self) -> None:
        """Leave it to `main`, as for what is printed without Rich."""
        raise BrokenPipeError
