"""Makes the ONNX network of a convolutional generator faster on CPUs; the result is the same but for rounding.

Nearly all of the time that a drawing takes goes into convolutions, which ONNX Runtime computes as they are written.
`speed_up` writes them in standard operators that take fewer multiplications:

1. A 3x3 convolution becomes Winograd's F(6 x 6, 3 x 3), which takes 64 multiplications in place of 324 for 6 x 6
   results and a pair of channels (Lavin, Gray: Fast Algorithms for Convolutional Neural Networks, CVPR 2016,
   equation 11). A Gather cuts overlapping windows, and three matrix products do the rest. The image stays in the
   order in which they leave it (`rows.py`), through biases, instance norms, activations and sums, until an operator
   needs it as it was.
2. A transposed convolution that doubles the size and the 3x3 convolution after it become one 3x3 convolution of the
   small image, to which 1 applies.
3. A convolution to at most 4 channels becomes one of stride 2 to four times as many. ONNX Runtime computes channels
   in groups of 8 or 16 and would throw most of them away. This needs images of even height and width; it is done
   only where they have been doubled before.

It knows what PyTorch exports: float32 weights as constants, square kernels, reflection padding as a Pad before the
convolution. Everything else stays as it is. The weights of 1 are transformed, to 64 / 9 of their size, only when ONNX
Runtime loads the network: its file grows little (CartoonGAN's from 45 to 51 MB), but loading it takes 600 MB more.
"""

from toonify.graphs.speedup.rewrite import speed_up

__all__ = ["speed_up"]
