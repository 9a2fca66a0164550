"""The published networks of AdaIN."""

from pathlib import Path

from torch import nn

from toonify.checkpoints.published import Published, fetch
from toonify.checkpoints.tensors import read_tensors
from toonify.errors import DownloadError, WeightsError, display
from toonify.models.adain import AdaINConfig, AdaINGenerator

_RELEASE = "https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0"
ENCODER = Published(
    title="AdaIN's encoder (a normalized VGG-19)",
    url=f"{_RELEASE}/vgg_normalised.pth",
    sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
    megabytes=80.1,
)
DECODER = Published(
    title="AdaIN's decoder",
    url=f"{_RELEASE}/decoder.pth",
    sha256="379ca41d59f3a37eed3599bbbc2560c19da5c458870a5ffd3a9dd41aa88f9472",
    megabytes=14.0,
    folder="adain",
)


def published_generator(config: AdaINConfig) -> AdaINGenerator:
    """The generator with the published encoder and decoder, and no style yet; fetched if they are not here.

    Raises DownloadError, WeightsError.
    """
    generator = AdaINGenerator(config).eval()
    parts = ((ENCODER, generator.encoder), (DECODER, generator.decoder))
    paths, problems = [], []
    for published, _ in parts:
        try:
            paths.append(fetch(published))
        except DownloadError as error:
            problems.append(str(error))
    if problems:  # of both files, so that nobody looks for one and then hears of the other
        raise DownloadError("; ".join(problems))
    for (published, part), path in zip(parts, paths, strict=True):
        _load(part, published, path)
    return generator


def _load(part: nn.Module, published: Published, path: Path) -> None:
    state = read_tensors(path)
    try:  # the encoder's file goes on to relu5_4
        part.load_state_dict({name: state[name] for name in part.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{display(path)} is not {published.title}") from error
