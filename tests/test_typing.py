"""What a type checker makes of fidprobe, and of the documents' Python."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

# The guide's second and third block are lines of the registry and of its test.
PRELUDES = {
    "adding-a-metric.md": (
        "import numpy as np\n"
        "from fidprobe.analysis.output.wording import number\n"
        "from fidprobe.analysis.scores.metric import Line, Metric\n"
        "from fidprobe.features.value import Features\n"
        "from tests.analysis.scores.test_metric_registry import Case, one_number\n"
    )
}


def test_documents_pass_mypy_strict_and_unknown_names_do_not(tmp_path: Path) -> None:
    """One process; `make check` leaves a cache that it uses."""
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        if blocks := re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
            program = PRELUDES.get(document.name, "") + "\n".join(blocks)
            (tmp_path / f"{document.stem.replace('-', '_')}_program.py").write_text(program, encoding="utf-8")
    (tmp_path / "names.py").write_text(
        "from typing import assert_type\n"
        "import fidprobe\n"
        "fidprobe.nope\n"
        "assert_type(fidprobe.__version__, str)\n"
        "fidprobe.score(1)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--config-file", "pyproject.toml", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [line for line in ran.stdout.splitlines() if " error: " in line]
    # Folders are left out: what the cache knows is told with the folder of an earlier run.
    assert [re.sub(r"^.*/(.*) error: .*\[", r"\1 ", line) for line in found] == [
        "names.py:3: attr-defined]",
        "names.py:5: call-arg]",
    ], ran.stdout + ran.stderr
