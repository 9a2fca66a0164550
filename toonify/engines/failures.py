"""What ONNX Runtime's errors mean: their classes are not public, and their texts begin with signatures in C++."""

import re

from toonify.errors import one_line

# In small letters, with spaces for underscores. A handle that is "not initialized" has found no room on the GPU.
_MEMORY = ("alloc", "out of memory", "cublas status not initialized", "cudnn status not initialized")
_SPOILT = ("INVALID_PROTOBUF", "INVALID_GRAPH")
_TELLING = re.compile(r"(CU[A-Z]+ failure \d+:|Failed to ).*")
_NOT_TELLING = re.compile(r" ; GPU=| with the cudnn frontend json")


def for_want_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory, of the machine or of the GPU."""
    text = re.sub(r"hostname=\S*", "", str(error)).lower().replace("_", " ")
    return any(said in text for said in _MEMORY)


def of_the_network(error: Exception) -> bool:
    """Whether the network itself cannot be understood, whatever it runs on."""
    return any(kind in str(error) for kind in _SPOILT)


def telling_part(error: Exception) -> str:
    """What happened, in at most 200 characters on one line, without the names of functions and machines."""
    text = one_line(error)
    found = _TELLING.search(text)
    return _NOT_TELLING.split(found.group() if found else text)[0][:200]
