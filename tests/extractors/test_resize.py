"""Each resize rule equals the program it is named after, and passes gradients."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fidprobe.errors import InputError
from fidprobe.extractors import resize as rules
from fidprobe.extractors.resize import INTERPOLATIONS, RESIZE_RULES, resize, resize_shorter_and_crop

SIZES = [(32, 32), (256, 256), (299, 299), (700, 300), (64, 500), (301, 17), (1, 5)]


def noise(count: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_tf1_equals_torch_fidelity_to_the_bit(size: tuple[int, int]) -> None:
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    images = noise(2, *size)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=(299, 299), align_corners=False)
    assert torch.equal(resize(images, (299, 299), "tf1"), theirs)


def test_tf1_samples_at_whole_steps_from_the_corner() -> None:
    """Doubling [0, 10]: sources 0, 0.5, 1, 1.5, the last one held back at the border."""
    row = torch.tensor([0.0, 10.0]).expand(1, 3, 1, 2)
    assert resize(row, (1, 4), "tf1")[0, 0, 0].tolist() == [0.0, 5.0, 10.0, 10.0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_torch_equals_pytorch_fids_interpolation(size: tuple[int, int]) -> None:
    images = noise(2, *size)
    theirs = torch.nn.functional.interpolate(images.float() / 255, (299, 299), mode="bilinear", align_corners=False)
    assert float((resize(images, (299, 299), "torch") / 255 - theirs).abs().max()) < 1e-6


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_torch_antialias_equals_torchmetrics_interpolation(size: tuple[int, int]) -> None:
    """Its network resizes 0..255; where a picture is enlarged both ways, antialiasing changes nothing."""
    images = noise(2, *size)
    theirs = torch.nn.functional.interpolate(
        images.float(), (299, 299), mode="bilinear", align_corners=False, antialias=True
    )
    ours = resize(images, (299, 299), "torch-antialias")
    assert torch.equal(ours, theirs)
    apart = float((ours - resize(images, (299, 299), "torch")).abs().max())
    assert apart < 1e-3 if max(size) <= 299 else apart > 0.1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_clean_equals_clean_fid(size: tuple[int, int]) -> None:
    """To 1e-4 grey levels: both work in float32, where a level near 255 is known to 1.5e-5."""
    from cleanfid.resize import build_resizer

    images = noise(2, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's notice about how clean-fid calls it
        resizer = build_resizer("clean")
        theirs = np.stack([resizer(image.permute(1, 2, 0).numpy()) for image in images])
    assert (
        float((resize(images, (299, 299), "clean") - torch.from_numpy(theirs).permute(0, 3, 1, 2)).abs().max()) < 1e-4
    )


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("shorter", "crop"), [(342, 299), (40, 33), (64, 64)])
def test_shorter_side_and_crop_equal_torchvision_to_the_bit(shorter: int, crop: int, interpolation: str) -> None:
    from torchvision import transforms

    mode = transforms.InterpolationMode(interpolation)
    published = transforms.Compose([transforms.Resize(shorter, interpolation=mode), transforms.CenterCrop(crop)])
    for height, width in ((32, 32), (256, 256), (200, 357), (221, 130), (64, 51)):
        images = noise(2, height, width)
        theirs = [np.array(published(Image.fromarray(image.permute(1, 2, 0).numpy()))) for image in images]
        expected = torch.from_numpy(np.stack(theirs)).permute(0, 3, 1, 2).float()
        ours = resize_shorter_and_crop(images, shorter, crop, interpolation)
        assert ours.dtype == torch.float32
        assert torch.equal(ours, expected)


def test_very_tall_pictures_are_resized_in_the_order_of_all_older_pillows() -> None:
    """Horizontally first. Pillow 13 goes the other way round for some, so its two passes are asked for one by one."""
    image = noise(1, 421, 130)
    pillow = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    pillow = pillow.resize((40, 421), Image.Resampling.BICUBIC).resize((40, 129), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(pillow)).permute(2, 0, 1).float()[:, 46:82, 2:38]  # (129 - 36) / 2 -> 46
    assert torch.equal(resize_shorter_and_crop(image, 40, 36, "bicubic")[0], expected)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("size", [(2, 150), (150, 2), (1, 90), (90, 1), (3, 400), (401, 3)], ids=str)
def test_thin_pictures_are_cut_where_pillow_cuts_them(size: tuple[int, int], interpolation: str) -> None:
    """Pillow makes the whole long side, up to 5340 pixels; one axis is resized after the other, as above."""
    image = noise(1, *size)
    tall, wide = (int(40 * side / min(size)) for side in size)
    how = Image.Resampling[interpolation.upper()]
    pillow = Image.fromarray(image[0].permute(1, 2, 0).numpy()).resize((wide, size[0]), how).resize((wide, tall), how)
    top, left = (round((side - 33) / 2) for side in (tall, wide))  # as CenterCrop
    expected = torch.from_numpy(np.array(pillow.crop((left, top, left + 33, top + 33)))).permute(2, 0, 1).float()
    assert torch.equal(resize_shorter_and_crop(image, 40, 33, interpolation)[0], expected)


class Largest(TorchDispatchMode):
    """Counts the numbers of the largest tensor that torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else [out]:
            if isinstance(one, Tensor):
                self.numbers = max(self.numbers, one.numel())
        return out


THIN = [(1, 20_000), (20_000, 1), (400, 6_000), (6_000, 400)]


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("size", THIN, ids=str)
def test_no_more_of_a_thin_picture_is_made_than_the_crop_keeps(size: tuple[int, int], gradients: bool) -> None:
    """A picture of 1 x 20,000 becomes one of 256 x 5,120,000; three channels of that are four billion numbers."""
    image = torch.zeros(1, 3, *size, requires_grad=True) if gradients else noise(1, *size)
    with Largest() as largest:
        resize_shorter_and_crop(image, 256, 224, "bicubic")
    # The picture itself, or what one pass makes of the crop's part of it and some more.
    assert largest.numbers <= max(image.numel(), 3 * 600 * 600)


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_the_larger_of_two_orders_is_not_taken_for_thin_pictures(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 rows of one pixel would become 5,000 rows of 299; to rounding, both orders give the same."""
    image = noise(1, 5_000, 1)
    usual = resize(image, (299, 299), rule)
    monkeypatch.setattr(rules, "_BETWEEN", 2**16)
    with Largest() as largest:
        other = resize(image, (299, 299), rule)
    assert largest.numbers <= 3 * 299 * 5_000 // 5
    assert float((other - usual).abs().max()) < 1e-3


@pytest.mark.parametrize("size", [(1, 3000), (3000, 2)], ids=str)
def test_smaller_blocks_of_weights_change_nothing(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a million pixels a side need them."""
    image = noise(1, *size)
    usual = resize(image, (20, 20), "clean"), resize_shorter_and_crop(image, 20, 20, "bilinear")
    monkeypatch.setattr(rules, "_WEIGHTS", 1)
    assert float((resize(image, (20, 20), "clean") - usual[0]).abs().max()) < 1e-3
    assert torch.equal(resize_shorter_and_crop(image, 20, 20, "bilinear"), usual[1])


def test_gradient_version_of_shorter_side_and_crop_differs_by_rounding_only() -> None:
    images = noise(2, 90, 70)
    rounded = resize_shorter_and_crop(images, 40, 32, "bicubic")
    smooth = resize_shorter_and_crop(images.float().requires_grad_(), 40, 32, "bicubic")
    assert smooth.requires_grad
    # Half a level in each pass; the second pass's weights sum to at most 1.3 in absolute value.
    assert float((smooth.detach() - rounded).abs().max()) < 0.5 * 1.3 + 0.5


def _rule(name: str) -> Callable[[Tensor], Tensor]:
    if name in RESIZE_RULES:
        return lambda x: resize(x, (7, 4), name)
    return lambda x: resize_shorter_and_crop(x, 4, 3, name)


@pytest.mark.parametrize("name", [*RESIZE_RULES, *INTERPOLATIONS])
def test_gradient_equals_central_differences(name: str) -> None:
    """Every pixel of a 5 x 6 picture far from the clipping: there all rules are linear, so a large step is exact."""
    rule = _rule(name)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(1, 3, 5, 6, generator=generator) * 20 + 120
    weights = torch.randn(rule(images).shape, generator=generator)
    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((rule(leaf) * weights).sum(), leaf)
    step = 16.0
    for index in np.ndindex(1, 3, 5, 6):
        ends = []
        for sign in (1, -1):
            moved = images.clone()
            moved[index] += sign * step
            # As a leaf that requires grad, so that the same unrounded path is taken.
            ends.append(float((rule(moved.requires_grad_()).detach().double() * weights).sum()))
        assert float(gradient[index]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-5)


def test_gradients_flow_after_a_first_use_in_inference_mode() -> None:
    with torch.inference_mode():
        resize(noise(1, 23, 29), (11, 13), "clean")
    images = noise(1, 23, 29).float().requires_grad_()
    (gradient,) = torch.autograd.grad(resize(images, (11, 13), "clean").sum(), images)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("rule", RESIZE_RULES)
def test_batch_size_and_equal_sizes_change_nothing(rule: str) -> None:
    images = noise(9, 40, 50)
    whole = resize(images, (299, 299), rule)
    for size in (1, 7):
        parts = torch.cat([resize(part, (299, 299), rule) for part in torch.split(images, size)])
        assert float((parts - whole).abs().max()) < 1e-4
    assert torch.equal(resize(images, (40, 50), rule), images.float())
    assert resize(images, (299, 299), rule).dtype == torch.float32


def test_clean_stays_within_the_range_of_pixels() -> None:
    """A bicubic kernel overshoots at edges."""
    edge = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    edge[..., 8:] = 255
    out = resize(edge, (37, 37), "clean")
    assert float(out.min()) == 0.0
    assert float(out.max()) == 255.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: resize(noise(1, 8, 8), (4, 4), "area"),
            "unknown resize rule 'area'; choose one of tf1, torch, torch-antialias, clean",
        ),
        (lambda: resize(noise(1, 8, 8)[0], (4, 4), "tf1"), r"shape \[n, 3, h, w\], got \[3, 8, 8\]"),
        (lambda: resize(noise(1, 8, 8)[:, :1], (4, 4), "tf1"), r"got \[1, 1, 8, 8\]"),
        (lambda: resize(noise(1, 8, 8).long(), (4, 4), "tf1"), r"uint8 or float images in 0\.\.255, got torch\.int64"),
        (lambda: resize(noise(1, 8, 8), (0, 4), "tf1"), "cannot resize to 0 pixels"),
        (lambda: resize_shorter_and_crop(noise(1, 8, 8), 4, 5, "bicubic"), "crop 5 pixels from a side of 4"),
        (lambda: resize_shorter_and_crop(noise(1, 8, 8), 4, 4, "box"), "unknown interpolation 'box'"),
    ],
)
def test_bad_input_is_named(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
