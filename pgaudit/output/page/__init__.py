"""Self-contained HTML pages: no script, no network, and a policy in the page that forbids both.

Pictures are SVG made by pure functions (``chart`` and what builds on it); templates escape every text, and what is not a glyph
is taken out of it before.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pgaudit.output import escape

HERE = Path(__file__).parent


def render(template: str, **values: object) -> str:
    """A page. The style is allowed by its digest, so that nothing else in the page could style or load anything."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = (HERE / "style.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # The style is a file of this package.
    own_style = Markup(style)  # noqa: S704
    return environment.get_template(template).render(style=own_style, style_digest=digest, **values)


def visible(value: object) -> object:
    """What a template may show: markup of this package, or text without control and invisible characters."""
    return value if isinstance(value, Markup) else escape.plain(str(value))
