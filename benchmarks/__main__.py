"""fidprobe beside its peers: `python -m benchmarks` measures all, `python -m benchmarks NAME...` some.

Each in a process of its own, one after the other; records lie in benchmarks/results/peers. `--device cuda` measures
what can run on a GPU there. `--table` prints what records say, and `--page` makes benchmarks/RESULTS.md of them.
"""

import argparse
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.comparison import record_path, shown
from benchmarks.results_page import results_page

NAMES = {
    "frechet": "compare_frechet",
    "gradient": "compare_gradient",
    "extraction": "compare_extraction",
    "kernel": "compare_kernel",
    "neighbours": "compare_neighbours",
    "prd": "compare_prd",
    "resampling": "compare_resampling",
    "heatmaps": "compare_heatmaps",
    "startup": "compare_startup",
    "memory": "compare_memory",
    "growth": "growth",
    "profiles": "profiles",
}
ON_GPUS = ("frechet", "gradient", "extraction", "kernel", "neighbours", "heatmaps")
PAGE = Path(__file__).parent / "RESULTS.md"


def script(name: str) -> ModuleType:
    """The module that measures it."""
    return import_module(f"benchmarks.{NAMES[name]}")


def main() -> None:
    """Measure, or tell what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--small", action="store_true", help="sizes of a test; no record is kept")
    parser.add_argument("--table", action="store_true", help="print the records, measure nothing")
    parser.add_argument("--page", action="store_true", help="make RESULTS.md of the records, measure nothing")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help=f"cuda: {', '.join(ON_GPUS)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    gpu = options.device != "cpu"
    if gpu and (alone := set(options.names) - set(ON_GPUS)):
        parser.error(f"only on processors: {', '.join(sorted(alone))}")
    names = options.names or list(ON_GPUS if gpu else NAMES)
    if options.page:
        PAGE.write_text(results_page(), encoding="utf-8")
        print(f"written to {PAGE}")
    elif options.table:
        for name in names:
            path = record_path(name, options.device)
            if not path.is_file():
                print(f"{name}: not run yet")
                continue
            record = json.loads(path.read_text(encoding="utf-8"))
            for work in record.get("works", []):
                print(shown(work))
            for work, one in record.get("profiles", {}).items():
                print(f"{work}: {', '.join(f'{label} {share:.0%}' for label, share in one['shares'].items())}")
            for metric, one in record.get("metrics", {}).items():
                print(f"{metric}: N^{one['exponents']['images']:.2f} d^{one['exponents']['dim']:.2f}")
    elif gpu and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no CUDA device")
    elif len(names) == 1:
        script(names[0]).measure(options.small, *([options.device] if gpu else []))
    else:
        size = ["--device", options.device, *(["--small"] if options.small else [])]
        failed = []
        for name in names:
            if subprocess.run([sys.executable, "-m", "benchmarks", name, *size], check=False).returncode:
                failed.append(name)
        if failed:
            sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
