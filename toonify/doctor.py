"""Looks at an installation: what is there, what works, and what to do about the rest."""

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toonify.engines import accelerators, cuda
from toonify.system.cores import available_cores
from toonify.system.installed import DISTRIBUTION, has_command, installed_version
from toonify.version import __version__


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    state: str
    fix: str | None = None  # what to do; None: all is well
    serious: bool = True  # whether toonify cannot do its main job until it is fixed


def examine_installation() -> Iterator[Finding]:
    """Everything that has ever kept toonify from running, one after the other."""
    for look in (_toonify, _python, _torch, _onnxruntime, _cuda, _engines, _caches, _styles, _hub):
        yield from look()


def _toonify() -> Iterator[Finding]:
    """This package itself, and the one on the index that has the name of its command."""
    version = installed_version(DISTRIBUTION)
    how = "runs from a folder and is not installed" if version is None else f"{DISTRIBUTION} {version}"
    yield Finding("toonify", f"{__version__}, {how}")
    other = installed_version("toonify")
    if other is None:
        return
    if has_command("toonify", "toonify"):
        state = f"the package toonify {other} is an older toonify, from before it was called {DISTRIBUTION}"
        fix = f"pip uninstall -y toonify, then install {DISTRIBUTION} again in the way that you did"
    else:
        state = f"the package toonify {other} is another project's, and nothing here needs it"
        fix = f"pip uninstall -y toonify, unless you use it for itself; this project's package is {DISTRIBUTION}"
    yield Finding("toonify", state, fix, serious=False)


def _python() -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}, {available_cores()} cores")


def _torch() -> Iterator[Finding]:
    try:
        import torch
        import torchvision
    except Exception as error:  # a broken installation raises whatever it likes
        yield Finding("PyTorch", f"does not import: {error}", "pip install --force-reinstall torch torchvision")
        return
    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield Finding("PyTorch", f"{torch.__version__} ({cuda}), torchvision {torchvision.__version__}")


def _onnxruntime() -> Iterator[Finding]:
    wheels = {name: installed_version(name) for name in ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")}
    there = [f"{name} {version}" for name, version in wheels.items() if version]
    if len(there) > 1:
        yield Finding(
            "ONNX Runtime",
            f"{' and '.join(there)} are both installed and overwrite each other",
            f'pip uninstall -y {" ".join(wheels)} && pip install "onnxruntime-gpu[cuda,cudnn]"',
        )
    elif not there:
        yield Finding("ONNX Runtime", "is not installed", "pip install onnxruntime-gpu (onnxruntime without a GPU)")
    try:
        import onnxruntime as ort

        providers = ", ".join(ort.get_available_providers())
    except Exception as error:
        yield Finding("ONNX Runtime", f"does not import: {error}", "pip install --force-reinstall onnxruntime-gpu")
        return
    if len(there) == 1:
        yield Finding("ONNX Runtime", f"{there[0]}, built with {providers}")


def _cuda() -> Iterator[Finding]:
    try:
        missing = cuda.missing_for_onnx()
    except ImportError:
        return
    if missing is not None:
        no_driver = cuda.missing_driver() is not None
        yield Finding("CUDA", f"not used: {missing}", None if no_driver else missing, serious=False)
        return
    problem = _try_cuda_session()
    if problem is None:
        yield Finding("CUDA", "ONNX Runtime runs on it")
    else:
        yield Finding("CUDA", "the driver and its libraries are there", problem, serious=False)


def _try_cuda_session() -> str | None:
    """Run the smallest network on CUDA: None if that works, what the runtime says if not."""
    import numpy as np
    import onnx.parser

    from toonify.engines.onnx_runtime import OnnxGenerator
    from toonify.errors import ToonifyError

    network = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]>'
        "relu (float[N,3,H,W] photo) => (float[N,3,H,W] drawing) { drawing = Relu(photo) }"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "relu.onnx")
        path.write_bytes(network.SerializeToString())
        try:
            OnnxGenerator(path, "cuda")(np.zeros((1, 3, 8, 8), np.float32))
        except ToonifyError as error:
            return str(error)
    return None


def _engines() -> Iterator[Finding]:
    """What each --backend would run on."""
    from toonify.engines.choose import choose_device
    from toonify.engines.openvino import native_precision

    try:
        there = [f"onnx on {choose_device('auto', 'onnx')}", f"torch on {choose_device('auto', 'torch')}"]
        missing = [name for name in ("openvino", *accelerators.ACCELERATORS) if accelerators.missing(name) is not None]
        if "openvino" not in missing:
            there.append(f"openvino {installed_version('openvino')} on cpu in {native_precision()}")
    except ImportError:  # which was said above
        return
    there += [f"{name} on {it.device}" for name, it in accelerators.ACCELERATORS.items() if name not in missing]
    absent = f"; not {', '.join(missing)}: --backend NAME says what they need" if missing else ""
    yield Finding("backends", ", ".join(there) + absent)


def _caches() -> Iterator[Finding]:
    from toonify.checkpoints.hub import cache_folder

    folder = cache_folder()
    there = folder if folder.exists() else next(parent for parent in folder.parents if parent.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        yield Finding("cache", f"{folder.parent} (set HF_HOME to move it), {_size(folder)} of converted networks")
    else:
        yield Finding("cache", f"{there} cannot be written", "set HF_HOME to a folder of yours")


def _styles() -> Iterator[Finding]:
    from toonify.networks.cache import is_cached
    from toonify.styles.find import shipped_styles

    names = [
        f"{variant.label}: {'ready' if is_cached(variant) else 'not fetched'}"
        for style in shipped_styles().values()
        for variant in style.variants()
    ]
    yield Finding("styles", ", ".join(names))


def _hub() -> Iterator[Finding]:
    from huggingface_hub import constants

    from toonify.checkpoints.hub import reach

    if constants.HF_HUB_OFFLINE:
        yield Finding("hub", "HF_HUB_OFFLINE is set: only cached styles", serious=False)
        return
    problem = reach()
    if problem is None:
        yield Finding("hub", f"{constants.ENDPOINT} answers")
    else:
        fix = "styles that are fetched already still work; check the connection, HF_ENDPOINT and HTTPS_PROXY"
        yield Finding("hub", f"{constants.ENDPOINT} does not answer ({problem})", fix, serious=False)


def _size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.0f} MB"
