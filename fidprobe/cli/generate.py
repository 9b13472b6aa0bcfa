"""`fidprobe generate`: a generator's samples as files."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fidprobe.cli.options import option, whole
from fidprobe.cli.output import Output, print_warning

__all__ = ["generate"]

_IN_A_GRID = 64


def generate(
    generator: Annotated[
        str, Parameter(help="generator.safetensors (of fidprobe train), or TorchScript: generator.pt?z=512")
    ],
    /,
    *,
    out: Annotated[
        Path,
        option("OUT", "A new folder or a .zip of PNG files, a .npz as ADM reads it, or a .png: one grid.", alias="-o"),
    ],
    count: Annotated[
        int | None, whole("N", f"Samples to make; {_IN_A_GRID} in a grid by default.", least=1, alias="-n")
    ] = None,
    class_name: Annotated[
        str | None, option("NAME", "Only of this class, by name or index; all classes by default.", name="--class")
    ] = None,
    seed: Annotated[int, whole("S", "Draws the latents and classes.", least=0)] = 0,
    device: Annotated[str | None, option("DEVICE", "Where the network runs: cpu (default), cuda, cuda:1, mps.")] = None,
    output: Output = Output(),
) -> None:
    """Write samples of GENERATOR as files; sample i depends on the seed and on i alone.

    Example: fidprobe generate run/generator.safetensors -n 10000 -o samples.zip
    """
    from fidprobe.errors import InputError
    from fidprobe.images import open_images
    from fidprobe.images.generator_source import GeneratorSource, with_settings
    from fidprobe.runtime.files import expanded
    from fidprobe.training.sample_files import check_samples_output, samples_kind, write_samples
    from fidprobe.training.text import sample_data, sample_lines

    out = expanded(out)
    check_samples_output(out)
    if count is None:
        if samples_kind(out) != "grid":
            raise InputError(f"say how many samples go into {out}, as in -n 10000")
        count = _IN_A_GRID
    source = open_images(with_settings(generator, {"class": class_name, "device": device}), limit=count, seed=seed)
    if not isinstance(source, GeneratorSource):
        raise InputError(f"{generator}: not a generator's file; give a generator.safetensors, or generator.pt?z=512")
    with output.bars("; nothing was written") as progress:
        written = write_samples(source, out, progress=progress)
    output.show(sample_data(source, out, written), lambda: sample_lines(generator, source, out, written))
    print_warning("another seed gives other samples and other scores; report the seed")
