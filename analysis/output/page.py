"""Self-contained HTML pages: no script, nothing loaded from elsewhere, everything from outside escaped."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.wording import visible

__all__ = ["png_uri", "render_page"]


def render_page(template: str, **values: Any) -> str:
    """Render a page from a template.

    Args:
        template: Its path inside `analysis/`, such as `report/report.html.j2`.
        values: What it shows; escaped, unless it is `markupsafe.Markup`.
    """
    import jinja2
    from markupsafe import Markup

    def shown(value: object) -> object:
        return value if isinstance(value, Markup) else visible(str(value))

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parents[1]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def png_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels [h, w, 3 or 4] as the address of an embedded PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
