"""`toonify train` as a user meets it: config files, what is refused and how, dry runs, signals."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from files import snapshot
from PIL import Image
from training import at_step, checkpoint, entries, flags, losses, notes, pictures, train

from toonify.cli import main
from toonify.methods.cartoongan import CartoonGAN

pytestmark = pytest.mark.usefixtures("one_thread")
RUN = Path("runs/x")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 2) -> str:
    """The one line that a command line is refused with; nothing is written."""
    capsys.readouterr()
    before = snapshot(Path())
    assert train(*arguments) == code
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("error: ")
    assert snapshot(Path()) == before and not Path("runs").exists()
    return said.err.removeprefix("error: ").strip()


# --- help ---


def test_help_lists_every_option_with_its_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "One of cartoongan, cartoongan-improved, cyclegan, ugatit, pix2pix, adain, adain-lite, dcgan, progan,",
        "--size 16..8192",
        "Default: 256; from noise 64.",
        "[default: data/photo]",
        "--edge-promoting,",
        "--no-edge-promoting",
        "--resume last|FILE",
        "130 interrupted, with a checkpoint",
        " Learning ",
        "Clip gradients to this norm.",
    ):
        assert part in said


def test_help_does_not_import_torch() -> None:
    script = "import sys; from toonify.cli import main; main(['train', '--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


# --- what cannot be ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--arch is missing; choose one of cartoongan, cartoongan-improved, cyclegan, ugatit, pix2pix, ad"),
        (["--arch", "biggan"], "--arch"),
        (["--arch", "cyclegan", "--learning-rate", "0"], "--learning-rate 0.0: give a number above 0 to 1"),
        (["--arch", "cyclegan", "--learning-rate", "nan"], "--learning-rate nan: give a number above 0 to 1"),
        (["--arch", "cyclegan", "--width", "0"], "--width 0: give a whole number from 1 to 1024"),
        (["--arch", "cyclegan", "--width", "wide"], "--width"),
        (["--arch", "cyclegan", "--epoch", "3"], "--epochs"),
        (["--arch", "cyclegan", "--depth", "3"], "--depth is not for cyclegan; it is for pix2pix"),
        (["--arch", "cyclegan", "--device", "cpu", "--precision", "fp16"], "--precision fp16 is for GPUs"),
        (["--arch", "cyclegan"], "--photos data/photo: no such folder; `toonify prepare` makes one"),
        (["--resume", "last"], "--resume last: of which run? Give its folder with --output"),
        (["--resume", "last", "--output", "gone"], "--resume last: there is no folder gone; name the run's"),
        (["--resume", "last", "--arch", "cyclegan"], "--resume last: there is no folder runs/cyclegan"),
        (["--resume", "gone.pt"], "--resume gone.pt: no such file; give last, or a checkpoint (.pt)"),
        (["--resume", "x" * 300], "no such file"),
        (["--config", "gone.toml"], "--config gone.toml: No such file or directory"),
        (["--config", "."], "--config .: Is a directory"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = 3 if "fp16" in arguments else 2
    assert said in refused(capsys, *arguments, code=code)


@pytest.mark.parametrize(
    ("arch", "changed", "said"),
    [
        ("cartoongan", {"batch_size": 6}, "--batch-size 6: {data}/cartoons has 5 pictures; add some, or give --batch-"),
        ("cartoongan", {"cartoons": "gone"}, "--cartoons gone: no such folder"),
        ("cartoongan", {"smooth": "gone"}, "--smooth gone: no such folder"),
        ("cyclegan", {"smooth": "{data}/cartoons"}, "--smooth is for --edge-promoting; add it, or drop --smooth"),
        ("pix2pix", {"cartoons": "{data}/cartoons"}, "--photos and --cartoons are to be pairs with the same names"),
        ("pix2pix", {"size": 36}, "--size 36: a U-Net of --depth 3 needs a multiple of 8"),
        ("cartoongan", {"sample_photos": "gone"}, "--sample-photos gone: no such folder"),
        ("cyclegan", {"eval_photos": "{data}/photos"}, "--eval-photos and --eval-cartoons go together"),
        ("cyclegan", {"eval_weights": "x.pth"}, "--eval-weights is for --eval-photos and --eval-cartoons"),
        ("cyclegan", {"eval_every": 2}, "--eval-every is for --eval-photos and --eval-cartoons"),
        ("cyclegan", {"eval_metric": "fid"}, "--eval-metric is for --eval-photos and --eval-cartoons"),
        (
            "cyclegan",
            {"eval_photos": "{data}/photos", "eval_cartoons": "{data}/cartoons", "eval_weights": "x.pth"},
            "--eval-weights x.pth: no such file",
        ),
        ("cyclegan", {"eval_photos": "gone", "eval_cartoons": "{data}/cartoons"}, "--eval-photos gone: no such"),
        ("cyclegan", {"output": "{data}/vgg.pth"}, "vgg.pth is a file; give a folder"),
        ("cyclegan", {"output": "{data}/vgg.pth/run"}, "vgg.pth is a file; give another name"),
    ],
)
def test_data_that_will_not_do_is_one_line(
    arch: str, changed: dict[str, Any], said: str, training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = {
        name: value.format(data=training_data) if isinstance(value, str) else value for name, value in changed.items()
    }
    capsys.readouterr()
    assert train(*flags(training_data, arch, **changed), "--quiet") == 2
    said_now = capsys.readouterr().err
    assert said.format(data=training_data) in said_now and said_now.count("\n") == 1
    assert not Path("runs").exists()


def test_a_folder_in_which_nothing_can_be_read_is_refused_even_if_quiet(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad").mkdir()
    for number in range(4):
        Path(f"bad/{number}.png").write_bytes(b"no picture")
    said = refused(capsys, *flags(training_data, photos="bad", cartoons=training_data / "cartoons"), "--quiet")
    assert said == "--photos bad: none of its pictures can be read"


# --- config files ---


def test_a_config_file_serves_and_what_is_typed_wins(training_data: Path) -> None:
    Path("run.toml").write_text(
        f'arch = "cyclegan"\nphotos = "{training_data}/photos"\ncartoons = "{training_data}/cartoons"\nwidth = 4\n'
        "discriminator-width = 4\nblocks = 1\nsize = 32\nworkers = 0\nbatch-size = 2\nepochs = 9\n"
        'precision = "fp32"\noutput = "runs/x"\nspectral_norm = true\nsteps = 1\n'
    )
    assert train("--config", "run.toml", "--steps", 2, "--seed", 3, "--no-spectral-norm") == 0
    made = checkpoint(RUN)["options"]
    assert (made["arch"], made["epochs"], made["steps"], made["seed"]) == ("cyclegan", 9, 2, 3)
    assert "spectral_norm" not in made  # as by default
    assert train("--config", "run.toml", "--resume", "last", "--steps", 3, "--no-spectral-norm", "--seed", 3) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'arch = "cyclegan"\nbatchsize = 4\n',
            "--config run.toml: batchsize is no option of train (is it batch_size?)",
        ),
        ('arch = "cyclegan"\nwidth = 0\n', "--config run.toml: width 0: give a whole number from 1 to 1024"),
        ('arch = "cycle"\n', "--config run.toml: arch cycle: give one of cartoongan"),
        ("[train]\nwidth = 4\n", "--config run.toml: train is no option of train"),
        ("width = \n", "--config run.toml: "),
    ],
)
def test_a_wrong_config_file_names_file_and_field(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.toml").write_text(text)
    assert refused(capsys, "--config", "run.toml").startswith(said)


# --- dry runs ---


def test_a_dry_run_tells_all_and_writes_nothing(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(training_data / "photos", "photos")
    Path("photos/broken.png").write_bytes(b"no picture")
    Image.new("CMYK", (20, 90)).save("photos/small.jpg")
    before = snapshot(Path())
    options = flags(training_data, photos="photos", epochs=1000)
    assert train(*options, "--dry-run") == 0
    said = capsys.readouterr()
    told = said.err.splitlines()
    assert said.out == "" and snapshot(Path()) == before and not Path("runs").exists()
    assert told[:7] == [
        "photos: 8 in photos",
        "  left out: photos/broken.png: not a picture, or of a kind that is not read",
        "  enlarged, as they are smaller than 32: photos/small.jpg",
        f"cartoons: 5 in {training_data}/cartoons",
        "smooth: made of the cartoons on the fly",
        "epochs of 2 steps: initialization 1, adversarial 1000; 2002 steps of 2",
        "on cpu, fp32; output in runs/cartoongan",
    ]
    assert told[7].startswith("settings: epochs 1000, ") and "objective gan" in told[7] and "batch size 2" in told[7]
    assert told[8].startswith("a trial step took ") and "memory at most; 2002 steps take about" in told[8]
    assert told[9].startswith("a checkpoint takes ") and len(told) == 10
    assert train(*options, "--dry-run", "--quiet") == 0  # nothing else would be the use of it
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_a_dry_run_finds_what_a_run_would(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said() -> str:
        return capsys.readouterr().err.splitlines()[-1]

    RUN.mkdir(parents=True)
    (RUN / "notes.txt").touch()
    assert train(*flags(training_data, output=RUN), "--dry-run") == 2
    assert "has a run or other files in it" in said()
    assert train(*flags(training_data, content_weights="gone.pth"), "--dry-run") == 3
    with monkeypatch.context() as patch:
        patch.setattr("toonify.train.start.free_disk", lambda path: 10)
        assert train(*flags(training_data), "--dry-run") == 2
        assert re.search(r"checkpoints need .* MB and 0.0 MB are free; lower --keep or --width$", said())

    def out_of_memory(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(CartoonGAN, "add_gradients", out_of_memory)
    assert train(*flags(training_data), "--dry-run") == 2
    assert said() == (
        "error: a trial step needs more memory than there is; lower --size, --width or --batch-size, or raise "
        "--accumulate"
    )


def test_a_dry_run_of_a_run_that_goes_on_leaves_it_alone(
    training_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*flags(training_data, output=RUN, steps=2)) == 0
    before = snapshot(RUN)
    assert train("--resume", "last", "--output", RUN, "--steps", 12, "--epochs", 9, "--dry-run") == 0
    said = capsys.readouterr().err
    assert "goes on from step 2 of 12" in said and "10 steps take about" in said
    assert snapshot(RUN) == before


# --- going on ---


def test_what_would_change_the_training_is_refused(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, output=RUN, steps=2)) == 0
    before = snapshot(RUN)
    for changed, said in (
        (["--learning-rate", "0.001"], "--learning-rate 0.001 (it has 0.0002)"),
        (["--batch-size", "4", "--size", "64"], "--size 64 (it has 32), --batch-size 4 (it has 2)"),
        (["--arch", "cyclegan"], "--arch cyclegan (it has cartoongan)"),
        (["--no-edge-promoting"], "--edge-promoting False (it has True)"),
        (["--precision", "bf16"], "--precision bf16 (it has fp32)"),
    ):
        capsys.readouterr()
        assert train("--resume", "last", "--output", RUN, "--steps", 4, *changed) == 2
        told = capsys.readouterr().err
        assert told == f"error: --resume: a run that goes on cannot take {said}; start a new one, or drop it\n"
    assert snapshot(RUN) == before
    kept = ("--learning-rate", "0.0002", "--batch-size", "2", "--arch", "cartoongan")  # as it was
    assert train("--resume", "last", "--output", RUN, "--steps", 4, *kept, "--title", "New", "--keep", 1) == 0
    assert [entry.step for entry in entries(RUN)] == [1, 2, 3, 4]


def test_a_file_of_another_place_needs_an_output(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, output=RUN, steps=2)) == 0
    shutil.move(RUN / "checkpoints" / "step-00000002.pt", "step.pt")
    assert train("--resume", "step.pt", "--steps", 3) == 2
    assert "--resume step.pt lies in no run's folder" in capsys.readouterr().err


# --- pictures that go bad on the way ---


def test_pictures_that_go_bad_during_a_run_are_named_once(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(training_data, "data")

    def spoil() -> None:
        pictures(Path("data/photos"))[0].unlink()
        pictures(Path("data/photos"))[0].write_bytes(b"garbage")

    at_step(monkeypatch, 2, spoil)
    assert train(*flags(Path("data"), output=RUN, epochs=8), "--quiet") == 0
    assert sorted(notes(RUN)) == [
        "data/photos/0.png: cannot be read: No such file or directory; another picture served in its place",
        "data/photos/1.png: not a picture, or of a kind that is not read; another picture served in its place",
    ]
    said = capsys.readouterr().err
    assert said.count("data/photos/0.png") == 1 and said.count("data/photos/1.png") == 1  # failures are told anyway
    assert "data/photos/0.png" in (RUN / "index.html").read_text()


def test_a_folder_that_vanishes_stops_the_run_and_the_checkpoint_before_serves(
    training_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(training_data, "data")
    with monkeypatch.context() as patch:
        at_step(patch, 2, lambda: Path("data/cartoons").rename("data/gone"))
        assert train(*flags(Path("data"), output=RUN)) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: 5 pictures in a row of data/cartoons cannot be read; the last: data/cartoons/")
    Path("data/gone").rename("data/cartoons")
    assert train("--resume", "last", "--output", RUN) == 0
    assert list(losses(RUN)) == [1, 2, 3, 4, 5, 6]


# --- quiet, debug ---


def test_quiet_says_nothing_of_a_run_that_goes_well(training_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*flags(training_data, steps=1), "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_debug_shows_where(training_data: Path) -> None:
    from toonify.errors import UsageError

    with pytest.raises(UsageError):
        main(["train", *flags(training_data, photos="gone"), "--debug"])


# --- a terminal ---


def test_a_terminal_shows_a_table_that_stays_up_to_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from toonify.cli.training import Live
    from toonify.methods.method import Phase
    from toonify.train.plan import Plan
    from toonify.train.record import Losses, Note, Scores

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    plan = Plan((Phase("initialization", 1), Phase("adversarial", 9)), 10, "constant")
    with Live(plan, quiet=False) as live:
        live.on_losses(Losses(10, 1, "initialization", 5.0, 4.0, 2e-4, {"content": 0.5}), plan)
        live.on_note(Note(11, "a.png: damaged; another picture served in its place"))
        live.on_scores(Scores(20, 2, {"fid": 101.234, "kid": 0.05, "kid_spread": 0.01}))
        live.on_saved(20)
        live.on_losses(Losses(30, 3, "adversarial", 45.0, 1.0, 2e-4, {"score_real": 0.7, "content": None}), plan)
    said = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "step 11: a.png: damaged" in said
    table = dict(re.findall(r"^(.*?\S)  +(\S.*?) *$", said[said.rindex("epoch") :], re.MULTILINE))
    assert table["epoch"] == "3 of 10 (adversarial)" and table["step"] == "30 of 100"
    assert table["score real"] == "0.7" and table["evaluation"] == "FID 101.23, KID 0.0500 ± 0.0100 (step 20)"
    assert table["saved"].startswith("step 20, ")
    assert table["time left"] == "2 min"  # 70 steps of 2 s, as the phase that goes on takes


# --- a process of its own ---


@pytest.mark.parametrize(("which", "whole_group"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_a_signal_saves_first_and_the_run_goes_on(
    training_data: Path, which: signal.Signals, whole_group: bool
) -> None:
    """SIGTERM goes to the readers as well, as when a service or a batch system ends a run."""
    options = flags(
        training_data, "cyclegan", output=RUN, epochs=5000, save_every=5000, workers=1 if whole_group else 0
    )
    command = [sys.executable, "-m", "toonify", "train", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith("step 3/"):
                break
        if whole_group:
            os.killpg(run.pid, which)
        else:
            run.send_signal(which)
        said = run.stderr.read().splitlines()
        assert run.wait(60) == 130, said
    assert "stopping after this step, with a checkpoint; again: at once, without" in said
    assert said[-1] == "interrupted"
    saved = checkpoint(RUN)["step"]
    assert saved >= 3 and list(losses(RUN))[-1] == saved
    assert train("--resume", "last", "--output", RUN, "--steps", saved + 1) == 0
    assert checkpoint(RUN)["step"] == saved + 1
