"""Lists all tables and figures; `results` writes reproduce/RESULTS.md from the records that are kept.

python -m reproduce
python -m reproduce results
"""

import argparse
import signal
from pathlib import Path

from fidprobe.analysis.output.writers import write_text
from reproduce.catalogue import listing
from reproduce.results_page import results_page


def main() -> None:
    """List, or write the page."""
    parser = argparse.ArgumentParser(prog="python -m reproduce", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", choices=("list", "results"), default="list")
    args = parser.parse_args()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends quietly
    if args.what == "list":
        print(listing())
        return
    path = Path(__file__).parent / "RESULTS.md"
    write_text(path, results_page())
    print(f"written to {path}")


if __name__ == "__main__":
    main()
