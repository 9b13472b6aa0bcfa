"""Each kind of picture has one treatment, and each kind of damage one clear message."""

import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fidprobe.errors import InputError, SourceError
from fidprobe.images import decode_image
from fidprobe.images.decode import MAX_PIXELS
from tests.images.tiff_files import tiff

Encode = Callable[..., bytes]
RawPng = Callable[..., bytes]


def test_plain_rgb_is_untouched(encode: Encode) -> None:
    """8-bit RGB comes back as it is, without a treatment, in writable memory."""
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    image = decode_image(encode(pixels), "a.png")
    assert np.array_equal(image.pixels, pixels)
    assert (image.format, image.treatments) == ("PNG", ())
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.writeable


def test_content_decides_not_the_extension(encode: Encode) -> None:
    """A PNG called .jpg is a PNG."""
    assert decode_image(encode(np.zeros((5, 5, 3), np.uint8)), "a.jpg").format == "PNG"


def test_grayscale_is_repeated(encode: Encode) -> None:
    """L: the value thrice. 1: black and white are 0 and 255."""
    image = decode_image(encode(np.array([[7, 200]], np.uint8)), "g.png")
    assert image.pixels.tolist() == [[[7] * 3, [200] * 3]]
    assert image.treatments == ("grayscale to RGB",)
    bits = decode_image(encode(np.array([[True, False]])), "b.png")
    assert bits.pixels.tolist() == [[[255] * 3, [0] * 3]]
    assert bits.treatments == ("grayscale to RGB",)


def test_alpha_is_dropped_not_blended(encode: Encode) -> None:
    """RGBA and LA: the colour under a transparent pixel is kept, as in every peer."""
    rgba = decode_image(encode(np.array([[[10, 20, 30, 0]]], np.uint8)), "a.png")
    assert rgba.pixels.tolist() == [[[10, 20, 30]]]
    assert rgba.treatments == ("alpha dropped",)
    gray = decode_image(encode(Image.merge("LA", (Image.new("L", (1, 1), 90), Image.new("L", (1, 1), 3)))), "la.png")
    assert gray.pixels.tolist() == [[[90, 90, 90]]]
    assert gray.treatments == ("grayscale to RGB", "alpha dropped")


def test_transparent_colour_of_an_rgb_file_is_kept(encode: Encode) -> None:
    """tRNS in RGB and L files: the colour stays, and the treatment says so."""
    data = encode(np.array([[[1, 2, 3]]], np.uint8), transparency=(1, 2, 3))
    image = decode_image(data, "t.png")
    assert image.pixels.tolist() == [[[1, 2, 3]]]
    assert image.treatments == ("alpha dropped",)


@pytest.mark.parametrize("transparency", [None, 1, b"\x80\x00"], ids=["opaque", "one entry", "alpha table"])
def test_palette_gives_its_colours(encode: Encode, transparency: int | bytes | None) -> None:
    """P: the palette's colours, with or without transparency."""
    image = Image.new("P", (2, 1))
    image.putpalette([255, 128, 0, 9, 8, 7])
    image.putdata([0, 1])
    options = {} if transparency is None else {"transparency": transparency}
    decoded = decode_image(encode(image, **options), "p.png")
    assert decoded.pixels.tolist() == [[[255, 128, 0], [9, 8, 7]]]
    assert decoded.treatments == ("palette to RGB",) + (() if transparency is None else ("alpha dropped",))


# Pillow: R = (255 - C)(255 - K) / 255. C, M, Y, K = 51, 0, 102, 55 gives 204*200/255, 200, 153*200/255.
_CMYK, _CMYK_AS_RGB = (51, 0, 102, 55), (160, 200, 120)


def test_cmyk_is_multiplied_out(encode: Encode) -> None:
    """A lossless CMYK TIFF gives the closed form."""
    image = decode_image(encode(Image.new("CMYK", (4, 4), _CMYK), "TIFF"), "c.tif")
    assert image.pixels[0, 0].tolist() == list(_CMYK_AS_RGB)
    assert image.treatments == ("CMYK to RGB",)


def test_adobe_cmyk_jpeg_is_not_inverted(encode: Encode) -> None:
    """Adobe stores CMYK inverted; JPEG of one flat colour loses at most 2 levels at quality 95."""
    data = encode(Image.new("CMYK", (16, 16), _CMYK), "JPEG", quality=95)
    assert b"Adobe" in data
    image = decode_image(data, "c.jpg")
    assert np.abs(image.pixels.astype(int) - _CMYK_AS_RGB).max() <= 2
    assert (image.format, image.treatments) == ("JPEG", ("CMYK to RGB",))


_SIXTEEN = [0, 255, 256, 32768, 65535]
_HIGH_BYTES = [0, 0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_gray_is_scaled_by_its_range(encode: Encode, kind: str) -> None:
    """v >> 8: Pillow's own conversion would clip everything above 255 to white."""
    image = decode_image(encode(np.array([_SIXTEEN], np.uint16), kind), "g16")
    assert image.pixels[0, :, 0].tolist() == _HIGH_BYTES
    assert np.ptp(image.pixels, axis=2).max() == 0
    assert image.treatments == ("16-bit to 8-bit", "grayscale to RGB")


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)], ids=["RGB", "RGBA"])
def test_16_bit_colour_gives_the_high_byte(raw_png: RawPng, colour: int, channels: int) -> None:
    """0x1234, 0x80FF, 0xFFFF become 0x12, 0x80, 0xFF, and the treatment tells."""
    rows = b"\0" + struct.pack(">4H", 0x1234, 0x80FF, 0xFFFF, 0x0102)[: 2 * channels]
    image = decode_image(raw_png(1, 1, 16, colour, rows), "c16.png")
    assert image.pixels.tolist() == [[[0x12, 0x80, 0xFF]]]
    assert image.treatments == ("16-bit to 8-bit",) + (("alpha dropped",) if channels == 4 else ())


def test_16_bit_ppm_colour_is_named() -> None:
    """P6 with maxval 65535: Pillow scales to 8 bits, which is recorded."""
    image = decode_image(b"P6 1 1 65535\n" + struct.pack(">3H", 0, 0x8080, 0xFFFF), "c.ppm")
    assert image.pixels.tolist() == [[[0, 128, 255]]]
    assert image.treatments == ("16-bit to 8-bit",)


def test_32_bit_signed_gray_is_scaled_by_its_range(encode: Encode) -> None:
    """Signed 32 bits: 2^31 - 1 is white, 2^30 the middle; negative values are refused."""
    image = decode_image(encode(np.array([[0, 2**30, 2**31 - 1]], np.int32), "TIFF"), "i.tif")
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.treatments == ("32-bit to 8-bit", "grayscale to RGB")
    with pytest.raises(InputError, match=r"n\.tif: negative values \(down to -5\)"):
        decode_image(encode(np.array([[-5, 3]], np.int32), "TIFF"), "n.tif")


def test_32_bit_unsigned_gray_is_scaled_by_its_range(encode: Encode) -> None:
    """Unsigned 32 bits, which Pillow hands out as signed: 2^32 - 1 is white, 2^31 the middle."""
    data = encode(np.array([[0, 2**31, 2**32 - 1]], np.uint32).view(np.int32), "TIFF")
    signed, unsigned = (struct.pack("<HHII", 339, 3, 1, kind) for kind in (2, 1))  # the tag SampleFormat
    assert signed in data
    image = decode_image(data.replace(signed, unsigned), "u.tif")
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.treatments == ("32-bit to 8-bit", "grayscale to RGB")


def test_float_gray_follows_the_float_rule(encode: Encode) -> None:
    """F: floor(255 x + 0.5) for x in [0, 1]; other ranges are refused with the remedy."""
    image = decode_image(encode(np.array([[0.0, 0.5, 1.0]], np.float32), "TIFF"), "f.tif")
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert image.treatments == ("float to 8-bit", "grayscale to RGB")
    with pytest.raises(InputError, match=r"f\.tif: float images must lie in \[0, 1\], got -1 to 1; .*\(x \+ 1\) / 2"):
        decode_image(encode(np.array([[-1.0, 1.0]], np.float32), "TIFF"), "f.tif")


_GRAY_TIFFS: dict[str, tuple[list[float], dict[str, Any], list[int]]] = {
    "1 bit": ([0, 1], {"bits": 1}, [0, 255]),
    "2 bits": ([0, 1, 2, 3], {"bits": 2}, [0, 85, 170, 255]),
    "4 bits": ([0, 1, 8, 15], {"bits": 4}, [0, 17, 136, 255]),
    "8 bits": ([0, 1, 128, 255], {"bits": 8}, [0, 1, 128, 255]),
    "16 bits": ([0, 0x1234, 0x80FF, 0xFFFF], {"bits": 16}, [0, 0x12, 0x80, 0xFF]),
    "32-bit floats": ([0.0, 0.2, 0.5, 1.0], {"bits": 32, "sample_format": 3}, [0, 51, 128, 255]),
}


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("name", _GRAY_TIFFS)
def test_white_is_zero_gives_the_picture_not_its_negative(name: str, big_endian: bool, packed: bool) -> None:
    """TIFF 6.0: photometric 0 has white at 0, 1 has black at 0; whatever the width of the values."""
    values, options, levels = _GRAY_TIFFS[name]
    kind: dict[str, Any] = {"big_endian": big_endian, "packed": packed, **options}
    floats = name == "32-bit floats"
    # 1 - 0.5 is the same half level.
    negative = [255, 204, 128, 0] if floats else [255 - level for level in levels]
    for photometric, expected in ((1, levels), (0, negative)):
        data = tiff([values], photometric=photometric, **kind)
        if big_endian and ((floats and packed) or (name == "16 bits" and photometric == 0)):
            with pytest.raises(SourceError, match=r"^a\.tif: a TIFF (of compressed 32-bit values|.* of a kind)"):
                decode_image(data, "a.tif")
            continue
        pixels = decode_image(data, "a.tif").pixels
        assert pixels[0, :, 0].tolist() == expected
        assert np.ptp(pixels, axis=2).max() == 0


@pytest.mark.parametrize("separate", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize("bits", [8, 16])
def test_colour_tiffs_are_right_or_refused(bits: int, packed: bool, big_endian: bool, separate: bool) -> None:
    """Two rows of two colours. Pillow takes raw planes of 16 bits for planes of bytes."""
    levels = np.array([[[1, 2, 3], [40, 50, 60]], [[0, 128, 255], [7, 8, 9]]])
    values = levels if bits == 8 else levels * 256 + 77  # the low byte is cut off
    data = tiff(values, bits=bits, photometric=2, packed=packed, big_endian=big_endian, separate=separate)
    if bits == 16 and separate and not packed:
        with pytest.raises(SourceError, match=r"^a\.tif: a TIFF of 16-bit channels in separate planes"):
            decode_image(data, "a.tif")
    else:
        assert np.array_equal(decode_image(data, "a.tif").pixels, levels)


_ONE = np.full((4, 4), 100)
_THREE = np.full((4, 4, 3), 100)
_REFUSED_TIFFS: dict[str, tuple[bytes, str]] = {
    "signed 8 bits": (tiff(_ONE, bits=8, photometric=1, sample_format=2), "signed 8-bit values"),
    "packed signed 16 bits": (
        tiff(_ONE, bits=16, photometric=1, sample_format=2, packed=True, big_endian=True),
        "compressed 16-bit values in big-endian order",
    ),
    "packed signed 32 bits": (
        tiff(_ONE, bits=32, photometric=1, sample_format=2, packed=True, big_endian=True),
        "compressed 32-bit values in big-endian order",
    ),
    "packed floats": (
        tiff(_ONE / 255, bits=32, photometric=1, sample_format=3, packed=True, big_endian=True),
        "compressed 32-bit values in big-endian order",
    ),
    "planes of Lab": (tiff(_THREE, bits=8, photometric=8, separate=True), "Lab colours in separate planes"),
    "subsampled YCbCr": (tiff(_THREE, bits=8, photometric=6), "subsampled colours without compression"),
    "other inks": (
        tiff(np.full((4, 4, 4), 100), bits=8, photometric=5, tags={332: (2,)}),
        "other inks than CMYK",
    ),
    "a tile of three gigabytes": (
        tiff(_THREE, bits=8, photometric=2, tags={322: (32768,), 323: (32768,), 324: (8,), 325: (48,)}),
        "tiles of 32768 x 32768 pixels",
    ),
}


@pytest.mark.parametrize("name", _REFUSED_TIFFS)
def test_tiffs_that_pillow_would_misread_are_refused(name: str) -> None:
    """Without a word it gives other pixels, or takes memory for a whole tile of a small picture."""
    data, kind = _REFUSED_TIFFS[name]
    with pytest.raises(
        SourceError, match=f"^a\\.tif: a TIFF of {kind}, which cannot be read; save the picture as PNG$"
    ):
        decode_image(data, "a.tif")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("tags", "parts"),
    [
        ({257: (400,), 278: (4,)}, "1 of its 100 strips"),  # rows for which there is no strip
        ({322: (16,), 323: (16,), 324: (8,), 325: (48,), 256: (40,)}, "1 of its 3 strips or tiles"),
        ({273: (0,)}, "0 of its 1 strips"),  # how programs write parts that they leave out
    ],
)
def test_tiffs_without_all_their_parts_are_damaged(tags: dict[int, tuple[int, ...]], parts: str, packed: bool) -> None:
    """Pillow leaves raw parts that are missing black, and takes what stands at place 0, the header, for pixels."""
    data = tiff(_THREE, bits=8, photometric=2, packed=packed, tags=tags)
    with pytest.raises(SourceError, match=rf"^a\.tif: damaged or truncated image \({parts}"):
        decode_image(data, "a.tif")


def test_tiffs_of_kinds_that_pillow_does_not_know_are_named() -> None:
    """Three floats a pixel: a sound TIFF, so it is not called something else."""
    data = tiff(np.zeros((2, 2, 3)), bits=32, photometric=2, sample_format=3)
    with pytest.raises(SourceError, match=r"^a\.tif: a TIFF that is damaged, or of a kind that is not read; save the"):
        decode_image(data, "a.tif")


_JPEG_2000 = {
    # Written by OpenJPEG 2.5.4 through imagecodecs, without loss. Pillow gives 0 for the 65535 and 65408 in its rows
    # (65535, 0, 300), (65407, 65408, 257).
    "more than 8 bits in colour or with alpha": (
        "ff4fff51002f0000000000020000000200000000000000000000000200000002000000000000000000030f01010f01010f0101ff52000c"
        "00000001010004040001ff5c00044080ff90000a00000000002d0001ff93c7fe0c0e081713c1223d2bdff890400e058fdb80046494dff8"
        "9020026d70bfffd9"
    ),
    # (0, 5), (100, 127), of which Pillow makes (128, 133), (228, 255).
    "signed values": (
        "ff4fff510029000000000002000000020000000000000000000000020000000200000000000000000001870101ff52000c000000010000"
        "04040001ff5c00044040ff90000a0000000000160001ff93cfb4140b38d7d0bfffd9"
    ),
}


@pytest.mark.parametrize("kind", _JPEG_2000)
def test_jpeg_2000_that_pillow_would_misread_is_refused(kind: str) -> None:
    with pytest.raises(
        SourceError, match=f"^a\\.jp2: a JPEG 2000 of {kind}, which cannot be read; save the picture as"
    ):
        decode_image(bytes.fromhex(_JPEG_2000[kind]), "a.jp2")


@pytest.mark.parametrize("bits", [8, 16])
def test_sound_jpeg_2000_is_read(encode: Encode, bits: int) -> None:
    """Gray of 16 bits, and colour of 8, without loss."""
    levels = np.random.default_rng(3).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    if bits == 16:
        image = decode_image(encode(levels[:, :, 0].astype(np.uint16) * 256 + 77, "JPEG2000"), "a.jp2")
        assert np.array_equal(image.pixels[:, :, 2], levels[:, :, 0])
        assert image.treatments == ("16-bit to 8-bit", "grayscale to RGB")
    else:
        assert np.array_equal(decode_image(encode(levels, "JPEG2000"), "a.jp2").pixels, levels)


def test_pictures_for_which_there_is_no_memory_are_not_called_damaged(
    encode: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow raises MemoryError where it gets none."""

    def fail(_: Image.Image) -> None:
        raise MemoryError

    data = encode(np.zeros((5, 5, 3), np.uint8))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(SourceError, match=r"^a\.png: the picture takes more memory than there is; resize it or leave"):
        decode_image(data, "a.png")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_give_their_first_frame(encode: Encode, kind: str) -> None:
    """The first frame is red, the second blue."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode_image(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options), "moving")
    assert (image.pixels == (255, 0, 0)).all()
    assert "first frame" in image.treatments


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_rotation_is_ignored(encode: Encode, kind: str) -> None:
    """Orientation 6 (turn right): pixels stay as stored, 4 high and 16 wide, and the treatment tells."""
    exif = Image.Exif()
    exif[274] = 6
    image = decode_image(encode(np.zeros((4, 16, 3), np.uint8), kind, exif=exif), "turned")
    assert image.pixels.shape == (4, 16, 3)
    assert image.treatments == ("EXIF rotation ignored",)


def test_tiff_orientation_is_applied(encode: Encode) -> None:
    """Orientation 6: Pillow turns a TIFF right while loading, so the left pixel comes on top."""
    data = encode(np.array([[[1, 1, 1], [2, 2, 2]]], np.uint8), "TIFF", tiffinfo={274: 6})
    image = decode_image(data, "t.tif")
    assert image.pixels[:, 0, 0].tolist() == [1, 2]
    assert image.treatments == ("TIFF orientation applied",)


def test_empty_file_is_named() -> None:
    """0 bytes."""
    with pytest.raises(SourceError, match=r"^x/a\.png: the file is empty \(0 bytes\)$"):
        decode_image(b"", "x/a.png")


def test_other_content_is_named() -> None:
    """Not an image at all, although it is called one."""
    with pytest.raises(SourceError, match=r"^page\.png: not an image that can be read \(15 bytes\)$"):
        decode_image(b"<html>no</html>", "page.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_truncated_files_are_named(encode: Encode, kind: str) -> None:
    """The second half is missing: no format may give half a picture."""
    data = encode(np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8), kind)
    with pytest.raises(SourceError, match=r"^cut: (damaged or truncated image \(|not an image)"):
        decode_image(data[: len(data) // 2], "cut")


def test_eps_and_other_program_formats_are_not_opened(encode: Encode) -> None:
    """EPS would start Ghostscript."""
    with pytest.raises(SourceError, match="not an image that can be read"):
        decode_image(encode(np.zeros((5, 5, 3), np.uint8), "EPS"), "a.png")


@pytest.mark.parametrize("side", [10_000, 12_000, 50_000], ids=["ours", "Pillow warns", "Pillow refuses"])
def test_decompression_bombs_are_refused(raw_png: RawPng, side: int) -> None:
    """Seventy bytes that declare more than 2^26 pixels, before any memory is taken for them."""
    data = raw_png(side, side, 8, 2, b"")
    assert len(data) < 100
    size = rf"({side} x {side}|{side**2}) pixels"
    with pytest.raises(SourceError, match=rf"^bomb\.png: {size}; at most {MAX_PIXELS} pixels are read, resize"):
        decode_image(data, "bomb.png")


def test_names_stay_on_one_line() -> None:
    """Control characters in a file name are escaped in messages."""
    with pytest.raises(SourceError, match=r"^a\\nb\\x1b\.png: "):
        decode_image(b"", "a\nb\x1b.png")


def test_pillow_says_nothing_to_the_user(tmp_path: Path, encode: Encode, raw_png: RawPng) -> None:
    """With Python's own warning filters neither damaged metadata nor sizes reach the terminal."""
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 128, 0, 9, 8, 7])
    # A TIFF directory with one entry whose data lies outside, as EXIF: Pillow warns, the picture is whole.
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x010E, 2, 5000, 9999, 0)
    files = {
        "exif.jpg": encode(np.zeros((5, 5, 3), np.uint8), "JPEG", exif=exif),
        "palette.png": encode(palette, transparency=b"\x80\x00"),
        "bomb.png": raw_png(12_000, 12_000, 8, 2, b""),
        "seven.tif": tiff(np.zeros((2, 2, 7)), bits=8, photometric=2),  # Pillow logs an error about so many channels
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.warns(UserWarning, match=r"corrupt EXIF|larger than file"):
        Image.open(io.BytesIO(files["exif.jpg"])).getexif()
    code = """
import sys, pathlib
from fidprobe.errors import SourceError
from fidprobe.images import decode_image
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        print(path.name, decode_image(path.read_bytes(), path.name).pixels.shape)
    except SourceError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("bomb.png: 12000 x 12000 pixels; at most")
    assert done.stdout.splitlines()[1:3] == ["exif.jpg (5, 5, 3)", "palette.png (1, 2, 3)"]
    assert done.stdout.splitlines()[3].startswith("seven.tif: a TIFF that is damaged, or of a kind that is not read")
