"""A CUDA that computes nothing, so that ONNX Runtime's real CUDA provider can be opened on machines without a GPU.

What is real then: which operators the provider takes, the copies between GPU and CPU that it adds, the memory that it
asks for, and what it says when there is none. What is not: every number that it draws. cuDNN's convolutions cannot be
planned, so that networks with convolutions open and do not run.

`build` compiles a library of empty functions for each that the provider is linked to. Memory is the machine's own, and
counted; `stubUsed()` of libcudart tells the bytes that are taken, `stubLimit(bytes)` sets how many there are.
"""

import mmap
import re
import shutil
import subprocess
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

_TOOLS = ("gcc", "nm", "readelf")
_HANDLE = re.compile(r"(cublas|cublasLt|cudnn|curand)\w*Create\w*|cuda(Stream|Event|MemPool)Create\w*")
_SAID = re.compile(r"\w+Get(Error|Status)(String|Name)")
_TAKE = "aligned_alloc(256, (n + 511) / 256 * 256)"
_FUNCTIONS = {  # those that do something
    "cudaMalloc": """
static long used, limit = 80L << 30;
long stubUsed(void) { return used; }
void stubLimit(long bytes) { limit = bytes; }
int cudaMalloc(void **p, size_t n) {
    n = (n + 511) / 256 * 256;
    *p = 0;
    if (__sync_add_and_fetch(&used, n) > limit) { __sync_sub_and_fetch(&used, n); return 2; }
    char *q = aligned_alloc(256, n + 256);
    *(size_t *)q = n;
    *p = q + 256;
    return 0;
}
int cudaFree(void *p) {
    if (p) { char *q = (char *)p - 256; __sync_sub_and_fetch(&used, *(size_t *)q); free(q); }
    return 0;
}""",
    "cudaFree": "",
    "cudaHostAlloc": f"int cudaHostAlloc(void **p, size_t n, unsigned f) {{ *p = {_TAKE}; return *p ? 0 : 2; }}",
    "cudaMallocHost": f"int cudaMallocHost(void **p, size_t n, unsigned f) {{ *p = {_TAKE}; return *p ? 0 : 2; }}",
    "cudaFreeHost": "int cudaFreeHost(void *p) { free(p); return 0; }",
    "cudaMemcpy": "int cudaMemcpy(void *d, const void *s, size_t n, int k) { memmove(d, s, n); return 0; }",
    "cudaMemcpyAsync": "int cudaMemcpyAsync(void *d, const void *s, size_t n, int k, void *t) "
    "{ memmove(d, s, n); return 0; }",
    "cudaMemset": "int cudaMemset(void *d, int v, size_t n) { memset(d, v, n); return 0; }",
    "cudaMemsetAsync": "int cudaMemsetAsync(void *d, int v, size_t n, void *s) { memset(d, v, n); return 0; }",
    "cudaMemGetInfo": "int cudaMemGetInfo(size_t *a, size_t *b) { *a = *b = (size_t)80 << 30; return 0; }",
    "cudaGetDevice": "int cudaGetDevice(int *d) { *d = 0; return 0; }",
    "cudaGetDeviceCount": "int cudaGetDeviceCount(int *d) { *d = 1; return 0; }",
    "cudaDriverGetVersion": "int cudaDriverGetVersion(int *d) { *d = 13000; return 0; }",
    "cudaRuntimeGetVersion": "int cudaRuntimeGetVersion(int *d) { *d = 13000; return 0; }",
    "cudaGetErrorString": 'const char *cudaGetErrorString(int e) { return e == 2 ? "out of memory" : "stub"; }',
    "cudaDeviceGetAttribute": "int cudaDeviceGetAttribute(int *v, int a, int d) "
    "{ *v = a == 75 ? 9 : a == 76 ? 0 : 64; return 0; }",
    "cudaGetDeviceProperties": """
#include <driver_types.h>
int cudaGetDeviceProperties(struct cudaDeviceProp *p, int d) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "stub");
    p->totalGlobalMem = (size_t)80 << 30;
    p->major = 9;
    p->multiProcessorCount = 132;
    p->warpSize = 32;
    p->maxThreadsPerBlock = p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsPerMultiProcessor = 2048;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->sharedMemPerBlock = 49152;
    p->regsPerBlock = 65536;
    return 0;
}""",
    "__cudaRegisterFatBinary": "void **__cudaRegisterFatBinary(void *x) { static void *h; return &h; }",
    "__cudaPushCallConfiguration": "unsigned __cudaPushCallConfiguration(void) { return 0; }",
    "cudnnGetVersion": "size_t cudnnGetVersion(void) { return 92400; }",
    "cuDeviceGetCount": "int cuDeviceGetCount(int *n) { *n = 1; return 0; }",
}

_HOST_DEFINES = "\n".join(  # a header of the compiler's, whose words mean nothing to gcc
    [f"#define {word}" for word in ("__device_builtin__", "__cudart_builtin__", "__host__", "__device__", "CUDARTAPI")]
    + [f"#define {word}(n) __attribute__((aligned(n)))" for word in ("__align__", "__builtin_align__")]
)


def missing() -> str | None:
    """Why it cannot be built here; None if it can."""
    if find_spec("onnxruntime") is None or not _provider().is_file():
        return "needs the onnxruntime-gpu package for Linux"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    return None if _headers() else "needs CUDA's headers, which PyTorch's packages for CUDA bring"


def build(folder: Path) -> None:
    """Compile the libraries into a folder that LD_LIBRARY_PATH is to name."""
    headers = _headers()
    assert headers is not None
    (folder / "crt").mkdir()
    (folder / "crt" / "host_defines.h").write_text(_HOST_DEFINES)
    for library, names in _needed().items():
        source, versions = folder / f"{library}.c", folder / f"{library}.map"
        source.write_text(
            "#include <stdlib.h>\n#include <string.h>\n" + "\n".join(map(_function, sorted(names))) + "\n"
        )
        command = ["gcc", "-shared", "-fPIC", "-w", f"-I{folder}", f"-I{headers}", f"-Wl,-soname,{library}"]
        if library.startswith(("libcudart", "libcublas")):  # whose functions bear the library's name as their version
            versions.write_text(f"{library} {{ global: *; }};\n")
            command.append(f"-Wl,--version-script={versions}")
        subprocess.run([*command, str(source), "-o", str(folder / library)], check=True)


def _function(name: str) -> str:
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    if _HANDLE.fullmatch(name):
        return f"int {name}(void **handle) {{ *handle = malloc(64); return 0; }}"
    if _SAID.fullmatch(name):
        return f'const char *{name}(int status) {{ return "stub"; }}'
    return f"int {name}(void) {{ return 0; }}"


def _needed() -> dict[str, set[str]]:
    """The libraries that the provider is linked to, or opens, and the functions that it calls there."""
    provider = _provider()
    heads = subprocess.run(["readelf", "-d", str(provider)], check=True, capture_output=True, text=True).stdout
    linked = set(re.findall(r"\[(libcu\w+\.so\.\d+)\]", heads))
    functions: dict[str, set[str]] = defaultdict(set, {library: set() for library in linked})
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", str(provider)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name, library in re.findall(r" U (\w+)@(libcu\w+\.so\.\d+)", listed):
        functions[library].add(name)
    functions["libcuda.so.1"] |= {"cuInit", "cuDeviceGetCount", *re.findall(r" U (cu[A-Z]\w+)\n", listed)}
    with provider.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        functions["libcudnn.so.9"] |= {name.decode() for name in re.findall(rb"\0(cudnn[A-Z]\w+)(?=\0)", data)}
    return functions


def _provider() -> Path:
    spec = find_spec("onnxruntime")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "capi" / "libonnxruntime_providers_cuda.so"


def _headers() -> Path | None:
    spec = find_spec("nvidia")
    folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or []]
    found = (header.parent for folder in folders for header in folder.glob("*/include/driver_types.h"))
    return next(found, None)
