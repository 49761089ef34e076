"""The equivalence test as a picture: the margin around the claim, the re-run's mean and its intervals."""

from __future__ import annotations

from markupsafe import Markup

from pgaudit.output.page.chart import WIDE, Picture, Scale, axis_below, element, group, label, line, rectangle, signed
from pgaudit.reproduce.statistics import Equivalence

LEFT, RIGHT, TOP, MIDDLE, BOTTOM, HEIGHT = 16, 16, 26, 70, 112, 150


def equivalence_picture(test: Equivalence, words: str) -> Picture:
    """Differences, re-run minus claim, in nats per token: zero is the claim, the edges of the band are the two bounds."""
    return Picture("equivalence", "The re-run against the claim", words, HEIGHT, lambda width: _draw(test, width))


def _draw(test: Equivalence, width: int) -> Markup:
    known = [abs(value) for value in (test.difference, test.low, test.high) if value is not None]
    most = 1.15 * max([*known, 1.3 * test.margin])
    x = Scale(-most, most, LEFT, width - RIGHT)
    left, right = x(-test.margin), x(test.margin)
    parts = [
        rectangle(left, TOP, right - left, BOTTOM - TOP, "margin"),
        axis_below(x, BOTTOM, TOP, x.ticks(9 if width == WIDE else 5), signed),
        *(line(at, TOP, at, BOTTOM, "limit") for at in (left, right)),
        line(x(0), TOP, x(0), BOTTOM, "zero"),
        label(x(0), TOP - 8, f"claim ± {test.margin:g}", anchor="middle", kind="caption"),
        label(width - RIGHT, HEIGHT - 4, "re-run − claim, nats per token", anchor="end", kind="caption"),
    ]
    if test.low is not None and test.high is not None:
        parts.append(line(x(test.low), MIDDLE, x(test.high), MIDDLE, "interval"))
        parts += [line(x(end), MIDDLE - 8, x(end), MIDDLE + 8, "interval") for end in (test.low, test.high)]
    if test.tests_interval:
        low, high = test.tests_interval
        parts.append(line(x(low), MIDDLE, x(high), MIDDLE, "interval tests"))
    parts.append(element("circle", cx=x(test.difference), cy=MIDDLE, r=6.0, class_="mean"))
    return group(parts)
