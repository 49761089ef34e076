"""The claims of submission.json beside what the logs and files show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from pgaudit.card.facts import Comparison, Figure
from pgaudit.evidence.claims import Claim
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log
from pgaudit.evidence.numbers import Figure as Printed
from pgaudit.evidence.numbers import byte_count, number
from pgaudit.evidence.sizes import run_size
from pgaudit.evidence.support import averaged
from pgaudit.finding import Location

SECONDS = 1.0
"""Times that differ by less were rounded."""
DIGITS = {"val_bpb": 6e-5, "val_loss": 6e-5}
"""Claims are rounded to four decimals or more."""

UNITS = {
    "bytes_total": " B",
    "bytes_code": " B",
    "train_seconds": " s",
    "eval_seconds": " s",
    "train_ms": " ms",
    "eval_ms": " ms",
}

Reading = tuple[float, Location]


def compare(evidence: Evidence) -> tuple[Comparison, ...]:
    """Every claim that a file could bear out, and what does."""
    return tuple(_rows(evidence)) if evidence.claims else ()


def _rows(evidence: Evidence) -> Iterator[Comparison]:
    assert evidence.claims is not None
    seeds = (None, *evidence.claims.seeds)
    for name in ("val_bpb", "val_loss"):
        for seed in seeds:
            yield from _score(evidence, name, seed)
    yield from _seeds(evidence)
    for name in ("bytes_total", "bytes_code"):
        for seed in seeds:
            yield from _bytes(evidence, name, seed)
    for names in (("train_seconds", "train_ms"), ("eval_seconds", "eval_ms"), ("steps",)):
        for seed in seeds:
            yield from _run(evidence, names, seed)


def logs_of(evidence: Evidence, seed: str | None) -> list[Log]:
    """The logs of the claimed runs, or of one seed."""
    logs = [*evidence.claimed_logs]
    if seed is None:
        return logs
    return [log for log in [*logs, *evidence.logs] if log.is_of(seed)][:1]


def _score(evidence: Evidence, name: str, seed: str | None) -> Iterator[Comparison]:
    assert evidence.claims is not None
    claim = evidence.claims.get(name, seed)
    stated = number(claim.value) if claim else None
    if claim is None or stated is None:
        return
    tolerance = max(DIGITS[name], Printed.read(repr(stated)).error)
    lines = [
        (figure.value, place) for log in logs_of(evidence, seed) for figure, place in _printed(evidence, log, name)
    ]
    candidates = [(value, Figure(f"{value:.10g}", (place,))) for value, place in lines]
    for averaged_lines in (lines, _averaged(evidence, name)) if seed is None else ():
        values = list(dict.fromkeys(value for value, _ in averaged_lines))
        if len(values) > 1:
            mean = fmean(values)
            candidates.append((mean, Figure(f"{mean:.6f} (mean of {len(values)})", _places(averaged_lines))))
    nearest = min(candidates, key=lambda candidate: abs(candidate[0] - stated), default=None)
    found = nearest[1] if nearest else None
    agrees = abs(nearest[0] - stated) <= tolerance if nearest else None
    yield Comparison(name, seed, _claimed(claim), found, agrees)


def _averaged(evidence: Evidence, name: str) -> list[Reading]:
    """What the lines print whose mean the claimed score is."""
    claim = evidence.claims.get("val_bpb") if evidence.claims else None
    score = number(claim.value) if claim else None
    metrics = averaged(evidence.logs, score).values() if score is not None else ()
    figures = [(metric.val_bpb if name == "val_bpb" else metric.val_loss, metric.location) for metric in metrics]
    return [(figure.value, place) for figure, place in figures if figure is not None]


def _printed(evidence: Evidence, log: Log, name: str) -> Iterator[tuple[Printed, Location]]:
    for metric in evidence.claimed_metrics(log):
        figure = metric.val_bpb if name == "val_bpb" else metric.val_loss
        if figure is not None:
            yield figure, metric.location


def _seeds(evidence: Evidence) -> Iterator[Comparison]:
    assert evidence.claims is not None
    claims = [claim for claim in evidence.claims.stated if claim.name == "seed"]
    named = dict.fromkeys([str(claim.value) for claim in claims] + [s for s in evidence.claims.seeds if s.isdecimal()])
    readings = [stated for log in evidence.logs if log.final for stated in log.seeds[:1]]
    shown = [str(seed) for seed in sorted({stated.value for stated in readings})]
    if not named and not shown:
        return
    place = claims[0].location if claims else evidence.claims.at()
    claimed = Figure(", ".join(named), (place,)) if named else None
    found = Figure(", ".join(shown), tuple(stated.location for stated in readings)) if shown else None
    yield Comparison("seeds", None, claimed, found, set(named) == set(shown) if named and shown else None)


def _bytes(evidence: Evidence, name: str, seed: str | None) -> Iterator[Comparison]:
    assert evidence.claims is not None
    claim = evidence.claims.get(name, seed)
    stated = byte_count(claim.value) if claim else None
    if claim is None or stated is None:
        return
    sizes = [size for log in logs_of(evidence, seed) if (size := run_size(log))]
    if name == "bytes_total":
        readings: list[Reading] = [(size.total.bytes, size.total.location) for size in sizes]
    else:
        readings = [(size.code.bytes, size.code.location) for size in sizes if size.code]
        if evidence.sizes.script is not None and evidence.main_path:
            readings.append((evidence.sizes.script, Location(evidence.main_path)))
    values = list(dict.fromkeys(value for value, _ in readings))
    means = [round(fmean(values))] if len(values) > 1 and seed is None and name == "bytes_total" else []
    yield _row(claim, readings, " B", agrees=stated in [*values, *means])


def _run(evidence: Evidence, names: tuple[str, ...], seed: str | None) -> Iterator[Comparison]:
    """A time or a number of steps: the log of the seed, or any of the claimed runs, has to show it."""
    assert evidence.claims is not None
    for name in names:
        claim = evidence.claims.get(name, seed)
        stated = number(claim.value) if claim else None
        if claim is None or stated is None:
            continue
        logs = logs_of(evidence, seed)
        readings = [reading for log in logs for reading in _measured(log, name)]
        wanted = stated / 1000 if name.endswith("_ms") else stated
        values = list(dict.fromkeys(value for value, _ in readings))
        means = [fmean(values)] if len(values) > 1 else []
        tolerance = 0.5 if name == "steps" else SECONDS
        agrees = any(abs(value - wanted) <= tolerance for value in [*values, *means])
        readings = [reading for reading in readings if abs(reading[0] - wanted) <= tolerance][:1] or readings
        yield _row(claim, readings, "" if name == "steps" else " s", agrees=agrees)
        return


def _measured(log: Log, name: str) -> Iterable[Reading]:
    if name == "steps":
        last = max((metric for metric in log.metrics if metric.step), key=lambda metric: metric.step or 0, default=None)
        return [(last.step or 0, last.location)] if last else []
    if name.startswith("train"):
        return [(log.train_time.seconds, log.train_time.location)] if log.train_time else []
    return [(timing.seconds, timing.location) for timing in log.eval_times]


def _row(claim: Claim, readings: list[Reading], unit: str, *, agrees: bool) -> Comparison:
    values = dict.fromkeys(f"{value:,.0f}" if unit == " B" else f"{value:.10g}" for value, _ in readings)
    found = Figure(f"{' / '.join(values)}{unit}", _places(readings)) if readings else None
    return Comparison(claim.name, claim.seed, _claimed(claim), found, agrees if found else None)


def _places(readings: list[Reading]) -> tuple[Location, ...]:
    return tuple(dict.fromkeys(place for _, place in readings))


def _claimed(claim: Claim) -> Figure:
    value, unit = claim.value, UNITS.get(claim.name, "")
    shown = value if isinstance(value, str) else f"{value:,}{unit}" if isinstance(value, int) else f"{value}{unit}"
    return Figure(shown, (claim.location,))
