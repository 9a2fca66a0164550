"""A local Ray cluster of two nodes with one worker each: it gives what a local run gives, and loses nothing."""

import dataclasses
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from files import snapshot
from PIL import Image

from toonify.cli import main
from toonify.convert.local import SaveOptions
from toonify.drawing import choose_plan
from toonify.errors import ClusterError, StyleError
from toonify.jobs.find import find_photos
from toonify.jobs.plan import Job, plan_jobs
from toonify.system.installed import install_extra

ray = pytest.importorskip("ray", reason="needs Ray: pip install -e '.[dev]'")
pytest.importorskip("ray.data", reason="needs Ray Data: pip install -e '.[dev]'")

from toonify.convert import cluster  # noqa: E402

COUNT = 12  # photos, one of them broken
PATIENCE = 120  # seconds; only a failure takes so long


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # beside busy neighbors a nice worker takes minutes to start
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_enable_metrics_collection", "0")
        with cluster._hushed():
            nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
            nodes.add_node(num_cpus=1)
        yield nodes.address
        with cluster._hushed():
            nodes.shutdown()


@pytest.fixture
def photos(tmp_path: Path, noise: np.ndarray) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i in range(COUNT - 1):
        Image.fromarray(np.roll(noise, 5 * i, axis=1)).save(folder / ("sub" if i % 3 == 0 else "") / f"{i:02}.png")
    (folder / "04b.jpg").write_bytes(b"not a photo")
    return folder


def eventually(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def workers() -> list[psutil.Process]:
    """The processes that draw, on all nodes."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name().startswith("ray::MapWork"):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def plan(photos: Path, style: Path, output: Path) -> tuple[list[Job], cluster.ClusterRun]:
    jobs = plan_jobs(find_photos([photos]), output=output, style="tiny")
    plan = choose_plan(str(style))
    return jobs, cluster.ClusterRun(jobs, plan, SaveOptions(), device="cpu", backend="onnx")


def test_a_cluster_gives_what_a_local_run_gives(
    photos: Path, tiny_onnx: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    frames = [Image.open(photos / name) for name in ("01.png", "02.png")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:], duration=[80, 160])
    command = ["convert", "photos", "--style", str(tiny_onnx)]
    assert main([*command, "--output", "here", "--report", "here.json"]) == 1
    capfd.readouterr()
    assert main([*command, "--output", "there", "--report", "there.json", "--ray", address]) == 1
    said, err = capfd.readouterr()
    assert snapshot(tmp_path / "here") == snapshot(tmp_path / "there") and len(snapshot(tmp_path / "there")) == 12

    def told(name: str) -> dict[str, Any]:
        text = (tmp_path / name).read_text().replace('"there/', '"here/')
        report = json.loads(text)
        for record in report["files"]:
            del record["seconds"], record["network_seconds"]
        return report

    assert told("here.json") == told("there.json")
    lines = err.splitlines()
    assert said == "" and lines[0] == "tiny (original), look soft, at up to 64 px on Ray, 2 workers"
    assert "CPUExecutionProvider, 1 thread a worker" in lines[1]
    assert [line.split()[1] for line in lines if line.startswith("drawn: ")] == [
        record["input"] for record in json.loads((tmp_path / "here.json").read_text())["files"] if not record["reason"]
    ]
    assert "12 drawn, 1 failed" in lines[-2] and all(line.startswith(("drawn: ", "failed: ")) for line in lines[2:-2])


def test_a_cluster_draws_several_looks(
    photos: Path, tiny_onnx: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toonify.drawing.plan.can_find_faces", lambda: False)
    command = ["convert", "photos", "--style", str(tiny_onnx), "--look", "soft", "--look", "bold"]
    assert main([*command, "--output", "here", "-q"]) == 1
    capfd.readouterr()
    assert main([*command, "--output", "there", "--report", "there.json", "--ray", address]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert snapshot(tmp_path / "here") == snapshot(tmp_path / "there") and len(snapshot(tmp_path / "there")) == 22
    heads = [line for line in lines if line.endswith(" on Ray, 2 workers")]
    assert [line.partition(":")[0] for line in heads] == ["tiny-soft", "tiny-bold"]
    assert "22 drawn, 2 failed" in lines[-3]
    drawings = json.loads((tmp_path / "there.json").read_text())["drawings"]
    assert [(each["look"], each["provider"]) for each in drawings] == [
        ("soft", "CPUExecutionProvider"),
        ("bold", "CPUExecutionProvider"),
    ]


def test_workers_that_are_killed_lose_nothing(photos: Path, tiny_onnx: Path, address: str, tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), dtype=np.uint8)
    Image.fromarray(large).save(photos / "07.png", compress_level=1)  # a worker is at it for a while
    assert main(["convert", str(photos), "--style", str(tiny_onnx), "--output", str(tmp_path / "here"), "-q"]) == 1
    with cluster.connected(address):
        jobs, run = plan(photos, tiny_onnx, tmp_path / "there")
        outcomes = run.outcomes()
        done = [next(outcomes)]
        killed = workers()
        assert killed
        for process in killed:
            process.send_signal(signal.SIGKILL)
        done += outcomes
    assert snapshot(tmp_path / "here") == snapshot(tmp_path / "there")
    assert [outcome.source for outcome in done] == [job.source for job in jobs]
    assert [outcome.result for outcome in done].count("drawn") == COUNT - 1


def test_ctrl_c_ends_the_workers(photos: Path, tiny_onnx: Path, address: str, tmp_path: Path) -> None:
    with cluster.connected(address):
        _, run = plan(photos, tiny_onnx, tmp_path / "there")
        outcomes = run.outcomes()
        next(outcomes)
        with pytest.raises(KeyboardInterrupt):
            outcomes.throw(KeyboardInterrupt)
    eventually(lambda: not workers())
    done = snapshot(tmp_path / "there")
    assert done and not [name for name in done if ".toonify-" in name]
    for name in done:
        with Image.open(tmp_path / "there" / name) as image:
            image.load()


def test_what_workers_lack_is_one_line(photos: Path, tiny_onnx: Path, address: str, tmp_path: Path) -> None:
    style = tmp_path / "mine.onnx"
    style.write_bytes(tiny_onnx.read_bytes())
    with cluster.connected(address):
        _, run = plan(photos, style, tmp_path / "there")
        style.unlink()
        with pytest.raises(StyleError, match=r"worker on .*mine\.onnx is missing"):
            list(run.outcomes())


def test_a_cluster_without_gpus_says_so(photos: Path, tiny_onnx: Path, address: str, capfd) -> None:
    command = ["convert", str(photos), "--style", str(tiny_onnx), "--device", "cuda", "--ray", address]
    assert main(command) == 3
    said, err = capfd.readouterr()
    assert said == "" and err == "error: the Ray cluster has no GPU for a worker; add a node, or type --device cpu\n"


class FakeLedger:
    """Says that everything has been begun before, so and so often."""

    def __init__(self, times: int) -> None:
        self.start = SimpleNamespace(remote=lambda what: times)


@pytest.fixture
def work(photos: Path, tiny_onnx: Path, tmp_path: Path) -> cluster.Work:
    plan, precision, tile = choose_plan(str(tiny_onnx)), "auto", "auto"
    return cluster.Work(plan, SaveOptions(), "cpu", "onnx", precision, tile, 1, tmp_path, (photos,))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker without Ray, in this process; it changes the folder and the threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("cv2.setNumThreads", lambda threads: None)
    monkeypatch.setattr("ray.get", lambda value: value)


def answers(work: cluster.Work, jobs: list[Job], *, begun: int) -> list[Any]:
    import pickle

    batch = {"job": [pickle.dumps(pair) for pair in enumerate(jobs)]}
    rows = cluster.Worker(work, FakeLedger(begun))(batch)
    return [pickle.loads(result) for row in rows for result in row["result"]]


@pytest.mark.parametrize(("begun", "result"), [(1, "drawn"), (2, "drawn"), (3, "failed")])
@pytest.mark.usefixtures("here")
def test_a_photo_that_costs_workers_is_given_up(begun: int, result: str, work: cluster.Work, photos: Path) -> None:
    jobs = [
        Job(photos / "01.png", photos.parent / "01.png", "png"),
        Job(photos / "02.png", photos.parent / "2.png", "png"),
    ]
    outcomes = [outcome for _, outcome, _ in answers(work, jobs, begun=begun)]
    assert [outcome.result for outcome in outcomes] == [result, result]
    assert [outcome.source for outcome in outcomes] == [job.source for job in jobs]


@pytest.mark.usefixtures("here")
def test_a_worker_that_cannot_start_says_why(work: cluster.Work, photos: Path) -> None:
    jobs = [Job(photos / "01.png", photos.parent / "01.png", "png")]
    elsewhere = dataclasses.replace(work, must_exist=(photos / "gone.png",))
    (problem,) = answers(elsewhere, jobs, begun=1)
    assert isinstance(problem, ClusterError) and "gone.png is not there" in str(problem)
    (problem,) = answers(dataclasses.replace(work, version="0.0"), jobs, begun=1)
    assert isinstance(problem, ClusterError) and "install the same" in str(problem)


def test_unexpected_errors_travel_as_text() -> None:
    from toonify.convert.local import Outcome

    class OddError(Exception):
        def __reduce__(self):
            raise TypeError

    outcome = cluster._portable(Outcome(Path("a"), Path("b"), "failed", "odd", error=OddError("very odd")))
    assert "very odd" in str(outcome.error) and outcome.reason == "odd"


def test_without_ray_it_says_what_to_install(photos: Path, tiny_onnx: Path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["convert", str(photos), "--style", str(tiny_onnx), "--ray", "local"]) == 3
    assert capsys.readouterr().err == f"error: --ray needs Ray, which is not installed: {install_extra('ray')}\n"


@pytest.mark.parametrize("address", ["ray://host:10001", "host", ":6379", "host:", ""])
def test_what_is_no_address_is_refused(address: str, photos: Path, tiny_onnx: Path, capsys) -> None:
    assert main(["convert", str(photos), "--style", str(tiny_onnx), "--ray", address]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: --ray {address}: give local, auto, or HOST:PORT") and err.count("\n") == 1


def test_an_address_where_nobody_listens_is_one_line_at_once(photos: Path, tiny_onnx: Path, capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # free again below
    assert main(["convert", str(photos), "--style", str(tiny_onnx), "--ray", f"127.0.0.1:{port}"]) == 3
    err = capsys.readouterr().err
    assert err.startswith(f"error: --ray 127.0.0.1:{port}: no Ray cluster there") and err.count("\n") == 1


def test_what_ray_refuses_is_one_line(photos: Path, tiny_onnx: Path, monkeypatch, capsys) -> None:
    def refuse(**options: Any) -> None:
        raise ConnectionError("nobody\nthere")

    monkeypatch.setattr("ray.init", refuse)
    assert main(["convert", str(photos), "--style", str(tiny_onnx), "--ray", "auto"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("error: --ray auto: no Ray cluster there (nobody there)") and err.count("\n") == 1


def test_a_gpu_gets_the_cpus_beside_it() -> None:
    def node(alive: bool = True, **resources: float) -> dict[str, Any]:
        return {"Alive": alive, "Resources": resources}

    assert cluster._cpus_beside_a_gpu([node(CPU=16, GPU=2), node(CPU=64), node(CPU=64, GPU=4)]) == 8
    assert cluster._cpus_beside_a_gpu([node(CPU=2, GPU=4), node(CPU=16, GPU=1)]) == 1
    assert cluster._cpus_beside_a_gpu([node(GPU=1), node(CPU=8)]) == 1
    assert cluster._cpus_beside_a_gpu([node(alive=False, CPU=1, GPU=1), node(CPU=12, GPU=1)]) == 12
    assert cluster._cpus_beside_a_gpu([]) == 1
