"""`fidprobe attack` as a user types it: outputs, mistakes, interruptions, kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run, result_lines
from tests.helpers import relu_features

pytestmark = pytest.mark.usefixtures("figures_once")

SECOND = ("--second-reference", "real2.safetensors", "--second-candidates", "made2.safetensors")


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe attack ARGUMENTS` in a folder with features of two sets in two spaces."""
    write_sets(tmp_path)
    return lambda *arguments: cli("attack", *arguments, "-q")


def write_sets(folder: Path, *, dim: int = 8, count: int = 600) -> None:
    """`real`, `made` with logits, and both in a second space."""
    for name, n, seed, shift in (("real", count // 2, 0, 0.0), ("made", count, 1, 0.2)):
        rows = relu_features(n, dim, seed, shift=shift)
        for space, values, logits in (("first", rows, rows[:, :6].clone()), ("second", rows[:, :4].tanh(), None)):
            provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1"))
            names = tuple(f"{name}-{i}.png" for i in range(n))
            features = Features(values, logits, names=names, provenance=provenance)
            features.save(folder / f"{name}{'2' if space == 'second' else ''}.safetensors")


def test_an_attack_prints_a_table_and_writes_its_outcome(run: Run, tmp_path: Path) -> None:
    """Within 80 columns; the second opinion below the main distance; numbers as in the JSON."""
    code, out, err = run("real.safetensors", "made.safetensors", *SECOND, "--keep", "150", "-o", "o")
    assert code == 0
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    data = json.loads((tmp_path / "o" / "attack.json").read_text())
    assert lines[0].startswith("objective ")
    assert f"{data['steps'][-1]['step']} steps" in lines[1]
    assert "drawn 3 times 150 of 600 candidates, with replacement" in out
    titles = [line for line in lines if line.startswith(("FD[", "KD["))]
    assert titles == ["FD[first]", "FD[second] (second opinion)", "KD[first]"]
    from fidprobe.analysis.output.wording import number

    held_out = next(s for s in data["scores"] if (s["role"], s["reference"]) == ("main", "held_out"))
    row = lines[lines.index("FD[first]") + 2]
    assert row.startswith(" held out")
    assert number(held_out["candidates"]) in row
    assert number(held_out["weighted"]) in row
    assert "warning: " in err
    names = {path.name for path in (tmp_path / "o").iterdir()}
    figures = {f"{name}.{suffix}" for name in ("curve", "weights") for suffix in ("svg", "pdf", "png")}
    assert names == {"attack.json", "chosen.txt", "log_weights.npy", "weights.csv", *figures}
    assert data["command"].startswith("fidprobe attack real.safetensors")
    code, out, _ = run("real.safetensors", "made.safetensors", *SECOND, "--keep", "150", "-o", "o", "--json")
    again = json.loads(out)
    assert again == json.loads((tmp_path / "o" / "attack.json").read_text())
    for timed in (data, again):
        del timed["seconds"], timed["total_seconds"], timed["command"]
        for step in timed["steps"]:
            del step["seconds"]
    assert again == data


def test_a_sweep_has_a_folder_for_each_n_and_one_figure(run: Run, tmp_path: Path) -> None:
    """Top-N and the Middle-N control side by side."""
    options = ("--space", "top-n,middle-n", "--n", "1,3", "--keep", "150", "--steps", "4", "--draws", "1", "-o", "o")
    code, out, _ = run("real.safetensors", "made.safetensors", *SECOND, *options)
    assert code == 0
    data = json.loads((tmp_path / "o" / "sweep.json").read_text())
    folders = ["top-n-1", "top-n-3", "middle-n-1", "middle-n-3"]
    assert [row["folder"] for row in data["sweep"]] == folders
    for row in data["sweep"]:
        alone = json.loads((tmp_path / "o" / row["folder"] / "attack.json").read_text())
        assert alone["objective"] == row["objective"]
        assert alone["scores"] == row["scores"]
        assert {score["role"] for score in row["scores"]} == {"main", "attacked", "second_opinion"}
    assert (tmp_path / "o" / "sweep.svg").is_file()
    assert (tmp_path / "o" / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("top", "middle"))] == folders
    code, out, _ = run("real.safetensors", "made.safetensors", *options, "--space", "top-n", "--json")
    assert [row["folder"] for row in json.loads(out)["sweep"]] == folders[:2]


@pytest.mark.parametrize(
    "options",
    [
        ("--space", "top-1"),
        ("--space", "logits", "--draw", "systematic"),
        ("--space", "top-n", "--n", "2", "--draw", "swap"),
        ("--draw", "swap-unique", "--keep", "60"),
        ("--solver", "gradient-descent", "--steps", "30", "--learning-rate", "0.1"),
        ("--limit", "200", "--candidates", "300", "--held-out", "0", "--draws", "2"),
    ],
)
def test_every_attack_comes_nearer_to_what_it_matches(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The attacked statistics, or the class histogram; and ends with 0."""
    code, _, err = run("real.safetensors", "made.safetensors", *SECOND, *options)
    assert code == 0, err
    data = json.loads((tmp_path / "out" / "attack.json").read_text())
    if "top-1" in options:
        distances = data["top1_total_variation"]
        assert max(distances["drawn"]) < min(distances["random"])
    else:
        assert data["objective"] < data["objective_at_equal_weights"]
    assert ("lower_bound" in data) == ("top-1" not in options)
    lines = (tmp_path / "out" / "chosen.txt").read_text().splitlines()
    assert len(lines) == data["keep"]
    if "swap-unique" in options or "top-1" in options:
        assert len(set(lines)) == len(lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--space", "prelogits"), "did you mean 'pre-logits'? choose from pre-logits, logits, top-n, middle-n"),
        (("--space", "top-n"), "top-n needs --n"),
        (("--space", "top-n", "--n", "4"), "N must be at most 3"),
        (("--space", "top-n", "--n", "0"), "at least 1 class"),
        (("--space", "top-n", "--n", "1,x"), "'x' is not a whole number"),
        (("--space", "top-n", "--n", "-1"), "'-1' is not a whole number"),
        (("--n", "5"), "pre-logits has none"),
        (("--space", "logits,top-n", "--n", "1"), "only top-n and middle-n can be attacked together"),
        (("--space", "top-1", "--draw", "swap"), "--draw is for attacks with weights; top-1 has none"),
        (("--space", "top-1", "--steps", "5"), "--steps is for attacks with weights"),
        (("--space", "top-1", "--solver", "gradient-descent"), "--solver is for attacks with weights"),
        (("--learning-rate", "10"), "--learning-rate is for --solver gradient-descent"),
        (("--solver", "gradient-descent", "--tolerance", "0.1"), "--tolerance is for the certified solver"),
        (("--solver", "gradient-descent", "--learning-rate", "-1"), "must be positive"),
        (("--tolerance", "0"), "must be positive"),
        (("--tolerance", "inf"), "--tolerance must be finite"),
        (("--solver", "gradient-descent", "--learning-rate", "inf"), "--learning-rate must be finite"),
        (("--seed", str(2**63)), "--seed must be below"),
        (("--draw", "swap-unique", "--keep", "700"), "700 images without repeats cannot be chosen from 600"),
        (("--held-out", "1"), "from 0 to below 1"),
        (("--limit", "999"), "a subset of 999 was asked for"),
        (("--candidates", "999"), "a subset of 999 was asked for"),
        (("--images",), "without pictures to write"),
        (("-o", "real.safetensors/o"), "cannot write an attack's outcome into real.safetensors/o"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout."""
    code, out, err = run("real.safetensors", "made.safetensors", *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("fidprobe: error: ")
    assert err.count("\n") == 1
    assert out == ""


def test_statistics_serve_as_reference_only(run: Run, tmp_path: Path) -> None:
    """With a warning that nothing was held out; classes and candidates need more."""
    GaussianStatistics.of(Features.load("real.safetensors")).save("real.npz")
    code, out, err = run("real.npz", "made.safetensors", "--keep", "100")
    assert code == 0
    assert "nothing can be held out" in err
    assert "held out" not in out
    assert "second opinion: not computed" in out
    for arguments, message in (
        (("real.npz", "made.safetensors", "--space", "logits"), "the reference came as statistics"),
        (("real.npz", "made.safetensors", "--space", "top-1"), "the reference came as statistics"),
        (("real.safetensors", "real.npz"), "the candidates came as statistics"),
    ):
        code, out, err = run(*arguments)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_the_first_interrupt_keeps_the_best_so_far(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 130, everything written, and the same command goes on to the very result of an unbroken run."""
    from fidprobe.attacks.certified_solver import CertifiedSolver

    whole = (
        "real.safetensors",
        "made.safetensors",
        "--keep",
        "100",
        "--tolerance",
        "1e-6",
        "--steps",
        "30",
        "--draws",
        "1",
    )
    assert run(*whole, "-o", "unbroken")[0] == 0
    before = signal.getsignal(signal.SIGINT)
    solve = CertifiedSolver.solve

    def interrupting(*args: object, progress: Callable[..., None], **options: object) -> object:
        def tell(stage: str, done: int, total: int | None) -> None:
            progress(stage, done, total)
            if done == 4:
                os.kill(os.getpid(), signal.SIGINT)

        return solve(*args, progress=tell, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(CertifiedSolver, "solve", interrupting)
        code, out, err = run(*whole, "-o", "broken")
    assert signal.getsignal(signal.SIGINT) is before
    assert code == 130
    assert "interrupted after 4 steps" in out
    assert "fidprobe: interrupted; what was written is the best so far, with a gap of" in err
    assert "the same command goes on from there" in err
    assert json.loads((tmp_path / "broken" / "attack.json").read_text())["stopped"] == "interrupted"
    assert (tmp_path / "broken" / "attack-state.safetensors").is_file()
    assert run(*whole, "-o", "broken")[0] == 0
    assert not (tmp_path / "broken" / "attack-state.safetensors").exists()
    weights = [np.load(tmp_path / folder / "log_weights.npy") for folder in ("unbroken", "broken")]
    assert np.array_equal(*weights)


def test_an_interrupted_sweep_tells_what_is_left(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is written and summed up; the rest is named and has no folder's content."""
    from fidprobe.attacks.certified_solver import CertifiedSolver

    solve = CertifiedSolver.solve

    def interrupting(*args: object, interrupted: Callable[[], bool], **options: object) -> object:
        interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        return solve(*args, interrupted=interrupted, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(CertifiedSolver, "solve", interrupting)
    options = ("--space", "top-n", "--n", "1,2,3", "--keep", "100")
    code, out, err = run("real.safetensors", "made.safetensors", *options)
    assert code == 130
    assert "2 of 3 attacks are still to do; the same command does them" in err
    assert [row["n"] for row in json.loads((tmp_path / "out" / "sweep.json").read_text())["sweep"]] == [1]
    assert "top-n-1" in out
    assert not (tmp_path / "out" / "top-n-2").exists()


def test_top1_draws_from_a_generator_by_name(run: Run, tmp_path: Path) -> None:
    """`module:function`, at most as many as --candidates says; the chosen images are kept on the way."""
    (tmp_path / "painter.py").write_text(
        "import numpy as np\n"
        "def paint(seed):\n"
        "    rng = np.random.default_rng(seed)\n"
        "    while True:\n"
        "        yield rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)\n"
    )
    np.save("real.npy", np.random.default_rng(9).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8))
    networks = ("-e", "efficientnet-lite0", "-s", "random", "--space", "top-1", "--held-out", "0", "--images")
    code, out, err = run("real.npy", "painter:paint", *networks, "--candidates", "24", "-o", "o")
    assert code == 0, err
    data = json.loads((tmp_path / "o" / "attack.json").read_text())
    assert data["sets"]["candidates"]["count"] <= 24
    assert len(list((tmp_path / "o" / "images").glob("*.png"))) == data["keep"] == 6 - data["missing"]
    assert "(second opinion)" in out
    code, out, err = run("real.npy", "painter:paint", *networks, "-o", "o")
    assert (code, out) == (2, "")
    assert "--candidates N" in err


def test_what_cannot_be_written_is_not_computed_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full at the very end: the state outlives the failure, and goes with the next success."""
    whole = ("real.safetensors", "made.safetensors", "--keep", "100", "--steps", "3")

    def full(*_: object, **__: object) -> None:
        raise InputError("cannot write out/attack.json: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fidprobe.analysis.attack.files.write_attack", full)
        assert run(*whole)[0] == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["attack-state.safetensors"]
    assert run(*whole)[0] == 0
    assert not (tmp_path / "out" / "attack-state.safetensors").exists()


def test_the_second_interrupt_ends_the_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, with nothing written."""
    from fidprobe.attacks.certified_solver import CertifiedSolver

    def twice(*_: object, interrupted: Callable[[], bool], **__: object) -> None:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    monkeypatch.setattr(CertifiedSolver, "solve", twice)
    # A shell ignores the signal for what it runs in the background, and Python then leaves it so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, out, err = run("real.safetensors", "made.safetensors")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out) == (130, "")
    assert err.startswith("fidprobe: interrupted; what was kept so far")
    assert not (tmp_path / "out").exists()


KILLED = """
import os, signal, sys
from fidprobe.attacks.checkpoint import Checkpoint
save, saves = Checkpoint.save, []
def killing(self, *arguments):
    save(self, *arguments)
    saves.append(1)
    if len(saves) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
Checkpoint.save, Checkpoint.due = killing, lambda self: True
sys.argv[0] = "fidprobe"
from fidprobe.cli import main
main()
"""


def test_a_killed_run_goes_on_to_the_same_result(run: Run, tmp_path: Path) -> None:
    """kill -9 in a process of its own: nothing is left but the state, which the next run uses and removes."""
    whole = ("real.safetensors", "made.safetensors", "--keep", "100", "--steps", "30", "--draws", "1")
    torch.set_num_threads(1)
    command = [sys.executable, "-c", KILLED, "attack", *whole, "-o", "killed", "-q"]
    ended = subprocess.run(command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["attack-state.safetensors"]
    with pytest.MonkeyPatch.context() as patch:
        from fidprobe.attacks.certified_solver import CertifiedSolver

        begun: list[int] = []
        solve = CertifiedSolver.solve

        def watching(*args: object, progress: Callable[..., None], **options: object) -> object:
            def tell(stage: str, done: int, total: int | None) -> None:
                begun.append(done)
                progress(stage, done, total)

            return solve(*args, progress=tell, **options)  # type: ignore[arg-type]

        patch.setattr(CertifiedSolver, "solve", watching)
        assert run(*whole, "-o", "killed")[0] == 0
    assert begun[0] >= 4
    assert run(*whole, "-o", "unbroken")[0] == 0
    assert not (tmp_path / "killed" / "attack-state.safetensors").exists()
    found = [json.loads((tmp_path / folder / "attack.json").read_text()) for folder in ("killed", "unbroken")]
    assert found[0]["objective"] == pytest.approx(found[1]["objective"], rel=1e-12)
    assert found[0]["scores"] == found[1]["scores"]


ALSO = ("--also", "second", "--also-reference", "real2.safetensors", "--also-candidates", "made2.safetensors")


def test_two_spaces_are_attacked_at_once_under_a_cap(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("real.safetensors", "made.safetensors", *ALSO, "--cap", "3", "-o", "o")
    assert code == 0
    assert "larger of both distances, 1 at equal weights: 1.000 -> 0." in out
    assert "drawn 3 times 200 of 600 candidates, systematically" in out
    assert "FD[second] (attacked)" in out
    data = json.loads((tmp_path / "o" / "attack.json").read_text())
    assert (data["attack"]["cap"], data["attack"]["also"]) == (3.0, "second")
    assert data["largest_weight"] <= 3 * (1 + 1e-9)
    chosen = (tmp_path / "o" / "chosen.txt").read_text().splitlines()
    assert len(set(chosen)) == len(chosen) == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*ALSO, "--space", "top-1"), "attacks one space only; leave out --also"),
        ((*ALSO, "--draw", "swap"), "needs another draw"),
        (("--cap", "2", "--draw", "swap"), "needs another draw"),
        (("--cap", "0.5"), "must be a number from 1, not 0.5"),
        (("--cap", "2", "--solver", "gradient-descent"), "takes neither --cap nor --also"),
        (("--cap", "2", "--space", "top-1"), "--cap is for attacks with weights"),
        (ALSO[2:], "but not which one (--also)"),
        (ALSO[:4], "the candidates came without images; give features in the further space (--also-reference"),
    ],
)
def test_mistakes_of_joint_attacks_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run("real.safetensors", "made.safetensors", *arguments, "-o", "o")
    assert code == 2
    assert message in " ".join(err.split())
