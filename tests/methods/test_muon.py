"""Muon: against the singular value decomposition, PyTorch's own for matrices, and one kernel at a time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toonify.methods.muon import Muon, hidden_kernels, orthogonalize
from toonify.methods.trained import Learning, Precision, TrainedNetworks
from toonify.models.lite import LiteGenerator


@given(st.integers(1, 12), st.integers(1, 12), st.floats(1e-3, 1e3), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_singular_values_come_to_one_and_vectors_stay(rows: int, columns: int, scale: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left, _, right = torch.linalg.svd(
        torch.randn(2, rows, columns, generator=generator, dtype=torch.float64), full_matrices=False
    )
    values = torch.linspace(1, 0.1, min(rows, columns), dtype=torch.float64)
    made = orthogonalize(scale * left @ torch.diag(values) @ right)
    there = left.mT @ made @ right.mT
    found = there.diagonal(dim1=1, dim2=2)
    assert found.min() > 0.65
    assert found.max() < 1.25
    assert torch.allclose(there, torch.diag_embed(found), atol=1e-9)


def test_no_gradient_is_no_step() -> None:
    assert torch.equal(orthogonalize(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def kernels(*shapes: tuple[int, ...], seed: int = 0) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def run(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 4) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
def test_steps_are_those_of_pytorch(shape: tuple[int, int]) -> None:
    ours, theirs = kernels(shape), kernels(shape)
    run(Muon(ours, lr=0.1), ours)
    run(torch.optim.Muon(theirs, lr=0.1, weight_decay=0, adjust_lr_fn="match_rms_adamw"), theirs)
    moved = (theirs[0] - kernels(shape)[0]).norm()
    assert (ours[0] - theirs[0]).norm() < 0.02 * moved  # they iterate in bfloat16


def test_kernels_are_matrices_and_those_of_equal_shape_do_not_mix() -> None:
    shapes = [(4, 3, 3, 3), (4, 3, 3, 3), (6, 4, 1, 1), (4, 27)]
    together = kernels(*shapes)
    together[1] = nn.Parameter(together[1].detach().to(memory_format=torch.channels_last))
    alone = [nn.Parameter(each.detach().reshape(each.shape[0], -1).clone()) for each in together]
    generator = torch.Generator().manual_seed(2)
    steps = [[torch.randn(each.shape, generator=generator) for each in together] for _ in range(3)]
    optimizer, others = Muon(together, lr=0.1), [Muon([each], lr=0.1) for each in alone]
    for gradients in steps:
        for kernel, matrix, gradient in zip(together, alone, gradients, strict=True):
            kernel.grad, matrix.grad = gradient, gradient.flatten(1)
        optimizer.step()
        for other in others:
            other.step()
    for kernel, matrix in zip(together, alone, strict=True):
        assert torch.allclose(kernel.flatten(1), matrix, atol=1e-6)


def test_what_has_no_gradient_stays() -> None:
    moved, still = kernels((3, 4), (3, 4))
    before = still.detach().clone()
    moved.grad = torch.ones(3, 4)
    Muon([moved, still], lr=0.1).step()
    assert torch.equal(still, before)


def test_a_players_first_and_last_kernels_and_biases_are_adams() -> None:
    network = LiteGenerator()
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    hidden = {names[id(kernel)] for kernel in hidden_kernels(network)}
    others = {name for name in names.values() if name not in hidden}
    assert {name for name in others if name.endswith("weight")} == {"head.weight", "tail.weight"}
    trained = TrainedNetworks(network, Learning(optimizer="muon", rate=0.1), Precision("cpu"))
    state = trained.state_dict()
    assert len(state["muon"]["param_groups"][0]["params"]) == len(hidden)
    assert len(state["optimizer"]["param_groups"][0]["params"]) == len(others)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    trained.backward(network(torch.rand(1, 3, 16, 16)).square().mean())
    trained.update(0.5)
    for name, parameter in network.named_parameters():
        step = (parameter - before[name]).square().mean().sqrt()
        assert 0.002 < step < 0.1, name  # Adam's first steps are of the rate, Muon's of a fifth of it about


@pytest.mark.parametrize("spoilt", ["head.weight", "down.weight"])  # Adam's, Muon's
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_in_float16_both_leave_an_update_out_or_none(spoilt: str, value: float) -> None:
    network = LiteGenerator()
    trained = TrainedNetworks(network, Learning(optimizer="muon", clip=0.25), Precision("cpu", torch.float16))

    def step(spoil: bool) -> bool:
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        trained.zero()
        trained.backward(network(torch.rand(1, 3, 16, 16)).square().mean())
        if spoil:
            gradient = network.get_parameter(spoilt).grad
            assert gradient is not None
            gradient[0, 0, 0, 0] = value
        trained.update()
        assert all(bool(parameter.isfinite().all()) for parameter in network.parameters())
        same = {torch.equal(before[name], parameter) for name, parameter in network.named_parameters()}
        assert len(same) == 1
        return same == {False}

    assert [step(spoil) for spoil in (False, True, False)] == [True, False, True]


def test_a_state_with_the_name_of_an_earlier_version_is_read() -> None:
    network = torch.nn.Linear(2, 2)
    trained = TrainedNetworks(network, Learning(), Precision("cpu"))
    state = trained.state_dict()
    state["optimiser"] = state.pop("optimizer")
    TrainedNetworks(torch.nn.Linear(2, 2), Learning(), Precision("cpu")).load_state_dict(state)
