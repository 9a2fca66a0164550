"""What commands print on, so that they all end alike where the reader has gone."""

import rich.console


class Console(rich.console.Console):
    """Rich's console, which would end the program by itself where a pipe is closed."""

    def on_broken_pipe(self) -> None:
        """Leave it to `main`, as for what is printed without Rich."""
        raise BrokenPipeError
