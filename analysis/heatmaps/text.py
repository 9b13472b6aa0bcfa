"""Heatmaps in words, for the terminal."""

from fidprobe.analysis.heatmaps.measure import Heatmaps
from fidprobe.analysis.output.wording import amount, images_text, shortened, signed
from fidprobe.runtime.messages import escape_controls

__all__ = ["heatmap_lines"]


def heatmap_lines(heatmaps: Heatmaps) -> list[str]:
    """Every mapped image with its influence and the class that the network sees."""
    what = "change of the distance" if heatmaps.joined else "influence"
    where = f"layer {escape_controls(heatmaps.layer)}" if heatmaps.layer else "before the pooling"
    values = [signed(image.effect) for image in heatmaps.images]
    names = [shortened(image.name, 34) for image in heatmaps.images]
    width, longest = max(len(what), *map(len, values)), max(map(len, names))
    space = escape_controls(heatmaps.extractor.name)
    lines = [
        f"{amount(len(names))} of {images_text(heatmaps.fitting)} in the space of {space}",
        f"{where}, {heatmaps.method}; second opinion: not asked",
        f"{what:>{width}}  image",
    ]
    for image, value, name in zip(heatmaps.images, values, names, strict=True):
        seen = ""
        if image.predictions:
            first = image.predictions[0]
            seen = f"  {shortened(first.name, 22)} {100 * first.probability:.0f} %"
        lines.append(f"{value:>{width}}  {name:<{longest}}{seen}".rstrip())
    for mean in heatmaps.means:
        lines.append(f"mean over {images_text(mean.count)}: {'all' if mean.name is None else shortened(mean.name, 40)}")
    return lines
