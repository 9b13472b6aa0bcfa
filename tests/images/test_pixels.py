"""The one rule for floats, integers and shapes."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torchvision.utils import save_image

from fidprobe.errors import InputError
from fidprobe.images import to_uint8

_SHAPES = st.tuples(st.integers(1, 3), st.just(3), st.integers(5, 8), st.integers(5, 8))
_UINT8 = hnp.arrays(np.uint8, _SHAPES)
_UNIT = hnp.arrays(np.float32, _SHAPES, elements=st.floats(0, 1, width=32))


@given(_UINT8)
def test_uint8_is_untouched_in_either_layout(images: np.ndarray[Any, Any]) -> None:
    """NCHW and NHWC, tensors and arrays, give the same pixels."""
    expected = torch.from_numpy(images)
    assert torch.equal(to_uint8(images), expected)
    assert torch.equal(to_uint8(expected), expected)
    assert torch.equal(to_uint8(images.transpose(0, 2, 3, 1)), expected)


@given(_UINT8)
def test_levels_divided_by_255_come_back(images: np.ndarray[Any, Any]) -> None:
    """In float16, float32 and float64."""
    for dtype in (np.float16, np.float32, np.float64):
        assert np.array_equal(to_uint8((images / 255).astype(dtype)).numpy(), images)


@given(_UNIT)
def test_the_nearest_level_is_taken(images: np.ndarray[Any, Any]) -> None:
    """No level is further than half a level (and float32's rounding) away from the value."""
    levels = to_uint8(images).numpy().astype(np.float64)
    assert np.abs(levels - images.astype(np.float64) * 255).max() <= 0.5 + 1e-4


def test_the_rule_is_torchvisions(tmp_path: Any) -> None:
    """`save_image` writes the same pixels."""
    from PIL import Image

    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    save_image(images, tmp_path / "a.png")
    assert np.array_equal(to_uint8(images)[0].permute(1, 2, 0).numpy(), np.array(Image.open(tmp_path / "a.png")))


def test_the_rule_is_edms_for_symmetric_images() -> None:
    """For x = (y + 1) / 2: `(127.5 y + 128)` clipped and truncated, in float64 to keep ties apart."""
    y = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2 - 1
    assert torch.equal(to_uint8((y + 1) / 2), (y * 127.5 + 128).clip(0, 255).to(torch.uint8))


def test_halves_go_up_and_rounding_noise_is_forgiven() -> None:
    """0.5 / 255 rounds to 1; a third of a level outside is 0 or 255."""
    values = torch.tensor([0.5 / 255, -0.3 / 255, 1 + 0.3 / 255], dtype=torch.float64).reshape(1, 1, 1, 3)
    images = torch.nn.functional.pad(values, (0, 3, 0, 5))
    assert to_uint8(images)[0, 0, 0, :3].tolist() == [1, 0, 255]


@pytest.mark.parametrize(
    ("low", "high", "remedy"),
    [
        (-1.0, 1.0, r"\(x \+ 1\) / 2"),
        (0.0, 255.0, "x / 255"),
        (-7.0, 3.0, "rescale or clamp"),
        (-0.01, 1.0, r"\(x \+ 1\) / 2"),
    ],
)
def test_other_float_ranges_are_refused_with_the_remedy(low: float, high: float, remedy: str) -> None:
    """Each usual range has its own way back."""
    images = torch.linspace(low, high, 3 * 25).reshape(1, 3, 5, 5)
    with pytest.raises(InputError, match=rf"float images must lie in \[0, 1\], got .*{remedy}"):
        to_uint8(images)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_a_number_is_refused(value: float) -> None:
    """One bad pixel is enough."""
    images = np.zeros((1, 3, 5, 5), np.float32)
    images[0, 1, 2, 3] = value
    with pytest.raises(InputError, match="NaN or infinity"):
        to_uint8(images)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16, np.uint32, np.dtype(">i4")])
def test_wider_integers_are_taken_within_8_bits(dtype: Any) -> None:
    """0 and 255 stay, 256 is refused."""
    images = np.zeros((1, 3, 5, 5), dtype)
    images[0, 0, 0, :2] = 255
    assert to_uint8(images)[0, 0, 0, :3].tolist() == [255, 255, 0]
    images[0, 0, 0, 0] = 256
    with pytest.raises(InputError, match=r"integer images must lie in 0\.\.255, got 0\.\.256"):
        to_uint8(images)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([2**63], f"{2**63}..{2**63}"),
        ([3, 2**64 - 1, 2**63 + 5], f"3..{2**64 - 1}"),
        ([2**63 - 1, 7], f"7..{2**63 - 1}"),
    ],
)
def test_numbers_beyond_signed_ones_are_told_as_they_are(values: list[int], told: str) -> None:
    """torch turns uint64 to int64 without a word, and 2^63 becomes -2^63."""
    images = np.full((1, 3, 5, 5), values[0], np.uint64)
    images[0, 0, 0, : len(values)] = values
    for either in (images, torch.from_numpy(images)):
        with pytest.raises(InputError, match=rf"integer images must lie in 0\.\.255, got {told}; scale"):
            to_uint8(either)
    assert int(to_uint8(np.full((1, 3, 5, 5), 255, np.uint64)).min()) == 255


@pytest.mark.parametrize(
    "images", [np.zeros((1, 3, 5, 5), bool), np.zeros((1, 3, 5, 5), complex), torch.zeros(5, 5) > 0]
)
def test_other_types_are_refused(images: Any) -> None:
    """Masks and complex numbers are no images."""
    with pytest.raises(InputError, match="images are 8-bit integers or floats"):
        to_uint8(images)


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((6, 7), 1),
        ((5, 6, 7), 5),
        ((3, 6, 7), 1),
        ((6, 7, 4), 1),
        ((2, 1, 6, 7), 2),
        ((2, 6, 7, 1), 2),
        ((2, 4, 6, 7), 2),
    ],
)
def test_every_usual_shape_is_read(shape: tuple[int, ...], count: int) -> None:
    """Gray is repeated, alpha is dropped: always [n, 3, 6, 7]."""
    assert to_uint8(np.zeros(shape, np.uint8)).shape == (count, 3, 6, 7)


def test_gray_and_alpha_channels_keep_their_values() -> None:
    """RGBA drops the fourth channel; gray is the same in all three."""
    rgba = np.arange(4 * 30, dtype=np.uint8).reshape(1, 4, 5, 6)
    assert np.array_equal(to_uint8(rgba).numpy(), rgba[:, :3])
    gray = np.arange(30, dtype=np.uint8).reshape(5, 6)
    assert all(np.array_equal(channel, gray) for channel in to_uint8(gray)[0].numpy())


@pytest.mark.parametrize("shape", [(3, 6, 3), (2, 3, 6, 4), (1, 28, 1)])
def test_shapes_with_two_readings_are_refused(shape: tuple[int, ...]) -> None:
    """Channels first or last cannot be told apart."""
    with pytest.raises(InputError, match="channels first or last"):
        to_uint8(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(5,), (2, 5, 6, 7), (1, 1, 3, 5, 5), (0, 3, 5, 5)])
def test_shapes_without_a_reading_are_refused(shape: tuple[int, ...]) -> None:
    """Vectors, five channels, five axes, nothing."""
    with pytest.raises(InputError, match=r"is not images|holds no pixels"):
        to_uint8(np.zeros(shape, np.uint8))


def test_read_only_and_gradient_inputs_are_taken() -> None:
    """A memory map and a tensor that requires grad give no warning and keep no graph."""
    array = np.zeros((1, 3, 5, 5), np.uint8)
    array.flags.writeable = False
    assert to_uint8(array).shape == (1, 3, 5, 5)
    assert not to_uint8(torch.zeros(1, 3, 5, 5, requires_grad=True)).requires_grad
