"""Zhou et al. 2018, Fig. 5: E KL, the logarithm of the Inception Score, as classes are dropped at random.

Written are the numbers, as JSON, and the figure in the paper's two panels. The paper gives neither how many classes
there are nor what its Gaussian is; `fidprobe.analysis.mode_dropping` says what is taken here.

    python -m reproduce.amgan_fig5
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from fidprobe.analysis.mode_dropping import DENSITIES, mode_dropping
from fidprobe.analysis.mode_dropping_figure import mode_dropping_figure
from fidprobe.analysis.output import write_figure, write_text
from fidprobe.analysis.wording import json_text
from fidprobe.errors import FidprobeError

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100, help="classes before any is dropped")
    parser.add_argument("--repeats", type=int, default=1000, help="random droppings; the paper's 1000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of amgan_fig5.json")
    parser.add_argument("--figures", type=Path, default=Path("out"), help="folder of amgan_fig5.svg, .pdf and .png")
    args = parser.parse_args(arguments)
    found = [mode_dropping(args.points, density=density, repeats=args.repeats, seed=args.seed) for density in DENSITIES]
    for one in found:
        print(f"{one.density} density over {one.points} classes, {one.repeats} draws")
        print("  kept    mean   least    most")
        step = max(1, one.points // 10)
        for i in sorted({0, *range(step - 1, one.points, step), one.points - 1}):
            print(f"  {one.kept[i]:4} {one.mean[i]:7.4f} {one.least[i]:7.4f} {one.most[i]:7.4f}")
    name = "amgan_fig5"
    write_text(args.results / f"{name}.json", json_text({one.density: one.to_json() for one in found}, "Fig. 5"))
    write_figure(mode_dropping_figure(found), args.figures / name, "E KL as classes are dropped at random")
    print(f"written to {args.results / f'{name}.json'} and {args.figures / name}.pdf")


if __name__ == "__main__":
    try:
        main()
    except FidprobeError as error:
        raise SystemExit(f"error: {error}") from None
