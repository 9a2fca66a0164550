"""JSON that somebody else may have written."""

from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")


@overload
def decode_json(data: bytes | str) -> Any: ...
@overload
def decode_json(data: bytes | str, type: type[T]) -> T: ...


def decode_json(data: bytes | str, type: Any = Any) -> Any:  # noqa: A002
    """What JSON holds, as msgspec reads it. Raises msgspec.DecodeError, also if it is nested too deeply or no UTF-8."""
    try:
        return msgspec.json.decode(data, type=type)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("it is not UTF-8") from error
