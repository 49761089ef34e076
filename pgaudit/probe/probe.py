"""One submission from its evidence to its measurements: the rounds of runs, and when there have been enough."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pgaudit.evidence.evidence import Evidence
from pgaudit.probe import experiment, judge
from pgaudit.probe import text as texts
from pgaudit.probe.record import Condition, Measurement, Outcome, RunRecord
from pgaudit.probe.rewrite import Unreadable
from pgaudit.probe.runner import Settings, run
from pgaudit.probe.scores import is_cross_entropy
from pgaudit.probe.shrink import VALIDATION, Change
from pgaudit.reproduce.interpreter import Interpreter
from pgaudit.sandbox import Backend

FEW_TOKENS, FIRST_TOKENS, MORE_TOKENS = 2, 6, 26
"""Other last tokens that are tried: where a softmax gives the score, where something else does, and where those may sum to
more than one."""
USUAL_VOCABULARY = 1024
LEARNING = ("n-gram cache", "test-time training", "SLOT")
"""What the card calls an evaluation that learns."""
_VOCABULARY = re.compile(r"vocab_size\W{1,4}[^\n]{0,60}?\b(\d{3,5})\b", re.IGNORECASE)
_PATHS = re.compile(r".*(?:PATH|DIR|FILE|FILES|ROOT|PATTERN|CKPT|CHECKPOINT|RUN_ID)")
_NOTHING = {"", "none", "null"}


@dataclass(frozen=True)
class Probed:
    """What was measured of one submission, and under which conditions."""

    measurements: tuple[Measurement, ...]
    runs: int = 0
    seconds: float = 0.0
    """Of the longest run."""
    metric: str = ""
    """The words before the printed score that was judged."""
    changes: tuple[Change, ...] = ()
    """What was made small."""
    substituted: tuple[str, ...] = ()
    """What stood in for what this machine lacks."""

    @property
    def judged(self) -> bool:
        """Whether any of C1 to C4 came to a result."""
        decided = {Outcome.VIOLATED, Outcome.HOLDS}
        return any(each.outcome in decided for each in self.measurements if each.condition is not Condition.BYTES)


def probe(
    evidence: Evidence, backend: Backend, interpreter: Interpreter, folder: Path, seconds: float, jobs: int
) -> Probed:
    """Run the submission on one text after another, and judge. Everything is written below ``folder``."""
    if evidence.main is None:
        return _could_not("no script is known to be the one that trains and scores")
    environment = published(evidence)
    settings = Settings(environment, seconds, jobs)
    records: dict[str, RunRecord] = {}
    stage = claimed_stage(evidence)

    def take(name: str, text: texts.Text, variants: Mapping[str, texts.Tokens]) -> None:
        records.update(run(evidence, text, variants, settings, backend, interpreter, folder / name))

    try:
        text = texts.make(vocabulary(environment, evidence.main.body.text))
        first = experiment.texts(text)
        take("base", text, {experiment.BASE: first.pop(experiment.BASE)})
        if records[experiment.BASE].ending == "finished":
            take("first", text, first)
        if (own := _own_score(judge.runs_of(records, stage, text))) is not None:
            plain = is_cross_entropy(records[experiment.BASE], own)
            take("sums", text, experiment.last_tokens(text, FEW_TOKENS if plain else FIRST_TOKENS, 0))
            if not plain and _suspicious(judge.runs_of(records, stage, text), text.vocabulary):
                take("more", text, experiment.last_tokens(text, MORE_TOKENS, FIRST_TOKENS))
    except (Unreadable, texts.NoText) as problem:
        return _could_not(str(problem))
    if experiment.REPEAT not in records:
        return _could_not(records[experiment.BASE].ending, records[experiment.BASE])
    runs = judge.runs_of(records, stage, text)
    measured = judge.judge(runs, expectation(evidence), text)
    base = records[experiment.BASE]
    scores = runs.scores.get(experiment.BASE)
    changes = tuple(Change(**change) for change in base.changes)
    longest = max(record.seconds for record in records.values())
    return Probed(measured, len(records), longest, scores.metric.stage if scores else "", changes, base.substituted)


def published(evidence: Evidence) -> dict[str, str]:
    """The settings of the run that was scored, without the places of its machine."""
    walked = evidence.run
    found = walked.configuration.environment if walked else {}
    return {
        name: str(setting.value)
        for name, setting in found.items()
        if not _PATHS.fullmatch(name.upper()) and str(setting.value).lower() not in _NOTHING
    }


def vocabulary(environment: Mapping[str, str], source: str) -> int:
    """Pieces of the tokenizer that the script expects."""
    stated = environment.get("VOCAB_SIZE", "")
    match = _VOCABULARY.search(source)
    return int(stated) if stated.isdecimal() else int(match[1]) if match else USUAL_VOCABULARY


def claimed_stage(evidence: Evidence) -> str:
    """The words before the claimed score in the log of the run that counts; empty if no log has it."""
    log = evidence.scored_log
    return next((metric.stage for metric in reversed(evidence.claimed_metrics(log))), "") if log else ""


def expectation(evidence: Evidence) -> str:
    """What the evaluation learns by, from reading; empty if it does not seem to."""
    from pgaudit.card.card import facts_of

    facts = facts_of(evidence.run) if evidence.run else ()
    return next((fact.name for fact in facts if not fact.dormant and fact.name.startswith(LEARNING)), "")


def scratch() -> Path:
    """A new folder for the runs of one submission; the caller removes it."""
    return Path(tempfile.mkdtemp(prefix="pgaudit-probe-"))


def discard(folder: Path) -> None:
    """Remove what the runs have left."""
    shutil.rmtree(folder, ignore_errors=True)


def _own_score(runs: judge.Runs) -> float | None:
    """The score of the last token, if it stands alone, so that sums of it mean something."""
    if experiment.LAST not in runs.records or judge.obstacle(runs):
        return None
    own = runs.changed(experiment.LAST)
    return float(runs.base.values[own[0]]) if own is not None and 0 < len(own) < VALIDATION // 2 else None


def _suspicious(runs: judge.Runs, vocabulary: int) -> bool:
    chances = judge.chances(runs)
    return sum(chances.values()) <= 1 < judge.SUSPICIOUS <= judge.estimate(chances, vocabulary)


def _could_not(why: str, record: RunRecord | None = None) -> Probed:
    measured = tuple(Measurement(condition, Outcome.COULD_NOT_RUN, why) for condition in Condition)
    if record is None:
        return Probed(measured)
    changes = tuple(Change(**change) for change in record.changes)
    return Probed(measured, 1, record.seconds, "", changes, record.substituted)
