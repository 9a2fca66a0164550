"""What the contract tests of training methods share: parameters, gradients, states, and whether they are the same."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toonify.methods.method import Method


def last(method: Method) -> int:
    """The number of a step that updates all networks."""
    return method.full_step


def phase(method: Method) -> str:
    """The phase in which all losses count."""
    return method.phases[-1].name


def parameters(method: Method, name: str) -> dict[str, nn.Parameter]:
    return dict(method.trained[name].network.named_parameters())


def gradients(method: Method, name: str) -> dict[str, Tensor | None]:
    found = {key: parameter.grad for key, parameter in parameters(method, name).items()}
    return {name: None if gradient is None else gradient.clone() for name, gradient in found.items()}


def close(found: Mapping[str, Tensor | None], expected: Mapping[str, Tensor | None]) -> bool:
    """Whether gradients are the same up to rounding, measured by the largest."""
    pairs = [(found[name], expected[name]) for name in expected]
    largest = max(b.abs().max().item() for _, b in pairs if b is not None)
    return all(
        (a is None and b is None) or (a is not None and b is not None and (a - b).abs().max() < 1e-4 * largest)
        for a, b in pairs
    )


def assert_same(a: object, b: object, where: str = "state") -> None:
    """The same to the last bit, all the way down."""
    if isinstance(a, Tensor):
        assert isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b), where
    elif isinstance(a, Mapping):
        assert isinstance(b, Mapping) and a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, Sequence) and not isinstance(a, str):
        assert isinstance(b, Sequence) and len(a) == len(b), where
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_same(one, other, f"{where}/{number}")
    else:
        assert a == b, where


def through_a_file(state: object) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
