"""Views by what they must keep: geometry read off coordinate pictures, colours against closed forms."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.training.augmentations import crop_and_flip, random_views

SIDE = 32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, seed: int = 0, height: int = SIDE, width: int = SIDE) -> Tensor:
    return torch.rand(n, 3, height, width, generator=generator(seed))


def uncoloured(images: Tensor, seed: int = 0, **options: object) -> Tensor:
    return random_views(images, generator(seed), jittered=0.0, grey=0.0, **options)  # type: ignore[arg-type]


def coordinates(n: int) -> Tensor:
    """Red is a pixel's column and green its row, 0..1 over the picture; crops of linear ramps are exact inside."""
    ramp = (torch.arange(SIDE) + 0.5) / SIDE
    return torch.stack(
        [ramp.expand(SIDE, SIDE), ramp[:, None].expand(SIDE, SIDE), ramp * 0 + ramp[:, None] * 0]
    ).expand(n, 3, SIDE, SIDE)


@pytest.mark.parametrize("side", [None, 16, 24, 40])
def test_views_are_pictures(side: int | None) -> None:
    """float32 [n, 3, side, side] in 0..1, of their own size where none is asked for."""
    views = random_views(pictures(7, height=20, width=28), generator(), side=side)
    assert views.shape == ((7, 3, 20, 28) if side is None else (7, 3, side, side))
    assert views.dtype == torch.float32
    assert 0 <= views.min() < 0.1
    assert 0.9 < views.max() <= 1


@pytest.mark.parametrize("augment", [random_views, crop_and_flip])
def test_draws_come_from_the_generator_alone(augment: Callable[[Tensor, torch.Generator], Tensor]) -> None:
    """The same state gives the same views, the next draw others; global states are untouched and pictures too."""
    images = pictures(6)
    kept, state = images.clone(), torch.get_rng_state()
    drawing = generator(3)
    first, second = augment(images, drawing), augment(images, drawing)
    assert torch.equal(augment(images, generator(3)), first)
    assert not torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)


def test_pictures_of_a_batch_have_views_of_their_own() -> None:
    """The same picture many times: no two views are alike."""
    views = random_views(pictures(1).expand(20, -1, -1, -1), generator())
    assert len(views.flatten(1).unique(dim=0)) == 20


@pytest.mark.parametrize("area", [(0.2, 1.0), (0.3, 0.5), (1.0, 1.0)])
def test_crops_lie_in_the_picture_and_keep_their_area(area: tuple[float, float]) -> None:
    """Columns and rows of a view tell its crop: its sides' ratio is from 3:4 to 4:3 (unless cut off at the picture's
    edge), its area in range, its place anywhere, its direction mirrored every other time and never upside down."""
    n = 400
    views = uncoloured(coordinates(n), area=area)
    middle = slice(2, SIDE - 2)  # beside the edges, bilinear values are of ramps, not of reflections
    columns, rows = views[:, 0, :, middle], views[:, 1, middle, :]
    across = (columns[:, 0, -1] - columns[:, 0, 0]) * SIDE / (SIDE - 5)
    down = (rows[:, -1, 0] - rows[:, 0, 0]) * SIDE / (SIDE - 5)
    assert torch.allclose(views[:, 0], views[:, 0, :1], atol=1e-5)
    assert torch.allclose(views[:, 1], views[:, 1, :, :1], atol=1e-5)
    steps = columns.diff(dim=2)
    assert torch.allclose(steps, (across / SIDE)[:, None, None].expand_as(steps), atol=1e-4)
    mirrored = across < 0
    across = across.abs()
    assert (down > 0).all()
    assert abs(mirrored.float().mean() - 0.5) < 5 * 0.5 / n**0.5
    kept, ratio = across * down, across / down
    cut = (across > 0.999) | (down > 0.999)
    low, high = area
    assert ratio.min() > 3 / 4 - 0.001
    assert ratio.max() < 4 / 3 + 0.001
    if low < 1:
        assert ratio.min() < 0.8
        assert ratio.max() > 1.25
    # A side that would leave the picture is cut: of a whole picture, at least sqrt(3/4) stays.
    assert kept[~cut].min() > low - 0.002 if (~cut).any() else area == (1.0, 1.0)
    assert kept.min() > min(low, (low * 3 / 4) ** 0.5) - 0.002
    assert kept.max() < high + 0.002
    assert max(across.max(), down.max()) < 1.001
    for values, size in ((views[:, 0, 0], across), (views[:, 1, :, 0], down)):
        centre = values[:, middle].mean(1)
        assert (centre - size / 2 > -0.002).all()
        assert (centre + size / 2 < 1.002).all()
    if area == (0.3, 0.5):
        assert abs(kept.mean() - 0.4) < 5 * 0.2 / 12**0.5 / n**0.5


def test_a_crop_of_the_whole_is_the_picture_or_its_mirror_image() -> None:
    """With area 1, one side is whole: pictures that change along it alone come back exactly, or mirrored."""
    n = 60
    line = torch.rand(n, 3, 1, SIDE, generator=generator(5))
    wide, high = line.expand(n, 3, SIDE, SIDE), line.transpose(2, 3).expand(n, 3, SIDE, SIDE)
    of_wide, of_high = uncoloured(wide, area=(1.0, 1.0)), uncoloured(high, area=(1.0, 1.0))  # the same crops

    def near(ours: Tensor, theirs: Tensor) -> Tensor:
        return (ours - theirs).abs().flatten(1).amax(1) < 1e-5

    whole_across, mirrored, whole_down = near(of_wide, wide), near(of_wide, wide.flip(3)), near(of_high, high)
    assert (whole_across | mirrored | whole_down).all()
    for case in (whole_across, mirrored, whole_down):
        assert case.sum() > 5


def coloured(images: Tensor, *, jittered: float = 1.0, grey: float = 0.0, jitter: float = 0.4) -> Tensor:
    """The colours [n, 3] that views of pictures of one colour have: crops do not show."""
    views = random_views(images, generator(), jitter=jitter, hue=0.0, jittered=jittered, grey=grey)
    return views[:, :, 5, 5]


def flat(colours: Tensor) -> Tensor:
    return colours[:, :, None, None].expand(-1, -1, 8, 8)


def test_grey_pictures_have_equal_channels_and_their_own_luma() -> None:
    """Rec. 601's 0.299, 0.587, 0.114; channels are equal to half an 8-bit level (YIQ is written in three digits)."""
    colours = torch.rand(200, 3, generator=generator(1))
    ours = coloured(flat(colours), jittered=0.0, grey=1.0)
    luma = colours @ torch.tensor([0.299, 0.587, 0.114])
    assert (ours - luma[:, None]).abs().max() < 1 / 255


def test_shares_of_grey_and_of_changed_pictures() -> None:
    """Within 5 standard errors of what was asked for."""
    n = 2000
    colours = torch.tensor([[0.8, 0.4, 0.2]]).expand(n, 3)
    ours = coloured(flat(colours), jittered=0.0, grey=0.2)
    grey = (ours.amax(1) - ours.amin(1)) < 0.01
    assert abs(grey.float().mean() - 0.2) < 5 * 0.4 / n**0.5
    assert torch.allclose(ours[~grey], colours[~grey], atol=1e-5)
    changed = (coloured(flat(colours), jittered=0.8, jitter=0.4) - colours).abs().amax(1) > 1e-4
    assert abs(changed.float().mean() - 0.8) < 5 * 0.4 / n**0.5


def test_brightness_multiplies_and_contrast_keeps_the_level() -> None:
    """A grey picture is only made brighter or darker: contrast moves pixels about the mean, which is itself here."""
    n = 2000
    ours = coloured(flat(torch.full((n, 3), 0.5)), jitter=0.4)
    assert torch.allclose(ours, ours[:, :1].expand(n, 3), atol=2e-3)
    factors = ours[:, 0] / 0.5
    assert 0.6 - 0.005 < factors.min() < 0.62
    assert 1.38 < factors.max() < 1.4 + 0.005
    assert abs(factors.mean() - 1) < 5 * 0.8 / 12**0.5 / n**0.5


def test_contrast_scales_differences_about_the_mean() -> None:
    """Two halves of grey: their mean over their difference is free of brightness, and the difference has the factors'
    product."""
    n = 500
    images = torch.full((n, 3, 8, 8), 0.4)
    images[:, :, 4:] = 0.6
    views = random_views(images, generator(), area=(1.0, 1.0), jitter=0.3, hue=0.0, jittered=1.0, grey=0.0)
    top, bottom = views[:, 0, 0, 0], views[:, 0, -1, 0]
    mean = views[:, 0].mean((1, 2))
    inside = (views.amax((1, 2, 3)) < 1) & (views.amin((1, 2, 3)) > 0)
    contrast = (bottom - top) / 0.2 / (mean / 0.5)  # the crop's mean is near the picture's
    assert inside.float().mean() > 0.9
    assert 0.6 < contrast[inside].min() < 0.8
    assert 1.2 < contrast[inside].max() < 1.4


def test_saturation_and_hue_turn_the_colour_plane() -> None:
    """Luma stays, the distance from grey (in YIQ) is multiplied, its angle turned by at most the circle's share."""
    n = 1000
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
    colour = torch.tensor([0.55, 0.5, 0.45])
    before = to_yiq @ colour
    images = flat(colour.expand(n, 3))
    only_hue = random_views(images, generator(), jitter=0.0, hue=0.1, jittered=1.0, grey=0.0)[:, :, 4, 4] @ to_yiq.T
    assert torch.allclose(only_hue[:, 0], before[0].expand(n), atol=1e-5)
    assert torch.allclose(only_hue[:, 1:].norm(dim=1), before[1:].norm().expand(n), atol=1e-5)
    angles = torch.atan2(only_hue[:, 2], only_hue[:, 1]) - torch.atan2(before[2], before[1])
    turned = (angles + math.pi) % (2 * math.pi) - math.pi
    assert turned.abs().max() < 0.2 * math.pi + 1e-3
    assert turned.max() > 0.19 * math.pi
    assert turned.min() < -0.19 * math.pi
    both = random_views(images, generator(), jitter=0.3, hue=0.0, jittered=1.0, grey=0.0)[:, :, 4, 4] @ to_yiq.T
    angle = torch.atan2(both[:, 2], both[:, 1])
    assert torch.allclose(angle, torch.atan2(before[2], before[1]).expand(n), atol=0.05)


# Shifts


def test_a_shift_by_nothing_is_the_picture_or_its_mirror_image() -> None:
    """Both, about as often."""
    images = pictures(200)
    ours = crop_and_flip(images, generator(), reach=0)
    as_it_is = (ours == images).flatten(1).all(1)
    mirrored = (ours == images.flip(3)).flatten(1).all(1)
    assert (as_it_is | mirrored).all()
    assert abs(mirrored.float().mean() - 0.5) < 5 * 0.5 / 200**0.5


@pytest.mark.parametrize(("height", "width", "reach"), [(32, 32, 4), (20, 28, 4), (9, 9, 1), (12, 12, 5)])
def test_shifted_pictures_are_windows_of_the_reflected_picture(height: int, width: int, reach: int) -> None:
    """Each is one of the (2 reach + 1)² windows, or its mirror image, written out with numpy's reflection."""
    images = pictures(40, height=height, width=width)
    ours = crop_and_flip(images, generator(), reach=reach)
    assert ours.shape == images.shape
    places = set()
    for image, view in zip(images.numpy(), ours.numpy(), strict=True):
        padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
        found = [
            (top, left, turn)
            for top in range(2 * reach + 1)
            for left in range(2 * reach + 1)
            for turn in (1, -1)
            if (padded[:, top : top + height, left : left + width][:, :, ::turn] == view).all()
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > min(25, 2 * (2 * reach + 1) ** 2 - 6)
