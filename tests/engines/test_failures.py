"""What ONNX Runtime 1.31 says, on a GPU and on the CPU, and what is made of it."""

import pytest

from toonify.engines.failures import for_want_of_memory, of_the_network, telling_part

ARENA = (
    "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/onnxruntime/core/framework/"
    "bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) "
    "Failed to allocate memory for requested buffer of size 1179648"
)
SIGNATURE = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Name:'c' "
    "Status Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 std::conditional_t<THRW, void, "
    "onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, "
    "const char*, int) [with ERRTYPE = cudaError; bool THRW = true] "
)
CUBLAS = SIGNATURE + "CUBLAS failure 1: {} ; GPU=0 ; hostname=alloc01 ; file=/x.cc ; line=1 ; expr=cublasCreate(&h);"
DRIVER = SIGNATURE + "CUDA failure 999: unknown error ; GPU=0 ; hostname=alloc01 ; file=/x.cc ; line=1 ; expr=f();"
DAMAGED = "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from a.onnx failed:Protobuf parsing failed."
GRAPH = "[ONNXRuntimeError] : 10 : INVALID_GRAPH : This is an invalid model. Type Error: Type parameter (T) of Optype"


@pytest.mark.parametrize(
    ("text", "memory", "network"),
    [
        (ARENA, True, False),
        ("CUDA failure 2: out of memory ; GPU=0", True, False),
        ("CUDA_ERROR_OUT_OF_MEMORY", True, False),
        (CUBLAS.format("CUBLAS_STATUS_NOT_INITIALIZED"), True, False),
        (CUBLAS.format("CUBLAS_STATUS_ALLOC_FAILED"), True, False),
        ("CUDNN_STATUS_NOT_INITIALIZED", True, False),
        (CUBLAS.format("CUBLAS_STATUS_EXECUTION_FAILED"), False, False),
        (DRIVER, False, False),
        (DAMAGED, False, True),
        (GRAPH, False, True),
    ],
)
def test_failures_are_told_apart(text: str, memory: bool, network: bool) -> None:
    assert for_want_of_memory(RuntimeError(text)) == memory
    assert of_the_network(RuntimeError(text)) == network


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ARENA, "Failed to allocate memory for requested buffer of size 1179648"),
        (DRIVER, "CUDA failure 999: unknown error"),
        (CUBLAS.format("CUBLAS_STATUS_NOT_INITIALIZED"), "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED"),
        ("Failed to make a plan with the cudnn frontend json: {" + 1000 * "x", "Failed to make a plan"),
        (DAMAGED, DAMAGED),
        ("two\n lines", "two lines"),
    ],
)
def test_what_is_told_of_them_is_what_happened(text: str, said: str) -> None:
    assert telling_part(RuntimeError(text)) == said


def test_no_text_is_too_long_for_a_line() -> None:
    assert len(telling_part(RuntimeError(900 * "word "))) == 200
