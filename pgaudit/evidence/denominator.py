"""The bytes under the score: how many a log divided by, against how many the validation text has.

``bpb = loss / ln 2 · tokens / bytes`` with both sums over the same fixed text, so that a printed pair of loss and bpb
tells tokens per byte, and with the token count the bytes, whatever the tokenizer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pgaudit.evidence.claims import Claims
from pgaudit.evidence.logs import Log, Metric
from pgaudit.evidence.numbers import number
from pgaudit.evidence.reading import Reading

OFFICIAL_BYTES = 151_080_891
"""UTF-8 bytes of the validation text (the first 50,000 documents)."""

FIRST_RELEASE_TOKENS = 63_779_840
"""sp1024 tokens of the data set as first published, before its validation text was re-cut."""

TOLERANCE = 0.003
"""Relative; dropped tails and rounding stay below a tenth of it."""

TOKENS_PER_BYTE = {
    "768": 0.44862,
    "1024": 0.41052,
    "1536": 0.36969,
    "1792": 0.35710,
    "2048": 0.34667,
    "4096": 0.30124,
    "4608": 0.29474,
    "8192": 0.26834,
    "8192 caseops": 0.31674,
    "9000": 0.26481,
    "10240 caseops": 0.30904,
    "12288 caseops": 0.30313,
    "16384": 0.24587,
}
"""Measured on correct full evaluations, by vocabulary size of the SentencePiece tokenizer."""

BUGS = (
    (177_830_000, "the leading space of a word is counted twice"),
    (201_580_000, "the space marker is counted as its three UTF-8 bytes"),
    (160_620_000, "byte-fallback tokens are counted by the length of their spelling (<0xNN>)"),
    (164_594_398, "CaseOps tokens are counted by the plain table instead of the byte side file"),
)
"""Denominators that known mistakes give on the full validation text."""

NEAR_CLAIM = 0.002
"""A printed bpb this close to a claimed one is the claimed evaluation: means are claimed beside logs of single seeds."""

_VOCABULARY = re.compile(r"(?:fineweb\w*?_(?:sp)?|sp)(\d{3,5})(?:_bpe|\b|_)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One printed pair of loss and bpb, with what it implies."""

    metric: Metric
    tokens_per_byte: float
    slack: float
    """Relative error that rounding of the printed numbers allows."""
    tokens: Reading[int] | None
    """Size of the validation split that the log printed last before it."""
    stated: bool
    """Another line of the log states the same ratio of tokens to bytes as counts."""

    @property
    def split(self) -> int | None:
        """The size of the validation split, in tokens."""
        return self.tokens.value if self.tokens else None

    @property
    def bytes(self) -> int | None:
        """The denominator, if the token count is known."""
        return round(self.tokens.value / self.tokens_per_byte) if self.tokens else None


def evaluations(log: Log) -> tuple[Evaluation, ...]:
    """The whole evaluations of a log that print loss and bpb together; those taken during training only if there is no other."""
    found = tuple(every_evaluation(log))
    return tuple(pair for pair in found if pair.metric.step is None) or found


def claimed(pair: Evaluation, scores: Sequence[float]) -> bool:
    """Whether the score of this evaluation is one of the claimed ones; without a claim every evaluation may be the one."""
    return not scores or bpb_claimed(pair.metric, scores)


def bpb_claimed(metric: Metric, scores: Sequence[float]) -> bool:
    """Whether a line prints one of the claimed scores."""
    bpb = metric.val_bpb
    return bpb is not None and any(abs(bpb.value - score) <= NEAR_CLAIM for score in scores)


def expected_tokens_per_byte(log: Log) -> float | None:
    """Tokens per byte of the tokenizer that the log names, if it is a known one."""
    named = [log.settings[name].value for name in ("tokenizer_path", "data_path", "val_files") if name in log.settings]
    named += [reading.location.text for reading in log.val_tokens]
    text = " ".join(named)
    if "casefold" in text.lower():
        return None
    size = log.settings.get("vocab_size")
    match = _VOCABULARY.search(text)
    vocabulary = size.value if size else match[1] if match else ""
    return TOKENS_PER_BYTE.get(f"{vocabulary} caseops" if "caseops" in text.lower() else vocabulary)


def likely_bug(implied_bytes: float) -> str:
    """The known mistake that gives this denominator, or an empty string."""
    return next((name for size, name in BUGS if math.isclose(implied_bytes, size, rel_tol=0.002)), "")


class Bytes(StrEnum):
    """What the printed numbers of a submission say of its byte count."""

    RIGHT = "right"
    TOO_MANY = "too many"
    UNKNOWN = "unknown"


def shown_bytes(log: Log | None, claims: Claims | None) -> Bytes:
    """Whether loss and bpb, in the log of the run or else in submission.json, belong together by the right number of bytes."""
    found = [_shown(pair, expected_tokens_per_byte(log)) for pair in evaluations(log)] if log else []
    for answer in (Bytes.RIGHT, Bytes.TOO_MANY):
        if answer in found:
            return answer
    claimed = (claims.get("val_loss"), claims.get("val_bpb")) if claims else ()
    loss, bpb = (number(claim.value) if claim else None for claim in claimed or (None, None))
    if loss and bpb and loss > 0 and _is_known(bpb * math.log(2) / loss, TOLERANCE):
        return Bytes.RIGHT
    return Bytes.UNKNOWN


def _shown(pair: Evaluation, expected: float | None) -> Bytes:
    """What one evaluation says; without a token count or a known tokenizer, any known ratio is right."""
    room = TOLERANCE + pair.slack
    factor = pair.bytes / OFFICIAL_BYTES if pair.bytes else expected / pair.tokens_per_byte if expected else None
    if factor is None:
        return Bytes.RIGHT if _is_known(pair.tokens_per_byte, room) else Bytes.UNKNOWN
    return Bytes.RIGHT if abs(factor - 1) <= room else Bytes.TOO_MANY if factor > 1 else Bytes.UNKNOWN


def _is_known(tokens_per_byte: float, room: float) -> bool:
    return any(math.isclose(tokens_per_byte, value, rel_tol=room) for value in TOKENS_PER_BYTE.values())


def every_evaluation(log: Log) -> Iterator[Evaluation]:
    """The lines of a log that print a loss and its bpb, those of validations during training among them."""
    stated = [count.tokens / count.bytes for count in log.denominators if count.bytes]
    for metric in log.metrics:
        ratio = metric.tokens_per_byte
        if not ratio or metric.partial or not metric.val_loss or not metric.val_bpb:
            continue
        slack = metric.val_loss.error / metric.val_loss.value + metric.val_bpb.error / metric.val_bpb.value
        before = [tokens for tokens in log.val_tokens if (tokens.location.line or 0) <= (metric.location.line or 0)]
        agrees = any(math.isclose(ratio, other, rel_tol=TOLERANCE + slack) for other in stated)
        yield Evaluation(metric, ratio, slack, before[-1] if before else None, agrees)
