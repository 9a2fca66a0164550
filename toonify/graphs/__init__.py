"""ONNX networks as graphs.

`format.py` says what a file of ours is, `anatomy.py` reads how large its values are and how far they see, `builder.py`
writes nodes, `pixel_graph.py` makes bytes the input and output, `quantize.py` makes deep layers calculate in integers,
`speedup/` rewrites a network so that CPUs run it faster.
"""
