"""`toonify fid`, whole: real pictures, a real network (random weights will do), what is printed and what is refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from samples import PHOTOS

from toonify.checkpoints import hub
from toonify.cli import main
from toonify.errors import WeightsError
from toonify.metrics import inception as inception_module
from toonify.metrics.cache import FeatureCache
from toonify.metrics.features import extract
from toonify.metrics.gaussian import read_statistics
from toonify.metrics.inception import Inception, find_weights
from toonify.metrics.network import MeasuringNetwork
from toonify.metrics.sets import find_set


@pytest.fixture(scope="session")
def _drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of small pictures of many sizes: `ours` (5) and `anime` (7)."""
    folder = tmp_path_factory.mktemp("sets")
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(PHOTOS.glob("*.jpg"))]
    rng = np.random.default_rng(0)
    for name, count in (("ours", 5), ("anime", 7)):
        (folder / name).mkdir()
        for number in range(count):
            photo = photos[number % len(photos)]
            side = int(rng.integers(60, 300))
            y, x = (int(rng.integers(0, extent - side - 9)) for extent in photo.shape[:2])
            part = np.ascontiguousarray(photo[y : y + side, x : x + side + number])
            part = cv2.medianBlur(part, 9) if name == "ours" else part
            suffix = "png" if number % 2 else "jpg"
            Image.fromarray(part).save(folder / name / f"{number:02}.{suffix}", quality=95)
    return folder


@pytest.fixture(scope="session")
def _known(_drawn: Path, _converted_inception: Path, inception_weights: Path, tmp_path_factory: Any) -> Path:
    """A cache that knows their features, so that not every test measures them anew."""
    path = tmp_path_factory.mktemp("known") / "features.sqlite"
    weights = find_weights(inception_weights)
    network = MeasuringNetwork("Inception", _converted_inception, lambda path: None, device="cpu")
    with FeatureCache(f"inception {weights.sha256} legacy 2", path) as cache:
        list(extract(find_set(str(_drawn)).pictures, network, "legacy", cache))
    return path


@pytest.fixture
def pictures(_drawn: Path, _known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The two folders in the working folder, and a cache that knows them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(_drawn, tmp_path, dirs_exist_ok=True)
    hub.cache_folder().mkdir(parents=True)
    shutil.copy(_known, hub.cache_folder())
    return tmp_path


def run(*arguments: str | Path) -> int:
    return main(["fid", *map(str, arguments)])


def figures(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    assert run(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("pictures")
def test_a_table_says_figures_protocol_and_counts(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ours", "anime", "--weights", inception) == 0
    out = capsys.readouterr().out
    first, row, reference, protocol, note = out.splitlines()
    assert first.split() == ["set", "pictures", "FID", "KID", "subset"]
    assert row.split()[:2] == ["ours", "5"]
    assert reference == "reference: anime, 7 pictures"
    assert "legacy resize" in protocol and find_weights(inception).sha256[:8] in protocol
    assert "KID over 100 subsets" in protocol and row.split()[-1] == "2"
    assert "fewer than 2048" in note


@pytest.mark.usefixtures("pictures")
def test_several_sets_are_compared_with_the_last(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    together = figures(capsys, "ours", "anime/*.jpg", "anime", "--weights", inception, "--metrics", "fid,kid,pr")
    alone = figures(capsys, "ours", "anime", "--weights", inception, "--metrics", "fid,kid,pr")
    assert [row["name"] for row in together["sets"]] == ["ours", "anime/*.jpg"]
    assert together["sets"][0] == alone["sets"][0]
    assert together["sets"][1]["precision"] == 1


@pytest.mark.usefixtures("pictures")
def test_equal_sets_are_at_distance_0(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = figures(capsys, "anime", "anime", "--weights", inception, "--metrics", "fid,pr")["sets"]
    assert row["fid"] == pytest.approx(0, abs=1e-6)
    assert (row["precision"], row["recall"]) == (1, 1)


@pytest.mark.usefixtures("pictures")
def test_the_cache_gives_the_same_without_the_network(
    inception: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = figures(capsys, "ours", "anime", "--weights", inception, "--no-cache")
    Path("ours/00.jpg").rename("ours/00_renamed.jpg")  # content is the key
    monkeypatch.setattr(Inception, "__call__", None)
    second = figures(capsys, "ours", "anime", "--weights", inception)
    assert first["runs_on"] is not None and second["runs_on"] is None
    assert second["sets"][0]["fid"] == pytest.approx(first["sets"][0]["fid"], rel=1e-9)


@pytest.mark.usefixtures("pictures")
def test_the_cache_serves_in_a_process_without_torch(inception: Path) -> None:
    arguments = ["fid", "ours", "anime", "--weights", str(inception)]
    script = (
        f"import sys; from toonify.cli import main; c = main({arguments}); sys.exit(9 if 'torch' in sys.modules else c)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "all from the cache" in done.stdout


@pytest.mark.usefixtures("pictures")
def test_without_a_cache_nothing_is_kept(inception: Path) -> None:
    (hub.cache_folder() / "features.sqlite").unlink()
    assert run("ours", "anime", "--weights", inception, "--no-cache") == 0
    assert not (hub.cache_folder() / "features.sqlite").exists()


@pytest.mark.usefixtures("pictures")
def test_protocols_give_figures_of_their_own(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fids = {
        mode: figures(capsys, "ours", "anime", "--weights", inception, "--mode", mode)["sets"][0]["fid"]
        for mode in ("legacy", "pytorch", "clean")
    }
    assert len(set(fids.values())) == 3


@pytest.mark.usefixtures("pictures")
def test_broken_pictures_are_named_and_count_for_nothing(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = figures(capsys, "ours", "anime", "--weights", inception)
    shutil.copytree("ours", "broken")
    Path("broken/cut.jpg").write_bytes(Path("ours/00.jpg").read_bytes()[:-2000])
    Path("broken/cut.png").write_bytes(Path("ours/01.png").read_bytes()[:-2000])
    Path("broken/no.webp").write_bytes(b"no picture")
    Path("broken/empty.png").write_bytes(b"")
    Path("broken/lost.png").symlink_to("nowhere.png")
    assert run("broken", "anime", "--weights", inception, "--json") == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert {Path(failure["picture"]).name for failure in result["failed"]} == {
        "cut.jpg",
        "cut.png",
        "no.webp",
        "empty.png",
        "lost.png",
    }
    assert captured.err.count("failed: broken/") == 5
    assert result["sets"][0] == {**whole["sets"][0], "name": "broken"}


@pytest.mark.usefixtures("pictures")
def test_a_picture_counts_upright(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    shutil.copytree("ours", "lying")
    for path in Path("lying").iterdir():
        with Image.open(path) as image:
            image.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".png"), exif=exif)
        if path.suffix == ".jpg":
            path.unlink()
    (row,) = figures(capsys, "lying", "ours", "--weights", inception, "--metrics", "fid")["sets"]
    assert row["fid"] == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("pictures")
def test_save_keeps_what_the_pictures_are(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("save", "anime", "anime.npz", "--weights", inception) == 0
    assert "anime.npz: 7 pictures" in capsys.readouterr().err
    mean, covariance, made = read_statistics(Path("anime.npz"))
    weights = find_weights(inception)
    with FeatureCache(f"inception {weights.sha256} legacy 2") as cache:
        batches = extract(find_set("anime").pictures, Inception(weights), "legacy", cache)
        vectors = np.concatenate([batch.vectors for batch in batches]).astype(np.float64)
    np.testing.assert_allclose(mean, vectors.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(vectors, rowvar=False), atol=1e-12)
    assert (made.mode, made.weights, made.count) == ("legacy", weights.sha256, 7)

    assert run("save", "anime", "anime.npz", "--weights", inception) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run("ours", "anime.npz", "--weights", inception, "--metrics", "fid", "--mode", "clean") == 2
    assert "measured with mode legacy, not clean" in capsys.readouterr().err
    assert run("ours", "anime.npz", "--weights", inception, "--metrics", "fid,pr") == 2
    assert (
        "too little for precision and recall; give the pictures, or take pr out of --metrics" in capsys.readouterr().err
    )


@pytest.mark.usefixtures("pictures")
def test_statistics_of_pytorch_fid_serve_as_reference(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = np.random.default_rng(0).normal(0.4, 0.3, (2100, 2048))
    np.savez("theirs.npz", mu=vectors.mean(axis=0), sigma=np.cov(vectors, rowvar=False))
    (row,) = figures(capsys, "ours", "theirs.npz", "--weights", inception)["sets"]  # without KID, which needs pictures
    weights = find_weights(inception)
    with FeatureCache(f"inception {weights.sha256} legacy 2") as cache:
        batches = extract(find_set("ours").pictures, Inception(weights), "legacy", cache)
        ours = np.concatenate([batch.vectors for batch in batches]).astype(np.float64)
    shift = np.sum((ours.mean(axis=0) - vectors.mean(axis=0)) ** 2)
    root = (ours - ours.mean(axis=0)) / 2  # of 5 pictures: divided by the root of 4
    shared = np.sqrt(np.linalg.eigvalsh(root @ np.cov(vectors, rowvar=False) @ root.T).clip(0)).sum()
    expected = shift + np.sum(root**2) + vectors.var(axis=0, ddof=1).sum() - 2 * shared
    assert row["fid"] == pytest.approx(expected, rel=1e-6)
    assert "reference_count" not in row


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ours"], "alone has no distance"),
        (["ours", "nowhere"], "nowhere: no such file"),
        (["ours", "anime", "--metrics", "fid,fad"], "fad is no metric"),
        (["ours", "anime", "--metrics", ""], "an empty word is no metric"),
        (
            ["ours", "anime", "--metrics", "kid", "--kid-subset", "10"],
            "ours has 5 pictures, too few for KID (at least 10)",
        ),
        (["ours", "anime", "--metrics", "fid", "--kid-subset", "10"], "add kid to --metrics"),
        (["ours", "anime", "--mode", "best"], "'best' is not one of"),
        (["ours", "statistics.npz"], "holds no statistics"),
        (["save", "ours", "statistics.txt"], "ends in .npz"),
        (["save", "statistics.npz", "other.npz"], "statistics already"),
        (["save", "ours", "nowhere/statistics.npz"], "no folder nowhere"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], says: str, inception: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("statistics.npz").write_bytes(b"none")
    assert run(*arguments, "--weights", inception) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


@pytest.mark.usefixtures("pictures")
def test_a_set_without_two_good_pictures_is_refused(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad").mkdir()
    for name in ("a.png", "b.png"):
        Path("bad", name).write_bytes(b"no")
    assert run("bad", "anime", "--weights", inception) == 2
    assert "bad has 0 readable pictures, and two are needed; bad/a.png: not a picture" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_a_file_that_is_not_the_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    torch.save({"a": torch.zeros(3)}, "other.pth")
    assert run("ours", "anime", "--weights", "other.pth") == 3
    assert "other.pth is not FID's Inception network" in capsys.readouterr().err
    assert run("ours", "anime", "--weights", tmp_path / "gone.pth") == 3
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_without_a_network_one_line_says_where_to_put_the_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.checkpoints.published.reach", lambda url: "no network")
    assert run("ours", "anime") == 3
    err = capsys.readouterr().err
    assert inception_module.PUBLISHED.url in err and "--weights FILE" in err and err.count("\n") == 1


@pytest.mark.usefixtures("pictures")
def test_the_inception_score_needs_a_classifier(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    for path in sorted(Path("anime").iterdir()):
        shutil.copy(path, f"ours/more_{path.name}")
    asked = ["ours", "anime", "--weights", inception, "--metrics", "is"]
    if torch.load(inception, weights_only=True)["fc.weight"].any():
        assert run(*asked) == 0
        assert "Inception Score" in capsys.readouterr().out
    else:
        assert run(*asked) == 3
        assert "has no classifier" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_cuda_that_is_not_there_is_refused(
    inception: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.engines.cuda.missing_for_onnx", lambda: "there is no driver")
    assert run("ours", "anime", "--weights", inception, "--device", "cuda") == 3
    assert "there is no driver" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_names_are_printed_as_they_are(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("set[b]", "a[red]b", "x:smile:y", "open[", "set[!b]"):
        shutil.copytree("ours", name)
        assert run(name, "anime", "--weights", inception) == 0
        assert name in capsys.readouterr().out


@pytest.mark.usefixtures("pictures")
def test_each_set_says_the_size_of_its_own_subsets(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("anime", "ours", "anime", "--weights", inception) == 0
    rows = capsys.readouterr().out.splitlines()[1:3]
    assert [row.split()[-1] for row in rows] == ["3", "2"]


@pytest.mark.usefixtures("pictures")
def test_what_can_be_known_is_refused_before_anything_is_measured(
    inception: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toonify.metrics.measure.extract", None)
    Path("damaged.npz").write_bytes(b"PK")
    Path("three").mkdir()
    for path in sorted(Path("ours").iterdir())[:3]:
        shutil.copy(path, "three")
    for arguments, says in (
        (["ours", "damaged.npz"], "holds no statistics"),
        (["ours", "three", "--metrics", "pr"], "three has 3 pictures, too few for precision and recall (at least 4)"),
        (["ours", "anime", "--metrics", "is"], "ours has 5 pictures, too few for Inception Score (at least 10)"),
        (["ours", "anime", "--kid-subset", "1"], "--kid-subset"),
    ):
        assert run(*arguments, "--weights", inception) == 2
        assert says in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_gray_of_16_bits_is_named_not_measured_as_white(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((40, 40), 9000, np.uint16)).save("ours/deep.png")
    assert run("ours", "anime", "--weights", inception) == 1
    assert "ours/deep.png: more than 8 bits" in capsys.readouterr().err


@pytest.mark.usefixtures("pictures")
def test_ctrl_c_ends_it_with_a_word(
    inception: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("toonify.metrics.features._read", interrupt)
    assert run("ours", "anime", "--weights", inception, "--no-cache") == 130
    assert capsys.readouterr().err.endswith("interrupted\n")


@pytest.mark.usefixtures("pictures")
def test_a_target_that_cannot_be_is_named_at_once(inception: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder.npz").mkdir()
    Path("link.npz").symlink_to("nowhere")
    for target, says in (("folder.npz", "is a folder"), ("link.npz", "is there already")):
        assert run("save", "ours", target, "--weights", inception) == 2
        assert f"{target} {says}" in capsys.readouterr().err


def test_a_conversion_takes_no_random_numbers_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    def draws(*_: Any, **__: Any) -> None:
        torch.rand(3)
        raise RuntimeError("fresh weights have been drawn")

    monkeypatch.setattr(theirs, "FeatureExtractorInceptionV3", draws)
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    before = torch.get_rng_state()
    with pytest.raises(WeightsError):
        inception_module.convert_inception(tmp_path / "x.pth", tmp_path / "x.onnx")
    assert torch.equal(torch.get_rng_state(), before)
