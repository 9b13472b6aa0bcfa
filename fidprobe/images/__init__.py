"""Image sources: every kind of container behind one ordered collection of 8-bit RGB pictures."""

from fidprobe.images.decode import decode_image
from fidprobe.images.opening import open_images
from fidprobe.images.pixels import to_uint8
from fidprobe.images.reading import ReadImage, SkippedImage, read_images
from fidprobe.images.source import DecodedImage, ImageItem, ImageSource

__all__ = [
    "DecodedImage",
    "ImageItem",
    "ImageSource",
    "ReadImage",
    "SkippedImage",
    "decode_image",
    "open_images",
    "read_images",
    "to_uint8",
]
