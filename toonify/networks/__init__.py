"""From a style to a network that runs.

`load.py` has the PyTorch module, `ready.py` the ONNX network that is converted from it once, `open.py` a generator on
an engine. `cache.py` says what is on this machine, `export.py` writes ONNX files, `verify.py` checks what is there.
"""
