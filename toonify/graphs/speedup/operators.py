"""The operators of a generator, computed on rows."""

from typing import Any

import numpy as np

from toonify.graphs.builder import GraphBuilder, Slices
from toonify.graphs.speedup.match import Convolution, Doubling, Edge
from toonify.graphs.speedup.matrices import winograd_matrices
from toonify.graphs.speedup.rows import Rows, mean, row_count, row_numbers, tiled, to_image, windows
from toonify.pixels.arrays import Floats

_ALL, _INNER, _FIRST, _FIRST_TWO, _LAST = slice(None), slice(1, -1), slice(0, 1), slice(0, 2), slice(-1, None)
# The ring of an image's outermost pixels, each pixel once; and what it is computed from before the size is doubled.
_RING: list[tuple[Slices, Slices]] = [
    ((_FIRST, _ALL), (_FIRST_TWO, _ALL)),
    ((_LAST, _ALL), (_LAST, _ALL)),
    ((_INNER, _FIRST), (_ALL, _FIRST_TWO)),
    ((_INNER, _LAST), (_ALL, _LAST)),
]


def convolve(graph: GraphBuilder, rows: Rows, weight: Floats, edge: Edge, tile: int, *, cell: int = 1) -> Rows:
    """A 3x3 convolution without bias: Winograd's F(tile x tile, 3 x 3), Lavin and Gray's equation 11.

    Y = A' [sum over channels of (G g G') * (B' d B)] A, where to multiply by a matrix from both sides is to multiply
    by its Kronecker square once. `weight` is (cell cell O) x I x 3 x 3: in place of each pixel come cell x cell ones
    with O channels.
    """
    outputs, inputs = weight.shape[:2]
    channels, window = outputs // cell**2, (tile + 2) ** 2
    a, b, g = (graph.floats(np.kron(matrix, matrix)) for matrix in winograd_matrices(tile))
    taps = graph.floats(weight.transpose(2, 3, 1, 0).reshape(9, inputs * outputs))
    filters = graph.reshape(graph.op("MatMul", g, taps), window, inputs, outputs)
    d = graph.reshape(windows(graph, rows, tile, edge), 0, window, -1)
    d = graph.reshape(graph.op("MatMul", b, d), 0, window, -1, inputs)
    products = graph.reshape(graph.op("MatMul", d, filters), 0, window, -1)
    y = graph.reshape(graph.op("MatMul", a, products), 0, -1, channels)
    return Rows(y, channels, tiled(graph, rows.layout, tile, cell))


def double(graph: GraphBuilder, rows: Rows, first: Doubling, second: Convolution, tile: int) -> tuple[Rows, Floats]:
    """A transposed convolution and the 3x3 convolution after it, as one that makes 2 x 2 pixels of each.

    That is the same but for the ring of outermost pixels, where the second convolution sees zeros around the doubled
    image. The ring is computed by the two, on strips. Returns the bias apart: all pixels still lack it.
    """
    inner = convolve(graph, rows, _combined(first.weight, second.weight), Edge.ZERO, tile, cell=2)
    first_bias = np.einsum("omyx,m->o", second.weight, first.bias, dtype=np.float32)  # of `first`, past `second`
    first_parameters = graph.floats(first.weight), graph.floats(first.bias)
    second_parameters = graph.floats(second.weight), graph.floats(-first_bias)
    ring, numbers = [], []
    for part, source in _RING:
        strip = to_image(graph, rows, part=source)
        strip = graph.op(
            "ConvTranspose", strip, *first_parameters, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
        )
        strip = graph.op("Conv", strip, *second_parameters, pads=[1, 1, 1, 1])
        pixels = graph.op("Transpose", graph.crop(strip, part, axis=2), perm=[0, 2, 3, 1])
        ring.append(graph.reshape(pixels, 0, -1, inner.channels))
        numbers.append(graph.reshape(graph.crop(row_numbers(graph, inner.layout), part, axis=0), -1))
    # ScatterND counts along the first axis: the rows of each image come after those of the image before.
    shape = graph.op("Shape", inner.name)
    image = graph.reshape(graph.up_to(graph.op("Gather", shape, graph.ints([0]))), -1, 1)
    before = graph.op("Mul", image, row_count(graph, inner.layout))
    where = graph.reshape(graph.op("Add", before, graph.op("Concat", *numbers, axis=0)), -1, 1)
    what = graph.reshape(graph.op("Concat", *ring, axis=1), -1, inner.channels)
    y = graph.op("ScatterND", graph.reshape(inner.name, -1, inner.channels), where, what)
    return Rows(graph.op("Reshape", y, shape), inner.channels, inner.layout), first_bias + second.bias


def _combined(first: Floats, second: Floats) -> Floats:
    """The weights of a Doubling (I x M x 3 x 3) and of a convolution (O x M x 3 x 3) to (2 2 O) x I x 3 x 3."""
    outputs, inputs = second.shape[0], first.shape[0]
    both = np.zeros((2, 2, outputs, inputs, 3, 3))
    # Along an axis, doubled[2 q + k - 1] += small[q] first[k] and result[p] += doubled[p + l - 1] second[l]. So
    # small[q] counts for p = 2 q + k - l: for one of the two results at q + s, s = floor((k - l) / 2), at tap -s.
    taps = [(k, l, (k - l) % 2, 1 - (k - l) // 2) for k in range(3) for l in range(3)]  # noqa: E741
    for k_y, l_y, y, tap_y in taps:
        for k_x, l_x, x, tap_x in taps:
            product = second[:, :, l_y, l_x].astype(np.float64) @ first[:, :, k_y, k_x].T
            both[y, x, :, :, tap_y, tap_x] += product
    return both.reshape(4 * outputs, inputs, 3, 3).astype(np.float32)


def add_bias(graph: GraphBuilder, rows: Rows, bias: Floats) -> Rows:
    """One number for each channel."""
    return Rows(graph.op("Add", rows.name, graph.floats(bias)), rows.channels, rows.layout)


def add(graph: GraphBuilder, a: Rows, b: Rows) -> Rows:
    """Two batches with the same layout and number of channels."""
    return Rows(graph.op("Add", a.name, b.name), a.channels, a.layout)


def elementwise(graph: GraphBuilder, rows: Rows, kind: str, attributes: dict[str, Any]) -> Rows:
    """A function of single numbers, such as Relu."""
    return Rows(graph.op(kind, rows.name, **attributes), rows.channels, rows.layout)


def instance_norm(graph: GraphBuilder, rows: Rows, scale: str, shift: str, eps: float) -> Rows:
    """(x - mean) / sqrt(variance + eps) * scale + shift over the pixels of each image; `scale`, `shift`: vectors."""
    centered = Rows(graph.op("Sub", rows.name, mean(graph, rows)), rows.channels, rows.layout)
    squares = Rows(graph.op("Mul", centered.name, centered.name), rows.channels, rows.layout)
    deviation = graph.op("Sqrt", graph.op("Add", mean(graph, squares), graph.floats(eps)))
    scaled = graph.op("Mul", centered.name, graph.op("Div", scale, deviation))
    return Rows(graph.op("Add", scaled, shift), rows.channels, rows.layout)


def convolve_to_few(graph: GraphBuilder, image: str, weight: Floats, bias: Floats, *, padding: int) -> str:
    """A convolution of stride 1 to O channels as one of stride 2 to 4 O, then DepthToSpace.

    N x I x H x W of even size, to be padded with `padding` zeros. The kernel, K x K, is put at each of the four
    places in one of (K + 1) x (K + 1): each of them computes one of 2 x 2 pixels.
    """
    o, i, k, _ = weight.shape
    wide = np.zeros((o, 2, 2, i, k + 1, k + 1), np.float32)
    for y in range(2):
        for x in range(2):
            wide[:, y, x, :, y : y + k, x : x + k] = weight
    weights, biases = graph.floats(wide.reshape(4 * o, i, k + 1, k + 1)), graph.floats(np.repeat(bias, 4))
    fours = graph.op("Conv", image, weights, biases, strides=[2, 2], pads=[padding] * 4)
    return graph.op("DepthToSpace", fours, blocksize=2, mode="CRD")
