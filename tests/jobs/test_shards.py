"""Parts of a folder, done on many machines: together they give the whole, byte for byte."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import snapshot
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toonify.cli import main
from toonify.errors import UsageError
from toonify.jobs.plan import Job
from toonify.jobs.shards import Shard, parse_shard, take_shard


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(["a.jpg", "a.png", "A.webp", "b.png", "sub/a.png", "sub/b_tiny.png", "sub/c.jpg"]):
        Image.fromarray(np.roll(noise, 5 * i, axis=0)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"not a photo")
    return folder


@pytest.fixture
def convert(tiny_onnx: Path):
    def run(*arguments: Any) -> int:
        return main(["convert", *map(str, arguments), "--style", str(tiny_onnx), "--quiet"])

    return run


def inputs(report: Path) -> list[str]:
    return [record["input"] for record in json.loads(report.read_text())["files"]]


@given(count=st.integers(0, 200), shards=st.integers(1, 220), seed=st.randoms())
def test_every_job_is_in_one_shard_and_shards_are_even(count: int, shards: int, seed) -> None:
    jobs = [Job(Path(f"{i}.jpg"), Path(f"out/{i}.jpg"), "jpg") for i in range(count)]
    parts = []
    for index in range(1, shards + 1):
        seed.shuffle(jobs)  # machines may list a folder in any order
        parts.append(take_shard(jobs, Shard(index, shards)))
    assert sorted(str(job.source) for part in parts for job in part) == sorted(str(job.source) for job in jobs)
    assert {len(part) for part in parts} <= {count // shards, -(-count // shards)}


@given(st.text(max_size=8))
def test_what_is_no_shard_is_refused_in_one_line(text: str) -> None:
    try:
        shard = parse_shard(text)
    except UsageError as error:
        assert "such as 1/8" in str(error)
    else:
        assert 1 <= shard.index <= shard.count


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "a/b", "1/0", "1", "1/", "/3", "-1/3", "1/3/5", "1.5/3", "", "1/\u0663"]
)
def test_a_shard_that_cannot_be_stops_before_the_work(text: str, photos: Path, convert, capsys) -> None:
    assert convert(photos, "--shard", text) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: --shard {text}: ") and err.count("\n") == 1
    assert not photos.with_name("photos_tiny").exists()


@pytest.mark.parametrize("count", [1, 2, 3, 11])
@pytest.mark.parametrize("output", ["beside", "photos", "photos/out"])
def test_the_shards_together_give_the_whole(count: int, output: str, photos: Path, convert, tmp_path: Path) -> None:
    arguments = [] if output == "beside" else ["--output", tmp_path / output]
    if output != "photos":
        arguments += ["--format", "jpg"]  # a.jpg, a.png and A.webp meet on one name
    before = snapshot(tmp_path)
    assert convert(photos, *arguments) == 1
    whole = snapshot(tmp_path)
    for name in whole.keys() - before.keys():
        (tmp_path / name).unlink()
    reports, codes = [], []
    for index in range(count, 0, -1):  # the last first: no shard counts on what others have done
        reports.append(tmp_path.with_name(f"{tmp_path.name}-{index}.json"))
        codes.append(convert(photos, *arguments, "--shard", f"{index}/{count}", "--report", reports[-1]))
    assert snapshot(tmp_path) == whole
    done = [name for report in reports for name in inputs(report)]
    assert len(done) == len(set(done)) == 8
    assert sorted(codes) == [0] * (count - 1) + [1]  # one of them met the broken photo


def test_an_empty_shard_says_so_and_is_fine(photos: Path, tiny_onnx: Path, capsys, tmp_path: Path) -> None:
    command = ["convert", str(photos), "--style", str(tiny_onnx), "--shard", "9/9"]
    assert main([*command, "--report", str(tmp_path / "r.json")]) == 0
    assert "shard 9/9: 0 of 8 photos" in capsys.readouterr().err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["files"] == [] and report["device"] is None
    assert not photos.with_name("photos_tiny").exists()


def test_a_dry_run_tells_of_its_own_shard(photos: Path, convert, capsys) -> None:
    said = []
    for index in (1, 2, 3):
        assert convert(photos, "--dry-run", "--shard", f"{index}/3") == (index == 2)  # which has the broken photo
        said += capsys.readouterr().out.splitlines()
    convert(photos, "--dry-run")
    assert sorted(said) == sorted(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        (["photos/sub"], []),  # goes to photos/sub_tiny
        (["more"], ["--output", "photos"]),  # goes to photos/more
        ([], ["--output", "photos", "--format", "jpg"]),  # b.png to b.jpg, which nothing tells from a photo
        (["photos_tiny"], []),
    ],
)
def test_pictures_among_the_photos_are_refused(
    extra: list[str], arguments: list[str], photos: Path, convert, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("more", "photos_tiny"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (9, 9)).save(tmp_path / name / "x.png")
    before = snapshot(tmp_path)
    assert convert(*extra, "photos", *arguments, "--shard", "1/2") == 2
    err = capsys.readouterr().err
    assert "later shards would draw it too" in err and err.count("\n") == 1
    assert snapshot(tmp_path) == before


def test_shards_that_start_together_prepare_the_network_together(photos: Path, tiny_run: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}
    command = [sys.executable, "-m", "toonify", "convert", str(photos), "--style", str(tiny_run), "--format", "png"]
    running = [
        subprocess.Popen([*command, "--shard", f"{i}/2", "--output", str(tmp_path / "a")], env=environment, stderr=-1)
        for i in (1, 2)
    ]
    said = [process.communicate()[1].decode() for process in running]
    assert sorted(process.returncode for process in running) == [0, 1] and "Traceback" not in "".join(said)
    assert "".join(said).count("preparing") == 1  # the other waited
    assert len(list((tmp_path / "hf" / "toonify" / "onnx").glob("*.onnx"))) == 1
    subprocess.run([*command, "--quiet", "--output", str(tmp_path / "b")], env=environment, stderr=-1)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b") != {}


def test_threads_follow_the_cores_and_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    from toonify.system.cores import network_threads

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("toonify.system.cores.available_cores", lambda: 8)
    assert network_threads() == 8
    for text, threads in (("2", 2), ("64", 8), ("4,2", 4), ("0", 8), ("many", 8), ("", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert network_threads() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_threads_follow_taskset(tiny_onnx: Path, photos: Path) -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from toonify.system.cores import network_threads; print(network_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
