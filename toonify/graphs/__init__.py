"""ONNX networks as graphs.

`format.py` says what a file of ours is, `builder.py` writes nodes, `pixel_graph.py` makes bytes the input and output,
`speedup/` rewrites a network so that CPUs run it faster.
"""
