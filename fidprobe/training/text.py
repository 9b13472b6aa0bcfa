"""What training and sampling made, in words for the terminal and as plain data."""

import json
from pathlib import Path
from typing import Any

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.images.generator_source import GeneratorSource
from fidprobe.images.trained_generator import TrainedGeneratorSource
from fidprobe.runtime.messages import escape_controls
from fidprobe.training.generator_run import GeneratorRun
from fidprobe.training.network_run import NetworkRun
from fidprobe.training.sample_files import WrittenSamples

__all__ = ["run_data", "run_lines", "sample_data", "sample_lines"]


def run_data(run: GeneratorRun | NetworkRun) -> dict[str, Any]:
    """The run's own training.json, with the place of its files."""
    data: dict[str, Any] = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    return data | {"folder": str(run.folder), "seconds": run.seconds}


def run_lines(run: GeneratorRun | NetworkRun, title: str, total: int) -> list[str]:
    """How far a training came, its losses and scores, and the file that it made.

    Args:
        run: The training.
        title: What was trained, as papers write it.
        total: Steps that the whole run was to take.
    """
    done = run.trained.steps
    state = f"{total:,} steps" if done == total else f"stopped after {done:,} of {total:,} steps"
    lines = [f"{title}: {state}, {run.seconds:,.0f} s this time"]
    if done:
        means = run.trained.losses[-min(100, done) :].mean(0).tolist()
        losses = ", ".join(f"{name} {value:.3f}" for name, value in zip(run.trained.names, means, strict=True))
        lines.append(f"mean of the last {min(100, done)} steps: {losses}")
    if not isinstance(run, GeneratorRun):
        if run.accuracy is not None:
            lines.append(f"{'accuracy' if title == 'classifier' else 'linear probe'}: {run.accuracy:.1%}")
        return [*lines, f"network: {escape_controls(f'trained:{run.network}')}"]
    for scores in run.evaluations[-1:]:
        lines += [f"{metric_label(space)}: {value:.4g}" for space, value in scores.distances.items()]
        if scores.inception_score is not None:
            lines.append(f"Inception Score: {scores.inception_score:.3f}")
        if scores.am_score is not None:
            lines.append(f"AM Score: {scores.am_score:.3f}")
        lines.append(f"(scores of {scores.images:,} images after {scores.step:,} steps)")
    return [*lines, f"generator: {escape_controls(str(run.generator))}"]


def sample_lines(generator: str, source: GeneratorSource, out: Path, written: WrittenSamples) -> list[str]:
    """What was written where, and which generator made it."""
    what = f"a grid of {written.count:,} samples" if written.kind == "grid" else f"{written.count:,} samples"
    width, height = written.size
    lines = [f"{escape_controls(str(out))}: {what}, {width} x {height} pixels, seed {source.seed}"]
    if len(written.classes) == 1:
        lines.append(f"class: {escape_controls(next(iter(written.classes)))}")
    elif written.classes:
        few, many = (pick(written.classes, key=written.classes.__getitem__) for pick in (min, max))
        ends = [f"{written.classes[name]:,} ({escape_controls(name)})" for name in (few, many)]
        lines.append(f"classes: {len(written.classes)}, of {' to '.join(ends)} samples")
    lines.append(f"generator: {escape_controls(generator)} (sha256 {source.sha256[:12]}...)")
    card = _card(source)
    if card is not None:
        about = [str(card[key]) for key in ("title", "data") if key in card]
        if "steps" in card:
            about.append(f"{card['step']} of {card['steps']} steps" if "step" in card else f"{card['steps']} steps")
        if about:
            lines.append(f"  {escape_controls('; '.join(about))}")
    return lines


def sample_data(source: GeneratorSource, out: Path, written: WrittenSamples) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "out": str(out),
        "kind": written.kind,
        "count": written.count,
        "size": list(written.size),
        "seed": source.seed,
        "classes": written.classes or None,
        "generator": {"source": source.description, "sha256": source.sha256, "card": _card(source)},
    }


def _card(source: GeneratorSource) -> dict[str, Any] | None:
    """The training that a trained generator's file describes; None for others."""
    return dict(source.generator.card) if isinstance(source, TrainedGeneratorSource) else None
