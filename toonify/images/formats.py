"""The formats that are read and written, and what each of them may hold."""

# What `--format same` writes for a file name. HEIC is patented, so few programs may write it; BMP and GIF hold no EXIF,
# and a GIF would cut the drawing to 256 colours.
FORMAT_OF_SUFFIX = {
    **dict.fromkeys([".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".heic", ".heif", ".hif"], "jpg"),
    **dict.fromkeys([".png", ".apng", ".bmp", ".dib", ".gif"], "png"),
    ".webp": "webp",
    **dict.fromkeys([".avif", ".avifs"], "avif"),
    **dict.fromkeys([".tif", ".tiff"], "tiff"),
}
SUFFIXES_OF_FORMAT = {  # the first is the one that new names get
    "jpg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "png": (".png",),
    "webp": (".webp",),
    "avif": (".avif",),
    "tiff": (".tiff", ".tif"),
}
FORMAT_OF_DECODER = {
    **dict.fromkeys(["JPEG", "MPO", "HEIF"], "jpg"),
    **dict.fromkeys(["PNG", "BMP", "DIB", "GIF"], "png"),
    "WEBP": "webp",
    "AVIF": "avif",
    "TIFF": "tiff",
}
DEFAULT_QUALITY = {"jpg": 92, "webp": 90, "avif": 80}  # the others are lossless
DEFAULT_MAX_PIXELS = 250_000_000
