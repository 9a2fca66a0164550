"""Images kept as rows, one pixel each, in an order of their own.

Whatever moves pixels about (cutting overlapping windows, padding, cropping, going back to an image) is then one Gather
of whole rows of C numbers. Which rows, is found by doing the same to a small image: that of the rows' numbers.
"""

from dataclasses import dataclass

from onnx import TensorProto

from toonify.graphs.builder import GraphBuilder, Slices
from toonify.graphs.speedup.match import Edge

_WHOLE: Slices = (slice(None), slice(None))


@dataclass(frozen=True)
class Layout:
    """The order of the rows of an H x W image.

    The image is made of cells of cell x cell pixels, and these make tiles of tile x tile cells. Rows are ordered by
    (cell's y in its tile, cell's x in its tile, tile's y, tile's x, y in the cell, x in the cell): so lie the results
    of a Winograd convolution as they come. The last tiles may reach past the image, with rows that mean nothing.
    With tile = cell = 1 it is the image's own order. The strings name int64 vectors of length 1.
    """

    height: str
    width: str
    tiles_y: str
    tiles_x: str
    tile: int = 1
    cell: int = 1


@dataclass(frozen=True)
class Rows:
    """A batch of images: N x rows x C."""

    name: str
    channels: int
    layout: Layout


def tiled(graph: GraphBuilder, layout: Layout, tile: int, cell: int) -> Layout:
    """The layout in tiles of an image in which cell x cell pixels have taken the place of each one."""

    def tiles(size: str) -> str:
        return graph.op("Div", graph.op("Add", size, graph.ints([tile - 1])), graph.ints([tile]))

    height, width = layout.height, layout.width
    tiles_y, tiles_x = tiles(height), tiles(width)
    if cell > 1:  # else the names stay: layouts are compared
        height, width = graph.times(height, cell), graph.times(width, cell)
    return Layout(height, width, tiles_y, tiles_x, tile, cell)


def from_image(graph: GraphBuilder, image: str, channels: int) -> Rows:
    """N x C x H x W to rows in the image's own order."""
    shape = graph.op("Shape", image)
    height, width = (graph.op("Gather", shape, graph.ints([axis])) for axis in (2, 3))
    pixels = graph.op("Transpose", image, perm=[0, 2, 3, 1])
    return Rows(graph.reshape(pixels, 0, -1, channels), channels, Layout(height, width, height, width))


def to_image(graph: GraphBuilder, rows: Rows, *, part: Slices = _WHOLE, margin: int = 0) -> str:
    """Rows to N x C x H x W: a part of the image, or all of it with a reflected margin."""
    numbers = row_numbers(graph, rows.layout)
    if part != _WHOLE:
        numbers = graph.crop(numbers, part, axis=0)
    if margin:
        numbers = graph.op("Pad", numbers, graph.ints([margin] * 4), mode="reflect")
    pixels = graph.op("Gather", rows.name, numbers, axis=1)
    return graph.op("Transpose", pixels, perm=[0, 3, 1, 2])


def row_numbers(graph: GraphBuilder, layout: Layout) -> str:
    """The image whose pixels are the numbers of their own rows: H x W int64."""
    tile, cell = graph.ints([layout.tile] * 2), graph.ints([layout.cell] * 2)
    shape = graph.op("Concat", tile, layout.tiles_y, layout.tiles_x, cell, axis=0)
    numbers = graph.op("Reshape", graph.up_to(row_count(graph, layout)), shape)
    numbers = graph.op("Transpose", numbers, perm=[2, 0, 4, 3, 1, 5])
    numbers = graph.op("Reshape", numbers, _size_in_tiles(graph, layout))
    return graph.op("Slice", numbers, graph.ints([0, 0]), _size(graph, layout))


def row_count(graph: GraphBuilder, layout: Layout) -> str:
    """How many rows an image has, with those past its edge."""
    return graph.op("ReduceProd", _size_in_tiles(graph, layout), keepdims=1)


def windows(graph: GraphBuilder, rows: Rows, tile: int, edge: Edge) -> str:
    """What a Winograd convolution reads: overlapping windows of (tile + 2)^2 pixels, one every `tile` pixels.

    N x (tile + 2)^2 x windows x C; the first window begins one pixel before the image's corner.
    """
    layout, source = rows.layout, rows.name
    numbers, around = row_numbers(graph, layout), graph.ints([1] * 4)
    if edge is Edge.REFLECT:
        numbers = graph.op("Pad", numbers, around, mode="reflect")
    else:
        zeros = row_count(graph, layout)  # the number of one row more
        source = graph.op("Pad", source, graph.ints([0, 0, 0, 0, 1, 0]))
        numbers = graph.op("Pad", numbers, around, graph.op("Squeeze", zeros))
    result = tiled(graph, layout, tile, 1)
    for axis, size, tiles in ((0, layout.height, result.tiles_y), (2, layout.width, result.tiles_x)):
        first = graph.times(graph.up_to(tiles), tile)
        position = graph.op("Add", graph.ints([[offset] for offset in range(tile + 2)]), first)
        # The last window may reach past the padding: what it finds there, only rows past the edge are made from.
        position = graph.op("Min", position, graph.op("Add", size, graph.ints([1])))
        numbers = graph.op("Gather", numbers, position, axis=axis)
    numbers = graph.op("Transpose", numbers, perm=[0, 2, 1, 3])  # from offset, tile, offset, tile
    return graph.op("Gather", source, graph.reshape(numbers, (tile + 2) ** 2, -1), axis=1)


def mean(graph: GraphBuilder, rows: Rows) -> str:
    """Over the pixels of each image: N x 1 x C. In two steps, which rounds less than one long sum."""
    groups = rows.layout.tile**2
    shares = graph.reshape(_shares(graph, rows.layout), groups, 1, -1)
    sums = graph.op("MatMul", shares, graph.reshape(rows.name, 0, groups, -1, rows.channels))
    return graph.op("ReduceSum", sums, graph.ints([1]), keepdims=0)


def _shares(graph: GraphBuilder, layout: Layout) -> str:
    """What each row counts in a mean, in the rows' order: 1 / (H W), or 0 if it lies past the image's edge."""
    size, size_in_tiles = _size(graph, layout), _size_in_tiles(graph, layout)
    pixels = graph.op("Cast", graph.op("ReduceProd", size, keepdims=0), to=TensorProto.FLOAT)
    shares = graph.op("Expand", graph.op("Reciprocal", pixels), size)
    past_the_edge = graph.op("Sub", size_in_tiles, size)
    shares = graph.op("Pad", shares, graph.op("Concat", graph.ints([0, 0]), past_the_edge, axis=0))
    tile = graph.ints([layout.tile, layout.cell])
    shape = graph.op("Concat", layout.tiles_y, tile, layout.tiles_x, tile, axis=0)
    return graph.op("Transpose", graph.op("Reshape", shares, shape), perm=[1, 4, 0, 3, 2, 5])


def _size(graph: GraphBuilder, layout: Layout) -> str:
    return graph.op("Concat", layout.height, layout.width, axis=0)


def _size_in_tiles(graph: GraphBuilder, layout: Layout) -> str:
    """Height and width of all tiles together, in pixels."""
    tiles = graph.op("Concat", layout.tiles_y, layout.tiles_x, axis=0)
    return graph.times(tiles, layout.tile * layout.cell)
