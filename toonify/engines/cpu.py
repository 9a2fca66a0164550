"""What the processor can do."""

from functools import cache

# OpenCV's names. With these an instruction multiplies bytes and adds up in 32 bits, four times as many as float32.
_DOT_PRODUCTS = ("AVX512VNNI", "AVX_VNNI", "NEON_DOTPROD")


@cache
def has_dot_products() -> bool:
    """Whether the processor has dot products of bytes, without which integers are hardly quicker than float32.

    OpenCV asks the processor itself, on all systems and in no time. To measure both would take a tenth of a second at
    the first start and a cache for the rest, and machines that are alike would choose differently.
    """
    import cv2

    numbers = {cv2.getHardwareFeatureName(number): number for number in range(256)}  # Python is not told the constants
    return any(name in numbers and cv2.checkHardwareSupport(numbers[name]) for name in _DOT_PRODUCTS)
