"""What networks run on: ONNX Runtime, PyTorch, OpenVINO and the accelerators, on CPUs and CUDA.

All of them say what they really run on, and none falls back to another without a word.
"""
