"""What an ONNX file of ours is; apart from `export.py`, so that looking one up needs no PyTorch."""

OPSET = 20
EXPORTER = 1  # the way networks are exported: raise it when the result changes, and cached files are made anew
CARD_KEY = "toonify.card"  # of the style card among the file's metadata
PIXELS, PICTURE = "pixels", "picture"  # input and output of a network that takes bytes (`pixel_graph`)
