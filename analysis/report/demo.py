"""Two audits without any download, of the generators that come with fidprobe: one of a real gain, one of a bought one.

The real gain is that of AM-GAN over an earlier checkpoint of the same training. The bought one is that of chosen images
of AM-GAN over its images as they come; they were chosen so that the distance in the ImageNet space falls.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fidprobe.analysis.audit.measure import audit, picture_grid
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.output.page import png_uri, render_page
from fidprobe.analysis.output.writers import write_text
from fidprobe.analysis.report.files import write_report
from fidprobe.analysis.report.verdict_head import verdict_view
from fidprobe.embedded import PREFIX, embedded_file
from fidprobe.extractors.chosen import NetworkSpec
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, open_images
from fidprobe.images.source import SelectedImages
from fidprobe.inputs import open_input
from fidprobe.runtime.progress import Progress, silent

__all__ = ["DemoCase", "demo_cases", "write_demo"]

_MAIN, _SECOND = "efficientnet-lite0", "cifar10-encoder"
_REFERENCE = f"{PREFIX}cifar10"
_LATE, _EARLY = f"{PREFIX}am-gan", f"{PREFIX}am-gan-early"


@dataclass(frozen=True, eq=False)
class DemoCase:
    """One audit of the demo.

    Attributes:
        name: A word, also of its folder.
        title: What the gain is claimed for.
        story: How the gain came about.
        audit: The outcome.
    """

    name: str
    title: str
    story: str
    audit: Audit


@dataclass(frozen=True, eq=False)
class _Set:
    """Images with their features in both spaces."""

    images: ImageSource
    features: Mapping[str, Features]

    def chosen(self, places: Sequence[int], description: str) -> "_Set":
        """Some of them, in the source's order."""
        features = {}
        for space, side in self.features.items():
            part = side.select(places)
            assert part.provenance.source is not None
            source = replace(part.provenance.source, description=description, seed=0)
            features[space] = replace(part, provenance=replace(part.provenance, source=source))
        return _Set(SelectedImages(self.images, places), features)


def demo_cases(
    *, images: int | None = None, options: ReadOptions | None = None, progress: Progress = silent
) -> tuple[DemoCase, DemoCase]:
    """Audit the real gain and the bought one.

    Args:
        images: Of each set, fewer than were chosen, for a trial; a verdict needs all of them.
        options: Batch size and cache.
        progress: Told of each stage.

    Raises:
        WeightsError: a file that comes with fidprobe is damaged.
    """
    choice = json.loads(embedded_file("am-gan-chosen", "choice").read_text(encoding="ascii"))
    places, pool = choice["places"][:images], choice["pool"]
    count = len(places)
    reference = {space: open_input(f"{_REFERENCE}/{space}", ReadOptions()) for space in (_MAIN, _SECOND)}
    networks = {space: NetworkSpec(space).load(progress) for space in reference}

    def read(name: str, count: int) -> _Set:
        source = open_images(name, limit=count)
        features = {}
        for space, network in networks.items():

            def stage(what: str, done: int, total: int | None, space: str = space) -> None:
                progress(f"{what} {name.removeprefix(PREFIX)} [{space}]", done, total)

            features[space] = extract(source, network, options, progress=stage)
        return _Set(source, features)

    early = read(_EARLY, count)
    many = read(_LATE, pool if images is None else places[-1] + 1)
    late = many.chosen(range(count), f"{_LATE}, the first {count:,}")
    shared = sum(place < count for place in places)
    best = many.chosen(places, f"{_LATE}, {count:,} chosen of the first {pool:,}")

    def audited(model: _Set, baseline: _Set) -> Audit:
        result = audit(
            reference[_MAIN],
            model.features[_MAIN],
            baseline=baseline.features[_MAIN],
            metrics="fid",
            extractor=networks[_MAIN],
            second_opinion=networks[_SECOND],
            second_reference=reference[_SECOND],
            second_generated=model.features[_SECOND],
            second_baseline=baseline.features[_SECOND],
            budget=False,
            options=options,
            progress=progress,
        )
        # Features come without pictures; here these are at hand.
        sides = {"generated": model, "baseline": baseline}
        return replace(result, grids={name: picture_grid(side.images, options) for name, side in sides.items()})

    return (
        DemoCase(
            "trained",
            "AM-GAN, trained longer",
            "AM-GAN at the end of its training, against an earlier checkpoint.",
            audited(late, early),
        ),
        DemoCase(
            "chosen",
            "AM-GAN, its images chosen",
            f"{count:,} of AM-GAN's first {pool:,} images, chosen to lower the distance, against its first {count:,}: "
            f"the same generator. {shared:,} images are in both sets, so that the intervals are wider than need be.",
            audited(best, late),
        ),
    )


def write_demo(cases: Sequence[DemoCase], folder: Path, *, command: str | None = None) -> Path:
    """Write the audits' reports into folders of their own, and a page that shows both verdicts.

    Args:
        cases: From `demo_cases`.
        folder: Where; made if missing.
        command: The command line, to be shown.

    Returns:
        The page, `index.html`.

    Raises:
        InputError: the folder cannot be written.
    """
    for case in cases:
        write_report(case.audit, folder / case.name, command=command)
    page = output_folder(folder, "the demo") / "index.html"
    views = [
        {
            "name": case.name,
            "title": case.title,
            "story": case.story,
            "verdict": verdict_view(case.audit),
            "grids": [
                {"name": name, "uri": png_uri(montage(case.audit.grids[name], cell=32))}
                for name in ("baseline", "generated")
            ],
        }
        for case in cases
    ]
    write_text(page, render_page("report/demo.html.j2", cases=views))
    return page
