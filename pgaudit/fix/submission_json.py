"""What submission.json lacks or writes wrongly, where the shipped files leave no choice.

Nothing is invented: a value that two logs state differently is left to its author, and so is everything that a person says of
themselves. Nothing here touches the script, the logs or whether a score is legal.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from statistics import fmean

from pgaudit.errors import TargetError
from pgaudit.evidence.claims import ALIASES, Claims
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.logs import Log, Metric
from pgaudit.evidence.numbers import Figure, number
from pgaudit.evidence.sizes import run_size
from pgaudit.evidence.support import averaged, prints
from pgaudit.fix.members import edited, members
from pgaudit.fix.repair import Change, Repair

NUMERIC = (
    "val_bpb",
    "val_loss",
    "bytes_total",
    "bytes_code",
    "bytes_model",
    "train_seconds",
    "train_ms",
    "eval_seconds",
    "eval_ms",
    "steps",
    "n_seeds",
    "seed",
    "vocab_size",
    "val_tokens",
)
"""Claims that are numbers."""
PERSONAL = ("author", "github_id", "name", "date")
"""Required, and known to the author alone."""
PLAIN = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+")
BYTE_ORDER_MARK = "\ufeff"


def repair(evidence: Evidence) -> Repair | None:
    """The repaired submission.json; ``None`` without one. Raises ``TargetError`` for a file that is no JSON object."""
    claims = evidence.claims
    if claims is None:
        return None
    where = f"{evidence.submission.folder}/{claims.path}".removeprefix("./")
    if claims.problem is not None:
        line = claims.problem.location.line
        place = f"{where}:{line}" if line else where
        raise TargetError(
            f"{place} is not a JSON object: {claims.problem.message}", hint="repair its syntax by hand first"
        )
    try:
        text = evidence.submission.files[claims.path].data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TargetError(f"{where} is not UTF-8: {error}", hint="save it as UTF-8 first") from error
    body = text.removeprefix(BYTE_ORDER_MARK)
    changes = tuple(_changes(evidence, claims, body))
    mark = text[: len(text) - len(body)]
    after = mark + edited(body, {change.key: change.value for change in changes})
    given = {change.key for change in changes}
    wanted = (*PERSONAL, "val_loss", "val_bpb", "bytes_total", "bytes_code")
    left = tuple(key for key in wanted if _is_missing(claims, key) and key not in given)
    return Repair(claims.path, text, after, changes, left)


def _changes(evidence: Evidence, claims: Claims, text: str) -> Iterator[Change]:
    yield from _unquoted(claims)
    without_loss = _is_missing(claims, "val_loss")
    if _is_missing(claims, "val_bpb"):
        yield from _score(evidence, with_loss=without_loss)
    elif without_loss:
        yield from _loss(evidence, claims, text)
    if _is_missing(claims, "bytes_total"):
        yield from _total(evidence)
    if _is_missing(claims, "bytes_code") and evidence.sizes.script is not None:
        yield Change("bytes_code", str(evidence.sizes.script), f"the size of {evidence.main_path} as shipped")
    if not any(claim.name in ("seed", "n_seeds") for claim in claims.stated) and not claims.seeds:
        yield from _seeds(evidence)


def _is_missing(claims: Claims, key: str) -> bool:
    """Is the claim there under none of its names, or only as null?"""
    found = [claim for claim in claims.stated if claim.name == key and (claim.seed is None or key in ALIASES["seed"])]
    return all(claim.value is None for claim in found) and not isinstance(_value(claims, key), dict | list)


def _value(claims: Claims, key: str) -> object:
    return claims.document.get(key) if isinstance(claims.document, dict) else None


def _unquoted(claims: Claims) -> Iterator[Change]:
    """Numbers that are written as strings, of keys whose value is a number."""
    keys = {key for name in NUMERIC for key in ALIASES[name]}
    document = claims.document if isinstance(claims.document, dict) else {}
    for key, value in document.items():
        if key in keys and isinstance(value, str):
            text = value.strip()
            plain = text.replace(",", "") if GROUPED.fullmatch(text) else text
            if PLAIN.fullmatch(plain):
                yield Change(key, plain, "it is a number, written as a string")


def _score(evidence: Evidence, *, with_loss: bool) -> Iterator[Change]:
    """The score that the only finished log ends with, and the loss beside it."""
    finished = [log for log in evidence.logs if log.final and log.final.step is None]
    final = finished[0].final if len(finished) == 1 else None
    if final is not None and final.val_bpb is not None:
        yield Change("val_bpb", _digits(final.val_bpb), f"printed at {final.location}")
        if with_loss and final.val_loss is not None:
            yield Change("val_loss", _digits(final.val_loss), f"printed at {final.location}")


def _loss(evidence: Evidence, claims: Claims, text: str) -> Iterator[Change]:
    """The loss on the line that prints the claimed score, or the mean over the lines whose mean the score is."""
    metrics = _claimed_metrics(evidence, claims, text)
    losses = list(dict.fromkeys(metric.val_loss for metric in metrics if metric.val_loss))
    places = ", ".join(str(metric.location) for metric in metrics)
    if len(losses) == 1:
        yield Change("val_loss", _digits(losses[0]), f"printed with the score at {places}")
    elif losses and len(losses) == len({metric.val_bpb for metric in metrics}):
        decimals = max(min(figure.decimals for figure in losses), 1)
        mean = fmean(figure.value for figure in losses)
        yield Change("val_loss", f"{mean:.{decimals}f}", f"the mean of what is printed with the scores at {places}")


def _claimed_metrics(evidence: Evidence, claims: Claims, text: str) -> list[Metric]:
    """The line of a log that prints the claimed score to its last digit, or the lines whose mean it is to that digit.

    Empty where neither is so, or where both are: then nobody but the author knows which was meant.
    """
    claim = claims.get("val_bpb")
    score = number(claim.value) if claim else None
    if claim is None or score is None:
        return []
    written = [text[member.value : member.end].strip('"') for member in members(text) if member.key == claim.key]
    exact = Figure.read(written[-1] if written and PLAIN.fullmatch(written[-1]) else repr(score)).error
    whole = [metric for log in evidence.logs for metric in log.metrics if metric.val_bpb and not metric.partial]
    lines = [metric for metric in whole if _differs_by(metric, score) <= exact]
    mean = list(averaged(evidence.logs, score).values())
    is_mean = mean and abs(fmean(metric.val_bpb.value for metric in mean if metric.val_bpb) - score) <= exact
    if lines and is_mean:
        return []
    return mean if is_mean else lines[:1] if len({metric.val_loss for metric in lines}) == 1 else []


def _differs_by(metric: Metric, score: float) -> float:
    return abs(metric.val_bpb.value - score) if metric.val_bpb else math.inf


def _total(evidence: Evidence) -> Iterator[Change]:
    """The one size that all logs of the claimed runs state."""
    logs = _standing(evidence)
    sizes = [size for log in logs if (size := run_size(log))]
    if len(sizes) == len(logs) and len({size.total.bytes for size in sizes}) == 1:
        yield Change("bytes_total", str(sizes[0].total.bytes), f"printed at {sizes[0].total.location}")


def _seeds(evidence: Evidence) -> Iterator[Change]:
    """The seeds of the finished runs, where each log states one and all of them stand behind the claimed score."""
    finished = [log for log in evidence.logs if log.final]
    seeds = [{stated.value for stated in log.seeds} for log in finished]
    claimed = {stated.value for log in _standing(evidence) for stated in log.seeds}
    if finished and all(len(found) == 1 for found in seeds) and claimed == {seed for found in seeds for seed in found}:
        places = ", ".join(str(log.seeds[0].location) for log in finished)
        yield Change("seeds", json.dumps(sorted(claimed)), f"printed at {places}")


def _standing(evidence: Evidence) -> list[Log]:
    """The logs that print a claimed score or whose mean it is; without any claimed score, the only log that finished."""
    scores = evidence.claimed_scores
    if not scores:
        finished = [log for log in evidence.logs if log.final]
        return finished if len(finished) == 1 else []
    means = {path for score in scores for path in averaged(evidence.logs, score)}
    return [log for log in evidence.logs if log.path in means or any(prints(metric, scores) for metric in log.metrics)]


def _digits(figure: Figure) -> str:
    """A printed number with the digits that were printed."""
    return f"{figure.value:.{max(figure.decimals, 1)}f}"
