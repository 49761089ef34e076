"""How the score is taken, and what learns while it is taken."""

from __future__ import annotations

from collections.abc import Iterator

from pgaudit.card.facts import Category, Fact
from pgaudit.card.knobs import dormant, number, parameters
from pgaudit.card.reach import Program
from pgaudit.card.settings import Settings
from pgaudit.engine.events import UpdateEvent
from pgaudit.program import ir

TTT = (
    "optimiser=TTT_OPTIMIZER,lr=TTT_LR|TTT_LORA_LR,epochs=TTT_EPOCHS,steps=TTT_STEPS|TTT_GRAD_STEPS,momentum=TTT_MOMENTUM,"
    "chunk=TTT_CHUNK_TOKENS|TTT_CHUNK_SIZE,batch=TTT_BATCH_SEQS|TTT_BATCH_SIZE,frozen blocks=TTT_FREEZE_BLOCKS,"
    "weight decay=TTT_WEIGHT_DECAY"
)
NGRAM = "order=NGRAM_ORDER|NGRAM_MAX_ORDER,buckets=NGRAM_BUCKETS|NGRAM_EVAL_BUCKETS"
OUTSIDE_MAIN = 2
"""Calls that lead to code below the entry point's own function."""


def facts(program: Program, settings: Settings) -> Iterator[Fact]:
    """What the evaluation does."""
    yield from _windows(program, settings)
    for event in program.run.walk.updates:
        place = program.run.at(event.place.spot)
        if event.what == "count":
            yield Fact(Category.EVALUATION, "n-gram cache", place, parameters(settings, NGRAM))
        elif event.what in ("step", "write"):
            name = "SLOT (a tensor beside the network is fitted)" if event.fresh else "test-time training"
            yield Fact(Category.TEST_TIME, name, place, parameters(settings, TTT))


def _windows(program: Program, settings: Settings) -> Iterator[Fact]:
    """A sliding window scores only the end of each window but the first."""
    stride, length = settings.get("EVAL_STRIDE", "SLIDING_WINDOW_STRIDE"), settings.get("EVAL_SEQ_LEN", "TRAIN_SEQ_LEN")
    step, whole = number(stride), number(length)
    if stride is None or step is None:
        return
    off = dormant(program, settings, stride)
    switch = settings.get("SLIDING_WINDOW_ENABLED", "SLIDING_EVAL")
    off = off or (str(switch) if switch and switch.is_off else "")
    if whole and step >= whole:
        yield Fact(
            Category.EVALUATION, "windows side by side", stride.place, parameters(settings, "length=EVAL_SEQ_LEN")
        )
        return
    given = parameters(settings, "stride=EVAL_STRIDE|SLIDING_WINDOW_STRIDE,length=EVAL_SEQ_LEN|TRAIN_SEQ_LEN")
    yield Fact(
        Category.EVALUATION,
        f"sliding window stride {step:g}" if step > 0 else "sliding window",
        stride.place,
        given,
        off,
    )


def adapting(program: Program) -> frozenset[ir.Function]:
    """The functions that test-time training happens in: those that take a step on validation tokens below the entry
    point, and those that only they name.
    """
    spots = {
        event.place.spot
        for event in program.run.walk.updates
        if event.what == "step" and len(event.place.calls) >= OUTSIDE_MAIN
    } | {caller for event in program.run.walk.updates for caller in _callers(event)}
    found = {
        part.context.function
        for part in program.parts
        if isinstance(part.node, ir.Node) and (part.context.module, part.node.line) in spots and part.context.function
    }
    helpers = {
        function for function in program.functions if (users := program.users_of(function.name)) and users <= found
    }
    return frozenset(found | helpers)


def _callers(event: UpdateEvent) -> Iterator[tuple[str, int]]:
    """The call in the function around the one that takes the step, unless that is the entry point's own."""
    if event.what == "step" and len(event.place.calls) > OUTSIDE_MAIN:
        yield event.place.calls[-1]
