"""What a run is watched for, and that a healthy one is left alone."""

import numpy as np
import pytest
import torch
from videos import scene

from toonify.errors import TrainingError
from toonify.train.watch import Watch

HEALTHY = {"discriminator": 0.6, "score_real": 0.7, "score_drawn": 0.3, "adversarial": 0.5}
PHOTOS = np.stack([scene(number, 32, 32) for number in range(4)])
ALIKE = np.stack([PHOTOS[0]] * 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite(value: float) -> None:
    with pytest.raises(TrainingError, match=rf"^the cycle loss is {value} at step 7; lower --learning-rate, or give "):
        Watch("gan").see_losses(7, {"cycle": value})
    with pytest.raises(TrainingError, match=r"^the score real photo is nan"):
        Watch("gan").see_losses(7, {"score_real_photo": float("nan"), "score_drawn_photo": 0.0})


def test_the_advice_is_only_what_can_be_done() -> None:
    def said(watch: Watch) -> str:
        with pytest.raises(TrainingError) as caught:
            watch.see_losses(1, {"l1": float("nan")})
        return str(caught.value)

    assert "--precision fp32" not in said(Watch("gan"))
    assert "--precision fp32" in said(Watch("gan", shortened=True))


def test_weights_that_are_not_finite() -> None:
    watch = Watch("gan")
    watch.see_finite(3, {}, [torch.ones(3), torch.tensor(3)])
    watch.see_finite(3, {}, [torch.tensor(3)])
    with pytest.raises(TrainingError, match="the networks hold numbers that are not finite at step 3"):
        watch.see_finite(3, {}, [torch.ones(3), torch.tensor([1.0, float("inf")])])


@pytest.mark.parametrize(
    ("losses", "objective", "said"),
    [
        (HEALTHY | {"score_drawn": 0.7}, "lsgan", "the discriminator cannot tell real pictures from drawings"),
        (HEALTHY | {"score_real": 0.0, "score_drawn": 0.0}, "wgan", "the discriminator cannot tell"),
        (HEALTHY | {"discriminator": 1e-5}, "gan", "the discriminator is never wrong"),
        (
            {"discriminator_cartoon": 1e-5, "score_real_cartoon": 1.0, "score_drawn_cartoon": 0.0},
            "lsgan",
            "the discriminator of cartoon is never wrong",
        ),
    ],
)
def test_a_dead_discriminator_is_given_fifty_lines(losses: dict[str, float], objective: str, said: str) -> None:
    watch = Watch(objective)
    for line in range(49):
        watch.see_losses(line, losses)
    with pytest.raises(TrainingError, match=rf"^{said}.* at step 49"):
        watch.see_losses(49, losses)


def test_one_healthy_line_is_enough() -> None:
    watch = Watch("gan")
    for line in range(300):
        watch.see_losses(line, HEALTHY if line % 40 == 0 else HEALTHY | {"discriminator": 0.0, "score_drawn": 0.7})


def test_a_critic_may_say_any_number() -> None:
    watch = Watch("wgan")
    for line in range(300):
        watch.see_losses(line, {"discriminator": -50.0, "score_real": 70.0, "score_drawn": 20.0})


def test_drawings_that_are_all_alike_twice() -> None:
    watch = Watch("gan", anchors=["--content-weight", "--cycle-weight"])
    watch.see_drawings(500, PHOTOS, ALIKE)
    watch.see_drawings(1000, PHOTOS, PHOTOS // 8 + 100)  # flat, but not alike
    watch.see_drawings(1500, PHOTOS, ALIKE)
    with pytest.raises(TrainingError) as caught:
        watch.see_drawings(2000, PHOTOS, ALIKE)
    assert str(caught.value) == (
        "the generator draws all photos alike at step 2000; raise --content-weight or --cycle-weight, or lower "
        "--learning-rate, in a new run"
    )


def test_a_fresh_network_may_draw_all_alike_and_so_it_may_where_photos_are() -> None:
    watch = Watch("gan")
    for step in (0, 50, 100, 150):
        watch.see_drawings(step, PHOTOS, ALIKE)
    for step in (500, 1000, 1500):
        watch.see_drawings(step, ALIKE, ALIKE)
        watch.see_drawings(step, PHOTOS[:1], ALIKE[:1])
