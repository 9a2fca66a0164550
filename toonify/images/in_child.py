"""What runs in the child process: it decodes one file after the other, and answers with arrays.

Requests come from stdin; what libraries print by themselves goes nowhere.
"""

import contextlib
import os
import signal
import sys
from io import BytesIO
from typing import IO, Any

import numpy as np

from toonify.errors import ImageError, one_line
from toonify.images.messages import receive, send
from toonify.images.read import decode_request


def serve() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    with contextlib.ExitStack() as held:
        while (request := receive(sys.stdin.buffer)) is not None:
            held.close()
            _answer(answers, *request, held)


def _answer(answers: IO[bytes], head: dict[str, Any], data: bytearray, held: contextlib.ExitStack) -> None:
    """Answer one request; `held` takes what has to stay until the next."""
    _limit_memory(head["bytes"])
    try:
        decoded = decode_request(BytesIO(data), **head["options"])
    except ImageError as error:
        return send(answers, {"error": str(error)}, b"")
    except MemoryError:
        return send(answers, {"error": "not enough memory to decode it"}, b"")
    except Exception as error:
        return send(answers, {"error": f"damaged: {one_line(error)}"}, b"")
    arrays = [np.ascontiguousarray(array) for array in (decoded.pixels, decoded.alpha) if array is not None]
    values = {**decoded.values, "size": decoded.pixels.shape[:2], "alpha": decoded.alpha is not None}
    if not head["shared"]:
        return send(answers, values, *arrays)
    file = held.enter_context(os.fdopen(os.memfd_create("toonify"), "wb"))
    for array in arrays:
        file.write(array.data.cast("B"))
    file.flush()
    return send(answers, {**values, "memory": file.fileno()})


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size if most == resource.RLIM_INFINITY else min(size, most), most))
