"""`fidprobe heatmap`: the regions of images that FID is most sensitive to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from fidprobe.cli.options import NETWORKS, MainNetwork, Reading, Reference, flag, folder, option, whole
from fidprobe.cli.output import Output, checked_folder, command_line

__all__ = ["heatmap"]

_CLASSES = 11  # with the mean over all they fill two rows of a figure


@Parameter(name="*", group=Group("Which images", sort_key=3))
@dataclass(frozen=True)
class MappedImages:
    """Which images and means are mapped."""

    images: Annotated[str | None, option("SOURCE")] = None
    """Map these other images, each as if it joined GENERATED."""
    choose: Annotated[Literal["random", "influential"], option("HOW", show_choices=False)] = "random"
    """random, or influential: those that raise or lower FID most."""
    only: Annotated[list[str] | None, option("PATTERN")] = None
    """Choose among images of such a name (* stands for any text); may be given several times."""
    count: Annotated[int, whole("K", least=1)] = 12
    """Images to map at most."""
    mean: Annotated[bool, flag()] = False
    """Also the mean map over all generated images."""
    per_class: Annotated[bool, flag()] = False
    """Also the mean maps of the most frequent Top-1 classes."""
    classes: Annotated[int | None, whole("C", least=1)] = None
    """How many classes, which asks for them as well (11)."""


def heatmap(
    reference: Reference,
    generated: Annotated[str, Parameter(help="Generated images, likewise; features or statistics too with --images.")],
    /,
    *,
    mapped: MappedImages = MappedImages(),
    out: Annotated[Path, folder("Where maps and page go.")] = Path("out"),
    network: MainNetwork = MainNetwork(),
    layer: Annotated[
        str | None,
        option("MODULE", "Look at this module's output instead of what is pooled to features.", group=NETWORKS),
    ] = None,
    reading: Reading = Reading(),
    output: Output = Output(),
) -> None:
    """Map what FID is most sensitive to in images of GENERATED (Grad-CAM of FID), beside what the network sees in them.

    Writes raw maps, overlays, a page and figures into FOLDER.

    Example: fidprobe heatmap real/ model/ --per-class -o out/
    """
    from fidprobe.analysis.heatmaps.files import write_heatmaps
    from fidprobe.analysis.heatmaps.measure import heatmaps
    from fidprobe.analysis.heatmaps.text import heatmap_lines

    out = checked_folder(out, "heatmaps", subfolders=["overlays"])
    with output.bars() as progress:
        result = heatmaps(
            reference,
            generated,
            images=mapped.images,
            only=mapped.only or (),
            choose=mapped.choose,
            count=mapped.count,
            mean=mapped.mean,
            classes=mapped.classes or (_CLASSES if mapped.per_class else 0),
            layer=layer,
            extractor=network.main(),
            options=reading.options(),
            progress=progress,
        )
    page = write_heatmaps(result, out, command=command_line())
    output.show(
        result, lambda: heatmap_lines(result), sets={"reference": reference, "generated": generated}, heatmaps=page
    )
