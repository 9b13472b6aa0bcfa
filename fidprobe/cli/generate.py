"""`fidprobe generate`: a generator's samples as files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from fidprobe.cli import options as o
from fidprobe.cli.bars import Bars
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.images.generator_source import GeneratorSource
    from fidprobe.training.sample_files import WrittenSamples

__all__ = ["generate"]

_IN_A_GRID = 64


def generate(
    generator: Annotated[
        str,
        typer.Argument(
            metavar="GENERATOR",
            help="generator.safetensors (of fidprobe train), or TorchScript: generator.pt?z=512",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="A new folder or a .zip of PNG files, a .npz as ADM reads it, or a .png: one grid.",
            show_default=False,
        ),
    ],
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, metavar="N", help=f"Samples to make; {_IN_A_GRID} in a grid by default."),
    ] = None,
    class_name: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="Only of this class, by name or index; all classes by default."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Draws the latents and classes.")] = 0,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Where the network runs: cpu (default), cuda, cuda:1, mps.")
    ] = None,
    as_json: o.Json = False,
    quiet: o.Quiet = False,
) -> None:
    """Write samples of GENERATOR as files; sample i hangs on the seed and i alone.

    Example: fidprobe generate run/generator.safetensors -n 10000 -o samples.zip
    """
    from fidprobe.errors import InputError
    from fidprobe.images import open_images
    from fidprobe.images.generator_source import GeneratorSource
    from fidprobe.runtime.files import expanded
    from fidprobe.training.sample_files import check_samples_output, samples_kind, write_samples

    out = expanded(out)
    check_samples_output(out)  # an unwritable folder must not surface after the work
    if count is None:
        if samples_kind(out) != "grid":
            raise InputError(f"say how many samples go into {out}, as in -n 10000")
        count = _IN_A_GRID
    source = open_images(_with_settings(generator, {"class": class_name, "device": device}), limit=count, seed=seed)
    if not isinstance(source, GeneratorSource):
        raise InputError(f"{generator}: not a generator's file; give a generator.safetensors, or generator.pt?z=512")
    with Bars(quiet=quiet, interrupted="; nothing was written") as progress:
        written = write_samples(source, out, progress=progress)
    if as_json:
        typer.echo(json.dumps(_told(source, out, written), indent=2, allow_nan=False))
    else:
        typer.echo("\n".join(_lines(generator, source, out, written)))
    typer.echo("warning: another seed gives other samples and other scores; tell the seed", err=True)


def _with_settings(generator: str, settings: dict[str, str | None]) -> str:
    """The source with settings behind it.

    Raises:
        InputError: one that is there already.
    """
    from fidprobe.errors import InputError
    from fidprobe.runtime.files import expanded, is_file

    for key, value in settings.items():
        if value is None:
            continue
        asked = "?" in generator and not is_file(expanded(generator))
        if asked and f"&{key}=" in "&" + generator.rpartition("?")[2]:
            raise InputError(f"{generator} says its {key} already; leave out --{key}")
        generator += f"{'&' if asked else '?'}{key}={quote(value, safe='')}"
    return generator


def _lines(generator: str, source: "GeneratorSource", out: Path, written: "WrittenSamples") -> list[str]:
    """What was written where, and what made it."""
    what = f"a grid of {written.count:,} samples" if written.kind == "grid" else f"{written.count:,} samples"
    width, height = written.size
    lines = [f"{escape_controls(str(out))}: {what}, {width} x {height} pixels, seed {source.seed}"]
    if len(written.classes) == 1:
        lines.append(f"class: {escape_controls(next(iter(written.classes)))}")
    elif written.classes:
        few, many = (pick(written.classes, key=written.classes.__getitem__) for pick in (min, max))
        told = [f"{written.classes[name]:,} ({escape_controls(name)})" for name in (few, many)]
        lines.append(f"classes: {len(written.classes)}, of {' to '.join(told)} samples")
    lines.append(f"generator: {escape_controls(generator)} (sha256 {source.sha256[:12]}...)")
    card = _card(source)
    if card is not None:
        about = [str(card[key]) for key in ("title", "data") if key in card]
        if "steps" in card:
            about.append(f"{card['step']} of {card['steps']} steps" if "step" in card else f"{card['steps']} steps")
        if about:
            lines.append(f"  {escape_controls('; '.join(about))}")
    return lines


def _told(source: "GeneratorSource", out: Path, written: "WrittenSamples") -> dict[str, Any]:
    """The same for programs."""
    return {
        "out": str(out),
        "kind": written.kind,
        "count": written.count,
        "size": list(written.size),
        "seed": source.seed,
        "classes": written.classes or None,
        "generator": {"source": source.description, "sha256": source.sha256, "card": _card(source)},
    }


def _card(source: "GeneratorSource") -> dict[str, Any] | None:
    """What a trained generator's file says of it."""
    from fidprobe.images.trained_generator import TrainedGeneratorSource

    return dict(source.generator.card) if isinstance(source, TrainedGeneratorSource) else None
