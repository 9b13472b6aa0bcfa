"""A report as a reader sees it: its text, its tables, and what it holds or loads."""

import re
from html.parser import HTMLParser
from typing import Any

import torch

from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.report.files import report_html
from fidprobe.features.value import Features
from tests.helpers import wrapped

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(audit: Audit, **options: Any) -> Page:
    return Page(report_html(audit, **options))


def drawn(seed: int, number: int = 40, *, logits: bool = True) -> Features:
    """Features in 3 dimensions, with logits of 5 classes or none."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(number, 5, generator=generator)
    return wrapped(torch.randn(number, 3, generator=generator), logits=scores if logits else None)


def cells_of(audit: Audit, title: str) -> dict[str, str]:
    """Column -> text of a row of the main space's tables, found by its title."""
    html = report_html(audit)
    for head, body in re.findall(r"<thead>(.*?)</thead>\s*<tbody>(.*?)</tbody>", html, re.DOTALL):
        for row in re.findall(r"<tr>.*?</tr>", body):
            if row.startswith(f'<tr><th scope="row">{title}<'):
                models = re.findall(r'<th scope="col">(.*?)</th>', head)[1:]
                texts = [Page(cell).text for cell in re.findall(r"<td>.*?</td>", row)]
                return dict(zip(models, texts, strict=True))
    raise AssertionError(f"no row {title}")
