"""Messages between a process and its child, over pipes: some JSON, and bytes."""

import json
import struct
from typing import IO, Any

_LENGTH = struct.Struct("<QQ")  # of the JSON head, and of what follows it


def send(pipe: IO[bytes], head: dict[str, Any], *data: Any) -> None:
    """Write a message of some plain values and any number of buffers. Raises OSError if the other side is gone."""
    text = json.dumps(head).encode()
    views = [memoryview(part).cast("B") for part in data if len(part)]
    pipe.write(_LENGTH.pack(len(text), sum(map(len, views))))
    pipe.write(text)
    for view in views:
        pipe.write(view)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytearray] | None:
    """A message; None if the other side is gone."""
    lengths = pipe.read(_LENGTH.size)
    if len(lengths) < _LENGTH.size:
        return None
    text_length, length = _LENGTH.unpack(lengths)
    text, data = pipe.read(text_length), bytearray(length)
    return (json.loads(text), data) if _fill(pipe, data) else None


def _fill(pipe: IO[bytes], data: bytearray) -> bool:
    """Read as much as `data` takes; whether there was so much."""
    view = memoryview(data)
    while view:
        if not (count := pipe.readinto(view)):  # type: ignore[attr-defined]  # buffered readers have it
            return False
        view = view[count:]
    return True
