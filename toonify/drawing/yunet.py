"""YuNet on ONNX Runtime: where a network that knows faces sees one in a picture.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023; the file is that
of OpenCV's model zoo. ONNX Runtime takes a third of the time of OpenCV's own `FaceDetectorYN`, several threads may call
it at once, and it prints nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from toonify.checkpoints import hub
from toonify.engines.onnx_runtime import OnnxNetwork
from toonify.errors import WeightsError
from toonify.pixels.arrays import Floats, Pixels
from toonify.styles.card import HubWeights
from toonify.system.files import file_digest, write_atomically

WEIGHTS = HubWeights(
    repository="opencv/face_detection_yunet",
    file="face_detection_yunet_2023mar.onnx",
    fingerprint="sha256:8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    megabytes=0.2,
    revision="3cc26e7f1014a5ee5d74a42acee58bafc9d0a310",
)
COLUMNS = 15  # of a row: left, top, width, height; x and y of five points; score

NO_FACES = (
    "faces are not looked for: the network that finds them (0.2 MB) is not here and cannot be fetched now; connect "
    "once, or type --faces off"
)

_STRIDES = (8, 16, 32)  # pixels of the picture for a cell of each of the three maps
_MULTIPLE = _STRIDES[-1]


def can_find_faces() -> bool:
    """Whether the network is on this machine, or there is a hub to fetch it from."""
    return _made_ready().is_file() or hub.cached(WEIGHTS) is not None or hub.can_fetch()


def ready_yunet() -> Path | bytes:
    """The network that `YuNet` takes, downloaded and made ready if need be.

    What was made ready is kept in a file: to read and change the published one takes as long as to draw a photo. Where
    the cache cannot be written, it is made ready each time. Raises DownloadError if it cannot be had, WeightsError if
    what came is not the published one.
    """
    path = _made_ready()
    if path.is_file():
        return path
    network = for_any_size(fetch_yunet())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, network, overwrite=True)
    except OSError:
        return network
    return path


def _made_ready() -> Path:
    return hub.cache_folder() / "onnx" / f"{Path(WEIGHTS.file).stem}-any-size-{WEIGHTS.fingerprint[7:23]}.onnx"


def fetch_yunet() -> Path:
    """The file of the network in the hub's cache, downloaded if need be.

    Raises DownloadError if it cannot be had, WeightsError if what came is not the published one.
    """
    path = hub.fetch(WEIGHTS, way_out="connect once and run the same command again")
    if f"sha256:{file_digest(path)}" != WEIGHTS.fingerprint:
        hub.forget(path)
        raise WeightsError(
            f"{WEIGHTS.repository}/{WEIGHTS.file} is not the published network; it was taken out of the cache, so try "
            "again to fetch it anew"
        )
    return path


def for_any_size(file: Path) -> bytes:
    """The published network for pictures of any size: its file says 640 x 640, but nothing in it depends on that.

    Raises StyleError if the file cannot be read.
    """
    from toonify.graphs.format import read_model

    model = read_model(file)
    height, width = model.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name}"
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


class YuNet:
    """Rows for the faces that the network sees; several threads may call it at once.

    `network` is what `for_any_size` gives, or a file of it. Raises StyleError if it cannot be read.
    """

    def __init__(self, network: Path | bytes) -> None:
        self._network = OnnxNetwork(network, "cpu", arena=False)

    def __call__(self, pixels: Pixels, score: float) -> Floats:
        """What scores at least `score` in H x W x 3 uint8 RGB pixels: N x 15 float32, several rows for each face.

        A row is as `FaceDetectorYN` has it: left, top, width and height of the box; x and y of the right eye, the left
        eye, the nose, the right and the left corner of the mouth, all in pixels; the score, 0..1.
        """
        height, width = pixels.shape[:2]
        padded = [-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width)]
        picture = np.zeros((1, 3, *padded), np.float32)
        picture[0, :, :height, :width] = pixels[..., ::-1].transpose(2, 0, 1)  # in BGR, 0..255
        maps = self._network.run({self._network.inputs[0]: picture})
        return np.concatenate([_decode(maps, stride, padded[1] // stride, score) for stride in _STRIDES])


def _decode(maps: Mapping[str, Floats], stride: int, columns: int, score: float) -> Floats:
    """Rows from one of the network's three maps.

    Each cell has a probability of its class, one of an object, a box (center and logarithm of the size) and the points,
    measured from the cell's corner in cells.
    """
    classes, objects = (np.clip(maps[f"{name}_{stride}"][0, :, 0], 0, 1) for name in ("cls", "obj"))
    scores = np.sqrt(classes * objects)
    cells = np.flatnonzero(scores >= score)
    corners = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    boxes = maps[f"bbox_{stride}"][0, cells]
    sizes = np.exp(boxes[:, 2:])
    points = maps[f"kps_{stride}"][0, cells] + np.tile(corners, 5)
    places = np.concatenate([corners + boxes[:, :2] - sizes / 2, sizes, points], axis=1) * np.float32(stride)
    return np.concatenate([places, scores[cells, None]], axis=1)
