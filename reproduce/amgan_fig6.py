r"""Zhou et al. 2018, Fig. 3, 6 and 7: the Inception Score, the AM Score and their terms while generators learn.

Takes folders that `fidprobe train` left, scores every generator kept in them, and adds what the paper does not have:
the Fréchet distance in both spaces. The paper takes 50,000 images of each. The results hold what was asked for last:
scores are written one by one, and those that are there already, of the same generators measured in the same way, are
not taken again, so that a script that was stopped goes on.

    python -m reproduce.amgan_fig6 cifar10.zip/test am-gan/ gan/ --classifier cifar10-classifier
    python -m reproduce.amgan_fig6 cifar10.zip/test am-gan/ --classifier trained:classifier/network.safetensors \
        --extractor efficientnet-lite0 --second-opinion cifar10-encoder --images 2000 --every 1000
"""

import argparse
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fidprobe.analysis.output import output_folder, write_figure, write_text
from fidprobe.analysis.scores import metric_label
from fidprobe.analysis.sets import load_network
from fidprobe.analysis.wording import amount, images_text, json_text, shortened
from fidprobe.cli.bars import Bars
from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.extraction import ReadOptions
from fidprobe.generators.saved import load_generator
from fidprobe.images import open_images
from fidprobe.training.evaluation import Evaluation, Evaluator
from fidprobe.training.run_curves import runs_figure
from reproduce.amgan_fig5 import RESULTS

NAME = "amgan_fig6"


@dataclass(frozen=True)
class Kept:
    """A generator that a run kept.

    Attributes:
        file: Where it is.
        sha256: Of the file.
        step: Steps it had learnt.
    """

    file: Path
    sha256: str
    step: int


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        card: What its generators say of it, but not of which step they are, nor the place of the data.
        kept: Its generators, oldest first.
    """

    card: Mapping[str, Any]
    kept: Sequence[Kept]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", help="real images that were not learnt from")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of fidprobe train")
    parser.add_argument("--names", nargs="+", help="of the runs; by default those of their folders")
    parser.add_argument("--extractor", default="inception", help="the main space, and the Inception Score's classifier")
    parser.add_argument("--second-opinion", default="clip", help="the space beside it")
    parser.add_argument("--classifier", required=True, help="of the data set's own classes, for the AM Score")
    parser.add_argument("--images", type=int, default=50_000, help="samples of each generator; the paper's 50,000")
    parser.add_argument("--every", type=int, default=1, help="only generators after multiples of so many steps")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"folder of {NAME}.json")
    parser.add_argument("--figures", type=Path, default=Path("out"), help=f"folder of {NAME}.svg, .pdf and .png")
    args = parser.parse_args(arguments)
    if args.images < 2 or args.every < 1 or args.seed < 0:
        asked = f"--images {args.images} --every {args.every} --seed {args.seed}"
        raise InputError(f"{asked}: give at least 2 images, a step or more, and a seed from 0 up")
    names = args.names or [folder.resolve().name for folder in args.runs]
    if len(names) != len(args.runs) or len(set(names)) < len(names):
        raise InputError(f"{len(args.runs)} runs are called {', '.join(names)}; give each a name of its own, --names")
    for folder in (args.results, args.figures):
        output_folder(folder, "the scores")
    runs = {name: opened(folder, args.every) for name, folder in zip(names, args.runs, strict=True)}
    with Bars(interrupted="; the same command goes on where it stopped") as bars:
        told = measured(runs, args, bars)
    curves = {
        name: [Evaluation.from_json(row["scores"]) for row in run["evaluations"]] for name, run in told["runs"].items()
    }
    print("\n".join(table(curves, told)))
    figure = runs_figure(curves, classifier=told["classifier"])
    write_figure(figure, args.figures / NAME, "Inception Score, AM Score and Fréchet distances over training")
    print(f"written to {args.results / f'{NAME}.json'} and {args.figures / NAME}.pdf")


def opened(folder: Path, every: int) -> Run:
    """A run's generators after multiples of so many steps.

    Raises:
        InputError: there are none.
        SourceError: one is damaged.
    """
    files = {
        int(match[1]): file
        for file in folder.glob("generators/step-*.safetensors")
        if (match := re.fullmatch(r"step-(\d+)\.safetensors", file.name))
    }
    if not files:
        raise InputError(f"{folder}: no generators/step-N.safetensors in it; give a folder that `fidprobe train` left")
    kept, card = [], dict[str, Any]()
    for step in sorted(files):
        if step % every == 0:
            generator = load_generator(files[step])
            kept.append(Kept(files[step], generator.sha256, step))
            card = {key: value for key, value in generator.card.items() if key not in ("data", "step")}
    if not kept:
        raise InputError(f"{folder}: no generator after a multiple of {every} steps, but after {min(files)} and others")
    return Run(card, kept)


def measured(runs: Mapping[str, Run], args: argparse.Namespace, bars: Bars) -> dict[str, Any]:
    """All scores, as the results hold them; each is written when it is there."""
    now = ""

    def progress(stage: str, done: int, total: int | None) -> None:
        bars(stage + now, done, total)

    networks = [load_network(name, progress) for name in (args.extractor, args.second_opinion, args.classifier)]
    evaluator = Evaluator(
        args.reference,
        extractor=networks[0],
        second_opinion=networks[1],
        classifier=networks[2],
        options=ReadOptions.with_cache(),
        progress=progress,
    )
    measure = {**evaluator.identity, "images": args.images, "seed": args.seed}
    known = earlier(args.results / f"{NAME}.json", measure)
    rows: dict[str, dict[int, dict[str, Any]]] = {
        name: {one.step: known[one.sha256, one.step] for one in run.kept if (one.sha256, one.step) in known}
        for name, run in runs.items()
    }

    def told() -> dict[str, Any]:
        found = {
            "reference": {"name": plain_name(args.reference), "count": evaluator.count},
            "classifier": networks[2].provenance.name,
            "measure": measure,
            "runs": {
                name: {"card": run.card, "evaluations": [row for _, row in sorted(rows[name].items())]}
                for name, run in runs.items()
            },
        }
        write_text(args.results / f"{NAME}.json", json_text(found, "Fig. 6"))
        return found

    missing = [(name, one) for name, run in runs.items() for one in run.kept if one.step not in rows[name]]
    for done, (name, one) in enumerate(missing):
        bars("generators", done, len(missing))
        now = f" | {shortened(name, 20)}, {amount(one.step)} steps"
        begun = time.perf_counter()
        scores = evaluator(open_images(str(one.file), limit=args.images, seed=args.seed), one.step)
        seconds = round(time.perf_counter() - begun, 2)
        rows[name][one.step] = {"generator": one.sha256, "seconds": seconds, "scores": scores.to_json()}
        told()
    return told()


def earlier(results: Path, measure: Mapping[str, Any]) -> dict[tuple[str, int], dict[str, Any]]:
    """Scores that are there, taken in the same way: a generator's hash and its steps -> a row of the results.

    Raises:
        SourceError: the file is damaged.
    """
    if not results.is_file():
        return {}
    try:
        told = json.loads(results.read_text(encoding="utf-8"))
        rows = [row for run in told["runs"].values() for row in run["evaluations"]]
        known = {(str(row["generator"]), Evaluation.from_json(row["scores"]).step): row for row in rows}
        return known if told["measure"] == measure else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SourceError(f"{results}: damaged ({error}); remove it to take all scores anew") from error


def plain_name(reference: str) -> str:
    """What was given, without the folders it lies in: `cifar10.zip/test`."""
    path = Path(reference)
    whole = next((one for one in (path, *path.parents) if one.is_file()), path)
    return path.relative_to(whole.parent).as_posix() if whole.exists() else reference


def table(curves: Mapping[str, Sequence[Evaluation]], told: Mapping[str, Any]) -> Iterator[str]:
    """Lines of 79 characters: every score of every run, and the last ones beneath each other."""
    main, second = next(iter(curves.values()))[0].distances
    reference, count = told["reference"].values()
    yield f"{images_text(told['measure']['images'])} of each generator"
    yield f"reference: {shortened(reference, 48)}, {images_text(count)}"
    yield f"FD:        {shortened(metric_label(main), 68)}"
    yield f"second:    {shortened(metric_label(second), 48)}, the second opinion"
    yield f"IS:        exp(H(mean C) - mean H(C)), {shortened(main, 39)}"
    yield f"AM:        KL(train || generated) + mean H(C), {shortened(told['classifier'], 32)}"
    yield "entropies in nats"
    yield ""
    yield "run            step       FD   second      IS H(mC)  mH(C)     AM     KL  mH(C)"
    for name, scores in curves.items():
        yield from (_line(name, one) for one in scores)
        yield ""
    yield "after the last step"
    yield from (_line(name, scores[-1]) for name, scores in curves.items())


def _line(name: str, one: Evaluation) -> str:
    def text(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    distances = "".join(f"{value:#9.4g}" for value in one.distances.values())
    inception = f"{text(one.inception_score, '.3f'):>8}{text(one.marginal_entropy, '.3f'):>6}"
    terms = (one.conditional_entropy, one.am_score, one.am_divergence, one.am_entropy)
    return f"{shortened(name, 12):12}{one.step:7}{distances}{inception}" + "".join(
        f"{text(value, '.3f'):>7}" for value in terms
    )


if __name__ == "__main__":
    try:
        main()
    except FidprobeError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
