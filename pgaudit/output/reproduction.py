"""A re-run for people and programs. Everything that a submission printed or is called goes through ``escape``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from pgaudit.evidence.denominator import OFFICIAL_BYTES
from pgaudit.output import Format, escape
from pgaudit.output.json import document, value
from pgaudit.output.partings import in_words
from pgaudit.report import Report
from pgaudit.reproduce.check import OPEN, Check, Status
from pgaudit.reproduce.data import Data
from pgaudit.reproduce.inputs import Input
from pgaudit.reproduce.outcome import Reproduction
from pgaudit.reproduce.plan import Plan
from pgaudit.reproduce.statistics import Equivalence
from pgaudit.reproduce.supervise import Bounds

WIDTH = 100
MARKS = {Status.HOLDS: "✓", Status.FAILS: "✗"}
NO_SANDBOX = "**The submission was not enclosed: it could have changed what was measured.**"


def render(run: Reproduction, report: Report, style: Format) -> str:
    """The report in one format."""
    if style is Format.JSON:
        return json.dumps(whole(run, report), indent=2, allow_nan=False) + "\n"
    lines = _markdown(run, report) if style is Format.MARKDOWN else _terminal(run, report)
    return "\n".join(lines) + "\n"


def whole(run: Reproduction, report: Report) -> dict[str, Any]:
    """Report and measurements as JSON values."""
    found = document(report)
    found["submissions"][0]["reproduction"] = measurements(run)
    return found


def render_plan(plan: Plan, sandbox: str, style: Format) -> str:
    """What would be run."""
    if style is Format.JSON:
        return json.dumps(value({"plan": plan.describe(), "sandbox": sandbox}), indent=2) + "\n"
    lines = list(_plan(plan, sandbox))
    return escape.block(lines) + "\n" if style is Format.MARKDOWN else "\n".join(map(escape.plain, lines)) + "\n"


def measurements(run: Reproduction) -> dict[str, Any]:
    """The re-run as JSON values."""
    found: dict[str, Any] = value(
        {
            "result": run.result.value,
            "sandbox": run.sandbox,
            "enclosed": run.enclosed,
            "bundled": run.bundled or None,
            "hardware": run.plan.hardware.name,
            "calibration": asdict(run.calibration) | {"factor": run.calibration.factor} if run.calibration else None,
            "stopped": run.stopped or None,
            "checks": [asdict(check) for check in run.checks],
            "equivalence": _equivalence(run.score) if run.score else None,
            "seeds": [seed.document() for seed in run.seeds],
            "overlays": [overlay.document() for overlay in run.overlays],
            "swaps": [swap.document() for swap in run.swaps],
            "remarks": list(run.remarks),
            "plan": run.plan.describe(),
        }
    )
    return found


def curves_in_words(run: Reproduction) -> Iterator[tuple[int, str]]:
    """Each seed, and where its curve parts from that of the submitted log."""
    curves = {seed.seed: seed.curve for seed in run.seeds}
    return ((overlay.seed, in_words(overlay, curves[overlay.seed])) for overlay in run.overlays)


def remarks_of(run: Reproduction) -> tuple[str, ...]:
    """What is worth a remark, and why seeds are missing."""
    return (*run.remarks, *([run.stopped] if run.stopped else []))


def _equivalence(test: Equivalence) -> dict[str, Any]:
    return asdict(test) | {"claim_inside": test.claim_inside, "tests_interval": test.tests_interval}


def headline(run: Reproduction) -> str:
    """The result in one sentence."""
    different = [check.name for check in run.checks if check.status is Status.NOT_COMPARABLE]
    failed = ", ".join(check.name for check in run.checks if check.status is Status.FAILS)
    unfinished = [f"seed {seed.seed}" for seed in run.seeds if not seed.finished]
    missing = [f"seed {seed} (not run)" for seed in run.missing]
    left = ", ".join([*(check.name for check in run.checks if check.status in OPEN), *unfinished, *missing])
    said = {
        "holds": "every claim that could be compared holds",
        "fails": f"what was claimed fails: {failed}",
        "incomplete": f"not decided: {left}" if left else "not decided",
    }
    but = f"; not comparable on {run.plan.hardware.name}: {', '.join(different)}" if different else ""
    return f"{said[run.result.value]}{but}"


def _terminal(run: Reproduction, report: Report) -> Iterator[str]:
    folder = report.submissions[0]
    show = escape.plain
    yield f"{show(run.plan.folder)}  {run.result.value}"
    yield f"  {headline(run)}"
    bundled = f" · bundled reference trainer {run.bundled}" if run.bundled else ""
    yield f"  level {folder.level.value} · verdict {verdict_of(report)} · {show(run.plan.hardware.name)}{bundled}"
    yield f"  sandbox {show(run.sandbox)}"
    for check in run.checks:
        yield ""
        yield f"{MARKS.get(check.status, '·')} {check.name}: {check.status.value}"
        for name, text in (
            ("claimed", check.claimed),
            ("measured", check.measured),
            ("because", check.because),
            ("source", check.source),
        ):
            if text:
                yield from wrap(show(text), WIDTH - 4, initial_indent=f"    {name:9}", subsequent_indent=" " * 13)
    yield ""
    yield f"{'seed':>8}  {'val_bpb':>10}  {'val_loss':>10}  {'training':>10}  {'evaluation':>10}  {'bytes':>11}  {'memory':>10}  end"
    for row in _rows(run):
        widths = (8, 10, 10, 10, 10, 11, 10)
        yield "  ".join([*(f"{cell:>{width}}" for cell, width in zip(row[:-1], widths, strict=True)), show(row[-1])])
    yield from (f"  {line}" for line in hardware_in_words(run))
    for seed, words in curves_in_words(run):
        yield from wrap(f"curve of seed {seed}: {show(words)}", WIDTH, subsequent_indent="  ")
    for remark in remarks_of(run):
        yield from wrap(show(remark), WIDTH - 2, initial_indent="! ", subsequent_indent="  ")
    yield ""
    yield from (f"output of seed {seed.label}: {show(seed.output)}" for seed in (*run.seeds, *run.swaps))
    yield f"pgaudit {report.version}, policy edition {report.edition}, plan {run.plan.digest}"


def _markdown(run: Reproduction, report: Report) -> Iterator[str]:
    folder, show = report.submissions[0], escape.markdown
    yield f"### Re-run {run.result.value}: {escape.code(run.plan.folder)}"
    yield ""
    yield f"{show(headline(run))[:1].upper()}{show(headline(run))[1:]}."
    yield ""
    yield f"{show(run.plan.hardware.name)} · level {folder.level.value} · verdict {verdict_of(report)} · sandbox: {show(run.sandbox)}"
    yield ""
    if not run.enclosed:
        yield NO_SANDBOX
        yield ""
    yield "| claim | | claimed | measured | because |"
    yield "|---|---|---|---|---|"
    for check in run.checks:
        yield f"| {check.name} | {check.status.value} | {_cell(check.claimed)} | {_cell(check.measured)} | {_cell(_because(check))} |"
    yield ""
    yield "| seed | val_bpb | val_loss | training, s | evaluation, s | bytes | peak memory | end |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---|"
    for row in _rows(run):
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""
    yield from (f"- {line}" for line in hardware_in_words(run))
    for seed, words in curves_in_words(run):
        yield f"- Curve of seed {seed}: {show(words)}"
    for remark in remarks_of(run):
        yield f"- {show(remark)}"
    yield ""
    yield f"<sub>Times by pgaudit's own clock, sizes weighed by pgaudit, scores as printed by the run. pgaudit {report.version}, policy edition {report.edition}, plan {run.plan.digest}</sub>"


def verdict_of(report: Report) -> str:
    """The verdict of reading and re-run together, and what decides it."""
    folder = report.submissions[0]
    return f"{folder.verdict.value} ({', '.join(folder.mechanisms)})" if folder.mechanisms else folder.verdict.value


def _because(check: Check) -> str:
    return f"{check.because}; {check.source}" if check.source else check.because


def _cell(text: str) -> str:
    return escape.markdown(text)


def _rows(run: Reproduction) -> Iterator[tuple[str, ...]]:
    for seed in (*run.seeds, *run.swaps):
        yield (
            str(seed.seed),
            _number(seed.val_bpb, 6),
            _number(seed.val_loss, 6),
            _number(seed.training, 1),
            _number(seed.evaluation, 1),
            f"{seed.total_bytes:,}" if seed.total_bytes is not None else "-",
            f"{seed.peak_bytes / 2**20:,.0f} MiB"
            if seed.peak_bytes
            else "-",  # a short run ends before the first sample
            seed.ending if seed.input == Input.OFFICIAL else f"{seed.ending}, input {seed.input}",
        )


def hardware_in_words(run: Reproduction) -> Iterator[str]:
    """The pace of the node, and a line per seed on memory and clocks of its GPUs."""
    if paced := run.calibration:
        words = f"calibration: {paced.seconds_per_step * 1000:.2f} ms per step of the reference trainer ({paced.steps} steps)"
        beside = "; shrunken, so that there is nothing to compare it with"
        if paced.reference_seconds:
            beside = f", {paced.factor:.3g} times the reference node's {paced.reference_seconds * 1000:.2f} ms"
        yield words + beside
    for seed in run.seeds:
        if seed.gpu:
            clock = (
                f"SM clock {seed.gpu.clock_mhz:g} MHz, lowest {seed.gpu.lowest_clock_mhz:g}"
                if seed.gpu.clock_mhz
                else "never busy"
            )
            yield f"seed {seed.seed}: GPU memory at most {seed.gpu.peak_bytes / 2**30:.1f} GiB on one; {clock}"


def bounds_in_words(bounds: Bounds) -> str:
    """When a run is ended."""
    stages = f"start {bounds.start:g} s, training {bounds.training:g} s, evaluation {bounds.evaluation:g} s"
    return f"{stages}, silence {bounds.silence:g} s, in all {bounds.total:g} s; grace {bounds.grace:g} s"


def _number(number: float | None, digits: int) -> str:
    return "-" if number is None else f"{number:.{digits}f}"


def _official(data: Data) -> str:
    if data.val_bytes is None:
        return ""
    same = data.val_bytes == OFFICIAL_BYTES
    return "; as the official text has" if same else f"; the official text has {OFFICIAL_BYTES:,} B"


def _plan(plan: Plan, sandbox: str) -> Iterator[str]:
    yield f"{plan.folder}: would be run, nothing was"
    yield f"  interpreter  {plan.interpreter.path} (Python {plan.interpreter.version})"
    for seed in plan.seeds:
        yield f"  seed {seed:<8}{shlex.join(plan.command(seed))}"
    yield f"  command from {plan.command_source}"
    yield from (f"  environment  {given.name}={given.value}  ({given.source})" for given in plan.environment)
    if plan.interpreter.missing:
        yield f"  missing      {', '.join(plan.interpreter.missing)}"
    if data := plan.data:
        yield f"  data         {data.folder}: {data.train_shards} training shards, {data.train_tokens:,} tokens"
        yield f"  validation   {data.val_shards} shards, {data.val_tokens:,} tokens, sha256 {data.val_sha256}"
        counted = f"{data.val_bytes:,} B, counted" if data.val_bytes is not None else "not counted:"
        yield f"  text         {counted} {data.val_bytes_how}{_official(data)}"
    else:
        yield "  data         none named; the run finds what the submission brings"
    yield from (f"  then         seed {plan.seeds[0]}: {swap.describe()}" for swap in plan.swaps)
    yield f"  hardware     {plan.hardware.name}"
    yield f"  ended after  {bounds_in_words(plan.bounds)}"
    yield f"  sandbox      {sandbox}"
    yield from (f"  remark       {remark}" for remark in plan.remarks)
    yield f"  plan         {plan.digest}"
