"""Moving pictures through the command line: animated in, animated out, and what is refused."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import snapshot
from moving import gif_frame, gif_of, rows, save_moving, sliding
from PIL import Image

from toonify import load_style
from toonify.cli import main
from toonify.convert.local import SaveOptions, draw_stream
from toonify.convert.local import convert as run
from toonify.drawing import Style
from toonify.images.moving import MovingPicture, read_moving
from toonify.jobs.find import find_photos
from toonify.jobs.plan import plan_jobs

DELAYS = [100, 0, 200, 70, 100]
SECONDS = [Fraction(delay, 1000) for delay in DELAYS]


@pytest.fixture
def convert(tiny_onnx: Path) -> Callable[..., int]:
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--style", str(tiny_onnx)])

    return run


@pytest.fixture
def gif(tmp_path: Path) -> Path:
    return save_moving(tmp_path / "anim.gif", sliding(5), duration=DELAYS, loop=2)


def read(path: Path) -> MovingPicture:
    with path.open("rb") as file:
        return read_moving(file)


def colors(path: Path) -> list[np.ndarray]:
    return [frame for frame, _ in read(path).frames()]


def test_a_gif_becomes_a_gif_with_its_times_and_plays(gif: Path, convert, tmp_path: Path, capsys) -> None:
    before = gif.read_bytes()
    assert convert(gif, "--report", tmp_path / "r.json") == 0
    picture = read(tmp_path / "anim_tiny.gif")
    assert picture.format == "gif" and list(picture.seconds) == SECONDS and picture.plays == read(gif).plays == 3
    assert gif.read_bytes() == before and "5 frames of 60 x 40, " in capsys.readouterr().err
    (record,) = json.loads((tmp_path / "r.json").read_text())["files"]
    assert record["frames"] == 5 and (record["width"], record["output_width"]) == (60, 60)
    assert 0 < record["network_seconds"] <= record["seconds"]
    frames = colors(tmp_path / "anim_tiny.gif")
    assert all(np.abs(a.astype(int) - b).mean() > 1 for a, b in zip(frames, colors(gif), strict=True))


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_a_format_that_moves_may_be_asked_for(gif: Path, convert, tmp_path: Path, kind: str) -> None:
    assert convert(gif, "--format", kind) == 0
    picture = read(tmp_path / f"anim_tiny.{kind}")
    assert picture.format == kind and picture.plays == 3 and sum(picture.seconds) == sum(SECONDS)
    assert len(picture.seconds) == 5
    again = save_moving(tmp_path / f"other.{kind}", sliding(3), duration=[40, 50, 60], loop=0)
    assert convert(again) == 0
    drawn = read(tmp_path / f"other_tiny.{kind}")
    assert drawn.format == kind and list(drawn.seconds) == [Fraction(each, 100) for each in (4, 5, 6)]


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "avif"])
def test_holes_stay_where_they_are(convert, tmp_path: Path, kind: str) -> None:
    frames = []
    for number, frame in enumerate(sliding(4)):
        alpha = np.zeros(frame.shape[:2], np.uint8)
        alpha[5:35, 8 * number : 8 * number + 30] = 255
        frames.append(np.dstack([frame, alpha]))
    source = (
        save_moving(tmp_path / f"a.{kind}", frames, duration=80, disposal=2)
        if kind == "gif"
        else save_moving(tmp_path / f"a.{kind}", frames, duration=80)
    )
    assert convert(source) == 0
    drawn = list(read(tmp_path / f"a_tiny.{kind}").frames())
    for (_, holes), frame in zip(drawn, frames, strict=True):
        assert holes is not None and np.abs(holes.astype(int) - frame[..., 3]).max() <= 1


@pytest.mark.parametrize("kind", ["jpg", "tiff"])
def test_a_format_that_does_not_move_is_refused_with_what_to_type(gif: Path, convert, capsys, kind: str) -> None:
    for more in ([], ["--dry-run"]):
        assert convert(gif, "--format", kind, *more) == 1
        said = "".join(capsys.readouterr())
        assert (
            f"it moves (5 frames), which {kind} does not; choose --format webp, png or avif, or add --first-fr" in said
        )
    assert convert(gif, "--format", kind, "--first-frame") == 0
    assert "first of 5 frames" in capsys.readouterr().err


def test_the_first_frame_alone_is_drawn_as_it_was_before(gif: Path, convert, tiny_onnx: Path, tmp_path: Path) -> None:
    assert convert(gif, "--first-frame") == 0
    with Image.open(tmp_path / "anim_tiny.png") as drawn, Image.open(gif) as source:
        assert not drawn.is_animated if hasattr(drawn, "is_animated") else True
        expected = load_style(str(tiny_onnx))(np.array(source.convert("RGB")))
        assert np.array_equal(np.asarray(drawn), expected)


def test_a_still_gif_becomes_png(convert, tmp_path: Path, noise: np.ndarray) -> None:
    Image.fromarray(noise).save(tmp_path / "still.gif")
    assert convert(tmp_path / "still.gif") == 0
    assert sorted(snapshot(tmp_path)) == ["still.gif", "still_tiny.png"]
    assert convert(tmp_path / "still.gif", "--output", tmp_path / "x.gif") == 1


def test_a_second_run_skips_and_other_options_are_named(gif: Path, convert, tmp_path: Path, capsys) -> None:
    for kind in ("gif", "png", "webp", "avif"):
        convert(gif, "--format", "same" if kind == "gif" else kind)
    before = snapshot(tmp_path)
    capsys.readouterr()
    for kind in ("gif", "png", "webp", "avif"):
        assert convert(gif, "--format", "same" if kind == "gif" else kind) == 0
        assert "0 drawn, 1 skipped" in capsys.readouterr().err
    assert convert(gif, "--strength", 0.5) == 0
    assert "1 kept: it was made from the same file with other options (--strength 1 there, 0.5 now" in (
        capsys.readouterr().err
    )
    assert convert(gif, "--format", "png", "--first-frame") == 0
    assert "(--first-frame no there, yes now)" in capsys.readouterr().err
    assert snapshot(tmp_path) == before


def test_a_drawing_beside_its_gif_is_not_drawn_again(gif: Path, convert, tmp_path: Path, capsys) -> None:
    convert(gif)
    capsys.readouterr()
    assert convert(*sorted(tmp_path.glob("*.gif"))) == 0
    assert "0 drawn, 1 skipped" in capsys.readouterr().err


def test_frames_in_which_nothing_changes_are_drawn_once(
    tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = sliding(1)[0], 255 - sliding(1)[0]
    source = save_moving(tmp_path / "slides.webp", [one, other], lossless=True, duration=[500, 500])
    gif = tmp_path / "slides.gif"
    gif.write_bytes(gif_of(*[gif_frame(rows(each)) for each in (0, 0, 0, 1, 1, 0)]))
    drawn = []
    draw = Style.draw
    monkeypatch.setattr(Style, "draw", lambda self, sketch, **_: drawn.append(1) or draw(self, sketch))
    jobs = plan_jobs(find_photos([source, gif]), output=tmp_path / "out", style="tiny", moving=True)
    outcomes = list(run(jobs, load_style(str(tiny_onnx)), SaveOptions(moving=True)))
    assert [(outcome.result, outcome.clip["frames"]) for outcome in outcomes] == [("drawn", 2), ("drawn", 6)]
    assert len(drawn) == 2 + 3
    assert len(read(tmp_path / "out" / "slides.gif").seconds) == 6


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_one_that_ends_early_is_named_and_the_others_are_drawn(convert, tmp_path: Path, capsys, kind: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    whole = save_moving(folder / f"whole.{kind}", sliding(5), duration=50).read_bytes()
    (folder / f"cut.{kind}").write_bytes(whole[: 3 * len(whole) // 4])
    assert convert(folder) == 1
    said = capsys.readouterr().err
    assert f"cut.{kind}: damaged: it ends" in said and "1 drawn, 1 failed" in said
    assert sorted(snapshot(tmp_path / "in_tiny")) == [f"whole.{kind}"]


def test_frames_stand_beside_their_drawings(gif: Path, convert, tmp_path: Path) -> None:
    assert convert(gif, "--before-after", "--format", "png") == 0
    for both, source in zip(colors(tmp_path / "anim_tiny.png"), colors(gif), strict=True):
        assert both.shape[1] > 2 * 60 and np.array_equal(both[:, :60], source)
    assert convert(gif, "--before-after", "--format", "png") == 0


def test_pixels_are_limited_frame_by_frame(gif: Path, convert, capsys) -> None:
    assert convert(gif, "--max-megapixels", 0.002) == 1
    assert "over the limit" in capsys.readouterr().err
    assert convert(gif, "--max-megapixels", 0.0025) == 0
    assert convert(gif, "--overwrite", "--max-megapixels", 0.0025, "--output-size", 120) == 1


def test_a_size_and_another_name_may_be_given(gif: Path, convert, tmp_path: Path) -> None:
    assert convert(gif, "--output-size", 120, "--output", tmp_path / "x.gif") == 0
    assert read(tmp_path / "x.gif").stored_size == (80, 120)


def test_a_gif_of_another_moving_picture_needs_a_name(convert, tmp_path: Path, capsys) -> None:
    source = save_moving(tmp_path / "a.png", sliding(3), duration=[33, 33, 34])
    assert convert(source, "--output", tmp_path / "x.gif") == 0
    assert "its times were rounded to 1/100 s" in capsys.readouterr().err
    assert sum(read(tmp_path / "x.gif").seconds) == Fraction(1, 10)


def test_a_moving_picture_goes_through_a_pipe(gif: Path, tiny_onnx: Path, convert, tmp_path: Path) -> None:
    convert(gif)
    usual = (tmp_path / "anim_tiny.gif").read_bytes()
    command = [sys.executable, "-m", "toonify", "convert", "-", "-s", str(tiny_onnx), "-q"]
    piped = subprocess.run(command, input=gif.read_bytes(), capture_output=True)
    assert piped.returncode == 0 and piped.stdout == usual
    named = subprocess.run([*command, "-o", str(tmp_path / "y.gif")], input=gif.read_bytes(), capture_output=True)
    assert named.returncode == 0 and (tmp_path / "y.gif").read_bytes() == usual
    refused = subprocess.run([*command, "--format", "jpg"], input=gif.read_bytes(), capture_output=True)
    assert refused.returncode == 1 and b"stdin: it moves (5 frames)" in refused.stderr and refused.stdout == b""


def test_the_library_draws_the_first_frame_unless_it_is_asked_for_all(gif: Path, tiny_onnx: Path) -> None:
    style = load_style(str(tiny_onnx))
    data, notes = draw_stream(io.BytesIO(gif.read_bytes()), style, SaveOptions(), "same")
    assert data.startswith(b"\x89PNG") and "first of 5 frames" in notes


def test_a_folder_of_both_is_done_in_shards(gif: Path, convert, tmp_path: Path, noise: np.ndarray) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gif.rename(folder / "anim.gif")
    Image.fromarray(noise).save(folder / "b.jpg")
    assert convert(folder, "--shard", "1/2") == 0 and convert(folder, "--shard", "2/2") == 0
    assert sorted(snapshot(tmp_path / "in_tiny")) == ["anim.gif", "b.jpg"]


def test_progress_moves_with_the_frames(gif: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    jobs = plan_jobs(find_photos([gif]), output=tmp_path / "out", style="tiny", moving=True)
    shares: list[float] = []
    list(
        run(
            jobs, load_style(str(tiny_onnx)), SaveOptions(moving=True), on_share=lambda job, share: shares.append(share)
        )
    )
    assert shares == [number / 5 for number in range(1, 6)]


def test_a_run_that_is_ended_leaves_nothing_half_done(gif: Path, tiny_onnx: Path, tmp_path: Path) -> None:
    jobs = plan_jobs(find_photos([gif]), output=tmp_path / "out", style="tiny", moving=True)

    def end(job: Any, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run(jobs, load_style(str(tiny_onnx)), SaveOptions(moving=True), on_share=end))
    assert snapshot(tmp_path / "out") == {}


def test_a_released_generator_draws_a_gif_of_five_frames(test_data: Path, tmp_path: Path) -> None:
    photo = sorted((test_data / "photos" / "eval").iterdir())[0]
    with Image.open(photo) as image:
        still = np.asarray(image.convert("RGB").resize((240, 160)))
    frames = [still[8:152, 4 * number : 4 * number + 200] for number in range(5)]
    source = save_moving(tmp_path / "pan.gif", frames, duration=[100, 120, 90, 100, 400], loop=0)
    assert main(["convert", str(source), "--style", "shinkai"]) == 0
    drawn = read(tmp_path / "pan_shinkai.gif")
    assert [round(1000 * length) for length in drawn.seconds] == [100, 120, 90, 100, 400] and drawn.plays == 0
    for ours, theirs in zip(colors(tmp_path / "pan_shinkai.gif"), colors(source), strict=True):
        assert ours.shape == theirs.shape and 5 < np.abs(ours.astype(int) - theirs).mean() < 90
