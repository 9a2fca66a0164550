"""TIFF with its EXIF: Pillow's own writer, through libtiff, can hold no tables of EXIF and no text beyond ASCII."""

import io
import itertools
import zlib

from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

from toonify.images.exif import KEPT_IFDS
from toonify.pixels.arrays import Pixels


def encode_tiff(samples: Pixels, exif: Image.Exif | None) -> bytes:
    """H x W x 3 (RGB) or 4 (RGB and alpha) samples as a deflated TIFF."""
    height, width, channels = samples.shape
    rows = max(1, 2**18 // (width * channels))
    strips = [zlib.compress(samples[top : top + rows].tobytes()) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    base = ExifTags.Base
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II")
    if exif is not None:
        tags.update(exif)
        tags.update({ifd: entries for ifd in KEPT_IFDS if (entries := exif.get_ifd(ifd))})
    tags.tagtype[base.StripOffsets] = tags.tagtype[base.StripByteCounts] = TiffTags.LONG
    tags.update(
        {
            base.ImageWidth: width,
            base.ImageLength: height,
            base.BitsPerSample: (8,) * channels,
            base.Compression: 8,  # deflate
            base.PhotometricInterpretation: 2,  # RGB
            base.SamplesPerPixel: channels,
            base.RowsPerStrip: rows,
            base.StripOffsets: tuple(itertools.accumulate(sizes[:-1], initial=0)),  # from the end of the tags
            base.StripByteCounts: tuple(sizes),
        }
    )
    if channels == 4:
        tags[base.ExtraSamples] = 2  # alpha, with which the colours are not multiplied
    buffer = io.BytesIO()
    tags.save(buffer)
    return b"".join([buffer.getvalue(), *strips])
