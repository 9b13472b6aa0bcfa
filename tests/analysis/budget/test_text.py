"""A null-space budget in words and as a figure."""

from dataclasses import replace
from pathlib import Path

import pytest

from fidprobe.analysis.budget.figures import budget_figure
from fidprobe.analysis.budget.result import Budget, Effect, Removal
from fidprobe.analysis.budget.text import budget_lines, budget_sentence
from fidprobe.analysis.budget.weights import BUDGET_ATTACKS, TITLES
from fidprobe.analysis.output.figure_style import svg, write_png
from fidprobe.errors import InputError

SECONDS = ("FD[clip]", "FD[dinov2]", "FD[swav]")


def effect(label: str, before: float, percent: float | None) -> Effect:
    return Effect(label, "held_out", before, before * (1 + (percent or 0) / 100), percent)


def made(
    percents: tuple[float | None, ...] = (-10, -40, -55, -61),
    *,
    seconds: tuple[str, ...] = ("FD[clip]",),
    share: float = 0.13,
    held_out: float = 0.5,
    label: str = "FID",
    noise: float | None = None,
) -> Budget:
    removals = tuple(
        Removal(
            attack=attack,
            title=TITLES[attack],
            main=effect(label, 5.63, percent),
            second_opinions={
                name: effect(name, 2.9, None if percent is None else percent * share / (1 + i))
                for i, name in enumerate(seconds)
            },
            optimised=(),
            effective_size=1234.5,
            gap=None if attack == "top-1" else 1.5,
            details={},
        )
        for attack, percent in zip(BUDGET_ATTACKS, percents, strict=True)
    )
    counts: dict[str, int | None] = {"optimised": 25_000, "held_out": 25_000} if held_out else {"whole": 50_000}
    return Budget(label, seconds, removals, {}, 50_000, counts, held_out, 0, 0.02, noise, (), 1.0)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (made(), "removes 61 % of FID; FD[clip] sees 8 % (half of the reference held out)"),
        (
            made(seconds=SECONDS),
            "removes 61 % of FID; FD[clip] sees 8 %, FD[dinov2] sees 4 %, FD[swav] sees 3 % "
            "(half of the reference held out)",
        ),
        (made(seconds=()), "removes 61 % of FID; there is no second opinion (half of the reference held out)"),
        (made(share=-0.05), "removes 61 % of FID; FD[clip] rises by 3 % (half of the reference held out)"),
        (made(share=0.005), "removes 61 % of FID; FD[clip] sees 0.30 % (half of the reference held out)"),
        (made(held_out=0.25), "removes 61 % of FID; FD[clip] sees 8 % (25 % of the reference held out)"),
        (made(held_out=0), "removes 61 % of FID; FD[clip] sees 8 % (nothing of the reference held out)"),
        (made(noise=0.31), "removes 61 % of FID; FD[clip] sees 8 % (half of the reference held out)"),
        (
            made(noise=0.873),
            "removes 61 % of FID, which is 87 % sampling error; FD[clip] sees 8 % (half of the reference held out)",
        ),
        (made((3.0, 1.0, 2.0, 0.5)), "removes nothing of FID (half of the reference held out)"),
        (
            made((None, -0.25, None, 1.0)),
            "removes 0.25 % of FID; FD[clip] sees 0.033 % (half of the reference held out)",
        ),
    ],
)
def test_the_sentence_is_of_the_attack_that_removes_most(budget: Budget, said: str) -> None:
    assert plain(budget_sentence(budget)) == f"choosing among this model's images {said}"


def test_the_table_is_what_it_shall_be() -> None:
    budget = replace(
        made((-10, None, -50, -61), noise=0.062), missing={"top-n": "it needs a classifier's logits, and " + "x " * 30}
    )
    budget = replace(budget, removals=tuple(one for one in budget.removals if one.attack != "top-n"))
    assert [plain(line) for line in budget_lines(budget)] == [
        "null-space budget: 50,000 images, weighted; half of the reference held out",
        "against 25,000 images              equal weighted    change   share",
        "Top-1 class frequencies (effective sample size 1,234)",
        "  FID                              5.630    5.067   −10.0 %",
        "  FD[clip] (second opinion)        2.900    2.862    −1.3 %    0.13",
        "Logits (effective sample size 1,234, at most 1.5 points short)",
        "  FID                              5.630    2.815   −50.0 %",
        "  FD[clip] (second opinion)        2.900    2.712    −6.5 %    0.13",
        "Pre-logits (effective sample size 1,234, at most 1.5 points short)",
        "  FID                              5.630    2.196   −61.0 %",
        "  FD[clip] (second opinion)        2.900    2.670    −7.9 %    0.13",
        "sampling error: 6 % of FID at equal weights",
        "Top-10 class indicators: not computed: it needs a classifier's logits, and x x x",
        "  x x x x x x x x x x x x x x x x x x x x x x x x x x x",
    ]


def test_the_table_says_that_there_is_no_second_opinion() -> None:
    assert budget_lines(made(seconds=()))[-1] == "second opinion: not computed"


def test_the_table_fits_a_terminal_whatever_the_names() -> None:
    long = f"FD[timm:{'very_long_' * 9}]"
    budget = made(seconds=("FD[clip]", long), label=f"FD[{'x' * 90}]")
    assert max(map(len, budget_lines(budget))) <= 80


@pytest.mark.parametrize("seconds", [(), SECONDS[:1], SECONDS])
@pytest.mark.parametrize("models", [1, 2])
def test_bars_are_the_reductions(seconds: tuple[str, ...], models: int) -> None:
    budgets = {f"model {i}": made((-10, -40, 5, -61.0 / (1 + i)), seconds=seconds) for i in range(models)}
    figure = budget_figure(budgets)
    assert len(figure.axes) == models
    for axes, budget in zip(figure.axes, budgets.values(), strict=True):
        assert len(axes.patches) == 4 * (1 + len(seconds))
        widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
        assert widths[:4] == [-(one.main.percent or 0) for one in budget.removals]
        for i, name in enumerate(seconds, start=1):
            assert widths[4 * i : 4 * i + 4] == [-(one.second_opinions[name].percent or 0) for one in budget.removals]
        assert axes.get_xlim() == figure.axes[0].get_xlim()
    written = figure.axes[0].get_xlabel() if models == 1 else figure._supxlabel.get_text()  # type: ignore[attr-defined]
    written = written.replace("\n", " ")
    assert ("no second opinion" in written) == (not seconds)
    assert "below 0 the distance rises" in written


def test_an_attack_that_is_missing_keeps_its_row() -> None:
    budget = replace(made(), removals=made().removals[1:], missing={"top-1": "no logits"})
    [axes] = budget_figure({"model": budget}).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(TITLES.values())
    assert "not computed" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("models", [1, 2])
def test_bars_that_are_mostly_sampling_error_say_so(models: int) -> None:
    figure = budget_figure({"noisy": made(noise=0.97), **({"sound": made(noise=0.2)} if models == 2 else {})})
    told = [axes.get_title() if models == 2 else axes.get_xlabel().replace("\n", " ") for axes in figure.axes]
    assert ["97\N{NO-BREAK SPACE}% sampling error" in text for text in told] == [True, False][:models]


def test_names_are_written_as_they_are(tmp_path: Path) -> None:
    """Dollar signs begin no formula, and what hides is shown."""
    budget = made(seconds=(r"FD[$\frac$]",), label="FD[\x1b$x_$]")
    write_png(budget_figure({r"$\bad{": budget, "b" * 200: budget}), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_figure_is_small_and_the_same_every_time() -> None:
    """It stands within a page; hatches of dots would make it twenty times as large."""
    texts = {svg(budget_figure({"model": made(seconds=SECONDS)}), title="budget") for _ in range(2)}
    assert len(texts) == 1
    assert max(map(len, texts)) < 25_000


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="no null-space budget to draw"):
        budget_figure({})
    with pytest.raises(InputError, match="7 spaces at most, not 8"):
        budget_figure({"model": made(seconds=tuple(f"FD[{i}]" for i in range(7)))})
