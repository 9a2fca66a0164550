"""`toonify serve`: a local page on which one chooses by looking."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from toonify.cli.options import QuietOption


def serve(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Photos to begin with; drawings can be written beside it."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="If it is taken, the next free one; 0 takes any.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    quiet: QuietOption = False,
) -> None:
    """Show a page to choose by: drop photos, see every style and look of them, take what you like. Until Ctrl-C.

    The page needs no network and sends nothing anywhere. Photos that are dropped are kept in a private folder until
    the end. Only this machine can reach it, unless --host says otherwise.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as for `convert`
    from toonify.errors import UsageError, display
    from toonify.pages.server import Server, listen
    from toonify.serve.app import Application
    from toonify.serve.folder import ServedFolder
    from toonify.serve.studio import Studio

    if folder is not None and not folder.is_dir():
        raise UsageError(f"{display(folder)} is no folder; give one with photos, or none")
    served = None if folder is None else ServedFolder(folder)
    studio = Studio()
    listening = listen(host, port, or_next=True)
    with Application(studio, listening, served) as application, Server(application.asgi, listening) as server:
        print(f"{application.address} is the page; Ctrl-C ends it")
        if not quiet:
            if listening.is_loopback:
                print("only this machine can reach it; --host opens it to others")
            if port not in (0, listening.port):
                print(f"port {port} is taken, so it is {listening.port}")
        if not listening.is_loopback:
            print(
                f"warning: --host {host} lets everybody on the network who has this address in, unencrypted",
                file=sys.stderr,
            )
        sys.stdout.flush()
        threading.Thread(target=studio.open_all, daemon=True).start()
        if open_browser:
            _open_browser(application.address.replace("THIS-MACHINE", "127.0.0.1"))
        before = signal.signal(signal.SIGTERM, _end)
        try:
            server.serve_forever()
        finally:
            signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: object) -> None:
    """End as Ctrl-C does, so that the temporary folder is emptied."""
    sys.exit(128 + number)


def _open_browser(address: str) -> None:
    """Open a page without waiting for the browser: some only return when they are closed."""
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
