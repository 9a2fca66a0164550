"""The figures against closed forms, against torch-fidelity's own functions, and pinned."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from toonify.metrics.distances import frechet_distance, inception_score, kernel_distance, precision_recall
from toonify.metrics.gaussian import Gaussian, Moments


def gaussian(rows: np.ndarray) -> Gaussian:
    moments = Moments(rows.shape[1])
    moments.add(rows)
    return moments.gaussian()


def features(count: int, dimensions: int = 32, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    """Like Inception's: not negative, of unequal spread."""
    rng = np.random.default_rng([count, seed])
    rows = np.maximum(rng.normal(0.3 + shift, 0.4, (count, dimensions)), 0) * np.linspace(0.2, 2, dimensions)
    return rows.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(("count", "dimensions"), [(300, 32), (20, 32), (2, 8)])
def test_equal_sets_have_no_distance(count: int, dimensions: int) -> None:
    rows = features(count, dimensions)
    assert frechet_distance(gaussian(rows), gaussian(rows)) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("count", [300, 20])  # of full rank, and singular
def test_shifted_features_have_the_squared_shift(count: int) -> None:
    rows = features(count)
    shift = np.linspace(-1, 2, 32)
    assert frechet_distance(gaussian(rows), gaussian(rows + shift)) == pytest.approx(np.sum(shift**2), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 5), st.floats(-9, 9), st.floats(0, 5)), min_size=1, max_size=6)
)
def test_normal_distributions_along_the_axes_have_the_formulas_distance(
    axes: list[tuple[float, float, float, float]],
) -> None:
    mean_a, spread_a, mean_b, spread_b = np.array(axes).T
    a, b = Gaussian(mean_a, np.diag(spread_a)), Gaussian(mean_b, np.diag(spread_b))
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((spread_a - spread_b) ** 2)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-9)


def test_it_is_the_formula_with_a_matrix_square_root() -> None:
    a, b = features(100, 12), features(80, 12, shift=0.2) @ np.random.default_rng(5).normal(size=(12, 12))
    values, vectors = np.linalg.eig(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False))
    root = (vectors * np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)
    spread = np.trace(np.cov(a, rowvar=False) + np.cov(b, rowvar=False) - 2 * root.real)
    expected = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + spread
    assert frechet_distance(gaussian(a), gaussian(b)) == pytest.approx(expected, rel=1e-9)


def test_it_is_symmetric_and_grows_with_the_shift() -> None:
    a, b = gaussian(features(50)), gaussian(features(60, shift=0.1))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    distances = [frechet_distance(a, gaussian(features(60, shift=shift))) for shift in (0.1, 0.2, 0.4)]
    assert distances == sorted(distances)


PINNED = {  # what torch-fidelity 0.4.0 gives
    "fid": 1.617004743428593,
    "kid": (0.046966848853817404, 0.013572835520990886),
    "pr": (0.90625, 0.6041666666666666),
    "is": (1.9926204644962078, 0.2433567051859743),
}


def test_figures_are_pinned() -> None:
    a, b = features(64), features(48, shift=0.1, seed=1)
    assert frechet_distance(gaussian(a), gaussian(b)) == pytest.approx(PINNED["fid"], rel=1e-9)
    assert kernel_distance(a, b, subset=40) == pytest.approx(PINNED["kid"], rel=1e-8)
    assert precision_recall(a, b) == pytest.approx(PINNED["pr"], rel=1e-9)
    assert inception_score(a * 3) == pytest.approx(PINNED["is"], rel=1e-9)


@pytest.mark.parametrize(
    ("count_a", "count_b", "subset", "subsets"),
    [(64, 48, 48, 10), (64, 48, 20, 100), (600, 700, 5, 3), (2, 2, 2, 4)],  # the third: far more pictures than chosen
)
def test_kid_is_torch_fidelitys_with_its_seed(count_a: int, count_b: int, subset: int, subsets: int) -> None:
    a, b = features(count_a), features(count_b, shift=0.1)
    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subset_size=subset, kid_subsets=subsets, verbose=False
    )
    mean, spread = kernel_distance(a, b, subset=subset, subsets=subsets)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9, abs=1e-12)
    assert spread == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-6, abs=1e-10)


def test_kid_of_two_halves_of_one_set_is_about_zero() -> None:
    rows = features(800)
    mean, spread = kernel_distance(rows[:400], rows[400:], subset=200)
    assert abs(mean) < 3 * spread


@pytest.mark.parametrize(("count_a", "count_b"), [(64, 48), (1500, 30), (5, 1100)])  # over a block's rows, too
def test_precision_and_recall_are_torch_fidelitys(count_a: int, count_b: int) -> None:
    a, b = features(count_a), features(count_b, shift=0.05)
    theirs = prc_features_to_metric(torch.from_numpy(a), torch.from_numpy(b), verbose=False)
    assert precision_recall(a, b) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)


def test_precision_and_recall_see_what_is_missing() -> None:
    near, far = features(200), features(200, shift=50)
    both = np.concatenate([features(200, seed=1), features(200, shift=50, seed=1)])
    assert precision_recall(near, far) == (0, 0)
    precision, recall = precision_recall(near, both)  # all of A is like B, half of B is not in A
    assert precision > 0.5 and 0.2 < recall <= 0.5


@pytest.mark.parametrize("count", [10, 64, 101])
def test_the_inception_score_is_torch_fidelitys(count: int) -> None:
    logits = features(count, 50) * 8
    theirs = isc_features_to_metric(torch.from_numpy(logits))
    expected = theirs["inception_score_mean"], theirs["inception_score_std"]
    assert inception_score(logits) == pytest.approx(expected, rel=1e-9)


def test_the_inception_score_of_sure_and_varied_pictures_is_their_number_of_classes() -> None:
    logits = np.tile(np.eye(7) * 1000, (30, 1))
    assert inception_score(logits, splits=1)[0] == pytest.approx(7)
    assert inception_score(np.zeros((30, 7)))[0] == pytest.approx(1)  # unsure of all


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="10 pictures"):
        inception_score(features(9))
    with pytest.raises(ValueError, match="4 pictures"):
        precision_recall(features(3), features(50))
