"""The answers that a verdict can give, and the shares that part them. Its import takes no time."""

__all__ = ["CONFIRMED_SHARE", "NULL_SHARE", "VERDICTS"]

NULL_SHARE = 0.5
"""A confirmed share below this can come from choosing among images alone."""

CONFIRMED_SHARE = 0.75
"""A gain counts as confirmed, and not only in part, from this share up."""

VERDICTS = {
    "confirmed": "Confirmed",
    "partly-confirmed": "Partly confirmed",
    "not-confirmed": "Not confirmed",
    "reversed": "Reversed",
    "disputed": "Disputed",
    "inconclusive": "Inconclusive",
    "no-gain": "No gain",
    "not-judged": "Not judged",
}
"""Every verdict's code, and its name for readers; `fidprobe.analysis.verdict.words` has the other words."""
