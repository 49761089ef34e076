"""The losses of a re-run laid over those of the submitted log, and under them their difference."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pgaudit.output.page.chart import (
    Picture,
    Scale,
    axis_below,
    axis_left,
    clipped,
    element,
    group,
    label,
    line,
    padded,
    path,
    rectangle,
    signed,
)
from pgaudit.reproduce.curves import Curve, Overlay

LEFT, RIGHT, TOP = 50, 14, 22
LOSS, GAP, DIFFERENCE, BELOW = 220, 30, 90, 38
"""Heights: the losses, what is between, their difference, and the numbers below."""
NAMES = {"rerun": "re-run", "log": "submitted log"}
STEEP = 0.03
"""Part of the steps whose losses do not stretch the axis: they fall from ln(vocabulary) within a few steps …"""
FEW = 50
"""… unless the curves have fewer points than this together."""


def loss_picture(overlay: Overlay, rerun: Curve, words: str) -> Picture | None:
    """The picture of one seed; ``None`` where neither curve has a point."""
    if rerun.last_step is None and overlay.submitted.last_step is None:
        return None
    has_log = bool(overlay.log)
    height = TOP + LOSS + BELOW + (GAP + DIFFERENCE if overlay.differences else 0)
    title = f"Loss by step, seed {overlay.seed}: re-run{' and submitted log' if has_log else ''}"
    return Picture(f"loss-{overlay.seed}", title, words, height, lambda width: _draw(overlay, rerun, width))


def _draw(overlay: Overlay, rerun: Curve, width: int) -> Markup:
    both = (overlay.submitted, rerun)
    last = max(curve.last_step or 0 for curve in both)
    x = Scale(0, 1.02 * max(last, 1), LEFT, width - RIGHT)
    y = Scale(*padded(_telling(both, last), least=0.01), TOP + LOSS, TOP)
    bottom = TOP + LOSS + (GAP + DIFFERENCE if overlay.differences else 0)
    parts = [
        axis_below(x, bottom, TOP, x.ticks(4 if width < 500 else 8, whole=True), "{:,.0f}".format),
        axis_left(y, x, y.ticks(6), "{:g}".format),
        label(LEFT, 12, "loss, nats per token", kind="caption"),
        label(width - RIGHT, bottom + 32, "training step", anchor="end", kind="caption"),
        clipped(x, y, *(_curve(curve, kind, x, y) for curve, kind in zip(both, ("log", "rerun"), strict=True))),
    ]
    if overlay.differences:
        parts.append(_differences(overlay, x, Scale(*_reach(overlay), bottom, bottom - DIFFERENCE)))
    parts += _partings(overlay, x, bottom)
    return group(parts)


def _telling(curves: Sequence[Curve], last: int) -> list[float]:
    """The losses that the axis has to hold; all of them where the curves have few points."""
    train = [(point.step, point.loss) for curve in curves for point in curve.train]
    points = [*train, *((point.step, point.loss) for curve in curves for point in curve.validation)]
    later = [loss for step, loss in points if step > STEEP * last]
    return later if len(points) >= FEW else [loss for _, loss in points]


def _curve(curve: Curve, kind: str, x: Scale, y: Scale) -> Markup:
    train = [(x(point.step), y(point.loss)) for point in curve.train]
    marks = (
        element(
            "circle",
            element("title", f"{NAMES[kind]}: validation loss {point.loss:.4f} at step {point.step:,}"),
            cx=x(point.step),
            cy=y(point.loss),
            r=4.5 if kind == "log" else 3.0,
            class_=f"mark {kind}",
        )
        for point in curve.validation
    )
    return group((path(train, f"curve {kind}"), *marks))


def _reach(overlay: Overlay) -> tuple[float, float]:
    """The differences after the steep beginning and the threshold, as far down as up."""
    last = overlay.differences[-1][0]
    later = [abs(loss) for step, loss in overlay.differences if step > STEEP * last]
    most = 1.15 * max([overlay.threshold or 0.0, *later, 0.001])
    return -most, most


def _differences(overlay: Overlay, x: Scale, y: Scale) -> Markup:
    points = [(x(step), y(loss)) for step, loss in overlay.differences]
    band = overlay.threshold
    noise = [rectangle(x.start, y(band), x.end - x.start, y(-band) - y(band), "noise")] if band is not None else []
    return group(
        (
            *noise,
            axis_left(y, x, y.ticks(5), signed),
            line(x.start, y(0), x.end, y(0), "zero"),
            clipped(x, y, path(points, "curve rerun")),
            label(x.start, y.end - 6, "re-run − log; shaded: noise", kind="caption"),
        )
    )


def _partings(overlay: Overlay, x: Scale, bottom: float) -> list[Markup]:
    """A line where the training losses part; where only the validation losses do, there."""
    parting = overlay.train or overlay.validation
    if parting is None:
        return []
    at = x(parting.step)
    left = at > (x.start + x.end) / 2
    text = f"part at step {parting.step:,}"
    return [
        line(at, TOP, at, bottom, "parting"),
        label(at + (-5 if left else 5), TOP + 12, text, anchor="end" if left else "start", kind="parting"),
    ]
