"""What each library does in one and the same metric, as data: one `Convention` a row.

Read from the libraries' own sources at the versions named in each row; the installable ones are held to their rows by
tests, with the same random weights in their network and in ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.errors import InputError
from fidprobe.runtime.messages import unknown_name

if TYPE_CHECKING:  # the table's own import takes no time
    from fidprobe.analysis.sets.advice import Advice
    from fidprobe.provenance import ExtractorProvenance

__all__ = [
    "CONVENTIONS",
    "RESIZES",
    "Balls",
    "Convention",
    "KernelSubsets",
    "Parts",
    "advise_on_convention",
    "conventions_named",
]

RESIZES = {
    "tf1": "bilinear, TensorFlow 1's grid",
    "torch": "bilinear, half-pixel grid",
    "torch-antialias": "bilinear, antialiased",
    "clean": "bicubic, antialiased",
}
"""Resize rule -> what it is, in a few words."""


@dataclass(frozen=True)
class KernelSubsets:
    """The papers' KID: an average over random subsets, with the kernel (xᵀy/d + 1)³.

    Attributes:
        subsets: How many.
        subset_size: Images of each side in one.
        clips: The library takes smaller subsets where a side has fewer images; else it refuses.
        spread: The library prints the standard deviation over subsets (ddof 0).
        draws: How subsets are drawn.
    """

    subsets: int = 100
    subset_size: int = 1000
    clips: bool = False
    spread: bool = True
    draws: str = "without a seed"


@dataclass(frozen=True)
class Parts:
    """How the images of an Inception Score are split; all of these leave the classifier's bias out of the logits.

    Attributes:
        splits: Number of parts.
        split_size: Images in a part in their place; None for `splits`.
        order: `natural` (as listed) or `shuffled`.
        std_ddof: Of the standard deviation over parts; None if the library prints the mean only.
        draws: How images are shuffled; empty if they are not.
    """

    splits: int = 10
    split_size: int | None = None
    order: str = "natural"
    std_ddof: int | None = 0
    draws: str = ""


@dataclass(frozen=True)
class Balls:
    """Improved precision and recall.

    Attributes:
        neighbours: k.
        strict: A point on a ball's border lies outside.
        space: The features; `pool3` are Inception's, which FID is measured in.
    """

    neighbours: int = 3
    strict: bool = False
    space: str = "pool3"


@dataclass(frozen=True)
class Convention:
    """One library's choices; None for a metric that it does not have.

    Attributes:
        name: As `--convention` takes it.
        title: The library, with the version that was read.
        resize: The resize rule that equals its preprocessing (`fidprobe.extractors.resize`).
        scaling: Of pixels 0..255 before the network.
        covariance_ddof: A covariance of n images is divided by n less this.
        kernel: KID.
        parts: Inception Score.
        balls: Precision and recall.
        remarks: What else a reader of its numbers should know.
        sources: Files that this was read in.
    """

    name: str
    title: str
    resize: str
    scaling: str
    covariance_ddof: int
    kernel: KernelSubsets | None
    parts: Parts | None
    balls: Balls | None
    remarks: str
    sources: tuple[str, ...]

    def choices(self) -> MetricChoices:
        """The options of a score beside the resize rule; fidprobe's own defaults where the library has none."""
        own = MetricChoices()
        kernel, parts, balls = self.kernel or KernelSubsets(), self.parts, self.balls
        return MetricChoices(
            kid_subset_size=kernel.subset_size,
            inception_splits=parts.splits if parts else own.inception_splits,
            inception_natural_order=parts.order == "natural" if parts else own.inception_natural_order,
            inception_keeps_bias=False,
            inception_split_size=parts.split_size if parts else own.inception_split_size,
            inception_std_ddof=(parts.std_ddof or 0) if parts else own.inception_std_ddof,
            covariance_ddof=self.covariance_ddof,
            neighbours=balls.neighbours if balls else own.neighbours,
            strict_balls=balls.strict if balls else own.strict_balls,
        )


_GRAPH = "(x − 128) / 128"

CONVENTIONS: tuple[Convention, ...] = (
    Convention(
        name="ttur",
        title="TTUR (bioinf-jku), the original FID",
        resize="tf1",
        scaling=_GRAPH,
        covariance_ddof=1,
        kernel=None,
        parts=None,
        balls=None,
        remarks="FID only. Leaves out the images after the last full batch of 50, which is not followed here.",
        sources=("bioinf-jku/TTUR fid.py",),
    ),
    Convention(
        name="pytorch-fid",
        title="pytorch-fid 0.3.0",
        resize="torch",
        scaling="2 x / 255 − 1",
        covariance_ddof=1,
        kernel=None,
        parts=None,
        balls=None,
        remarks="FID only. Reads the files of one folder, without its subfolders.",
        sources=("pytorch_fid/fid_score.py", "pytorch_fid/inception.py"),
    ),
    Convention(
        name="clean-fid",
        title="clean-fid 0.1.35, mode clean",
        resize="clean",
        scaling=_GRAPH,
        covariance_ddof=1,
        kernel=KernelSubsets(clips=True, spread=False),
        parts=None,
        balls=None,
        remarks="Computes the mean of features in float32. Its modes legacy_tensorflow and legacy_pytorch resize and "
        "scale as ttur and pytorch-fid.",
        sources=("cleanfid/resize.py", "cleanfid/inception_torchscript.py", "cleanfid/fid.py"),
    ),
    Convention(
        name="torchmetrics",
        title="torchmetrics 1.9.0",
        resize="torch-antialias",
        scaling=_GRAPH,
        covariance_ddof=1,
        kernel=KernelSubsets(),
        parts=Parts(order="shuffled", std_ddof=1, draws="without a seed"),
        balls=None,
        remarks="Antialiases since 1.8; before, and with antialias=False (which FID alone takes), as ttur. Cuts parts "
        "as torch.chunk does: where the count is no multiple of 10 they are other parts than ours, and may be fewer.",
        sources=("torchmetrics/image/fid.py", "torchmetrics/image/kid.py", "torchmetrics/image/inception.py"),
    ),
    Convention(
        name="torch-fidelity",
        title="torch-fidelity 0.4.0",
        resize="tf1",
        scaling=_GRAPH,
        covariance_ddof=1,
        kernel=KernelSubsets(draws="seed 2020"),
        parts=Parts(order="shuffled", draws="seed 2020"),
        balls=Balls(space="VGG16"),
        remarks="Computes the mean of features, and KID, in float32.",
        sources=(
            "torch_fidelity/feature_extractor_inceptionv3.py",
            "torch_fidelity/metric_fid.py",
            "torch_fidelity/metric_kid.py",
            "torch_fidelity/metric_isc.py",
            "torch_fidelity/metric_prc.py",
        ),
    ),
    Convention(
        name="stylegan",
        title="StyleGAN2-ADA and StyleGAN3 (NVlabs)",
        resize="tf1",
        scaling=_GRAPH,
        covariance_ddof=0,
        kernel=KernelSubsets(clips=True, spread=False),
        parts=Parts(),
        balls=Balls(space="VGG16"),
        remarks="Divides covariances by n, alone among all. Generates 50,000 images itself, rounded as x 127.5 + 128 "
        "cut off to whole levels; distances of precision and recall are of half precision.",
        sources=(
            "NVlabs/stylegan3 metrics/metric_utils.py",
            "metrics/inception_score.py",
            "metrics/precision_recall.py",
        ),
    ),
    Convention(
        name="adm",
        title="ADM's evaluator (openai/guided-diffusion)",
        resize="tf1",
        scaling=_GRAPH,
        covariance_ddof=1,
        kernel=None,
        parts=Parts(split_size=5000, std_ddof=None),
        balls=Balls(),
        remarks="Precision and recall of 10,000 real against 50,000 generated images, distances of half precision. "
        "FID against statistics that were made of the whole training set.",
        sources=("openai/guided-diffusion evaluations/evaluator.py",),
    ),
)
"""All rows, the original first."""


def conventions_named(names: Sequence[str] | None) -> tuple[Convention, ...]:
    """Rows by name, in the table's order; all without names.

    Raises:
        InputError: an unknown name; lists the known.
    """
    known = [one.name for one in CONVENTIONS]
    if unknown := [name for name in names or () if name not in known]:
        raise InputError(unknown_name("convention", unknown[0], known))
    return tuple(one for one in CONVENTIONS if not names or one.name in names)


def advise_on_convention(
    convention: Convention, metrics: Sequence[str], extractor: "ExtractorProvenance | None"
) -> "list[Advice]":
    """What of these metrics the library does not print, or prints of another space.

    Args:
        convention: The library's row.
        metrics: As `--metrics` takes them.
        extractor: What the features came through; None where that is not known.
    """
    from fidprobe.analysis.sets.advice import Advice

    has = {"fid": True, "kid": convention.kernel, "is": convention.parts, "pr": convention.balls}
    out = []
    if extractor is None or extractor.resize != convention.resize:
        how = "nobody knows how" if extractor is None else f"by the rule {extractor.resize!r}"
        out.append(
            Advice(
                "not-of-the-convention",
                f"The features' pictures were resized {how}, and {convention.title} resizes by {convention.resize!r}: "
                "give the pictures themselves for its numbers.",
            )
        )
    if extractor is not None and extractor.name != "inception":
        out.append(
            Advice(
                "other-network",
                f"These are the choices of {convention.title} through {extractor.name}: the library itself, which "
                "takes Inception, prints no such numbers.",
            )
        )
    if lacking := [name for name in metrics if not has.get(name)]:
        out.append(
            Advice(
                "not-of-the-convention",
                f"{convention.title} has no {', '.join(lacking)}: measured as fidprobe does without a convention.",
            )
        )
    if "pr" in metrics and convention.balls and convention.balls.space != "pool3":
        out.append(
            Advice(
                "not-of-the-convention",
                f"{convention.title} takes precision and recall in {convention.balls.space}, not in the space measured "
                "here; extract with vgg16 for its own.",
            )
        )
    return out
