"""Facts that a setting decides: which names switch a technique, and which give its numbers.

A technique whose switch is off, or whose setting nothing that runs reads, is dormant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pgaudit.card.facts import Category, Fact, Parameter
from pgaudit.card.reach import Program
from pgaudit.card.settings import Setting, Settings

UNREAD = "nothing that runs reads it"
FIRST_LAYERS = frozenset({"PARALLEL_START_LAYER", "PARALLEL_RESIDUAL_START"})
"""Settings that name the layer from which on something is done."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A technique and the settings that decide it."""

    category: Category
    name: str
    switches: str
    """Names, any of which makes the fact, and each of which can switch it off."""
    parameters: str = ""
    """``label=NAME|OTHER`` separated by commas; the first name that the script knows counts."""


ARCHITECTURE, SCHEDULE, AVERAGING = Category.ARCHITECTURE, Category.SCHEDULE, Category.AVERAGING
QUANTISATION, TEST_TIME, OTHER = Category.QUANTISATION, Category.TEST_TIME, Category.OTHER
EVALUATION, LENGTH, REGULARISATION = Category.EVALUATION, Category.LENGTH, Category.REGULARISATION

KNOBS = (
    Knob(ARCHITECTURE, "exclusive self-attention (XSA)", "XSA_LAST_N XSA_LAYERS", "last layers=XSA_LAST_N,layers=XSA_LAYERS"),
    Knob(ARCHITECTURE, "depth recurrence", "NUM_LOOPS", "loops=NUM_LOOPS,first layer=LOOP_START,last layer=LOOP_END,from=ENABLE_LOOPING_AT"),
    Knob(ARCHITECTURE, "depth recurrence", "RECUR_LAYERS", "layers=RECUR_LAYERS,from step=RECUR_START_STEP"),
    Knob(ARCHITECTURE, "depth recurrence", "RECURRENCE_STEPS RECURRENT_STEPS", "steps=RECURRENCE_STEPS|RECURRENT_STEPS"),
    Knob(ARCHITECTURE, "shared layers", "NUM_UNIQUE_LAYERS NUM_UNIQUE_BLOCKS NUM_SHARED_BLOCKS", "unique=NUM_UNIQUE_LAYERS|NUM_UNIQUE_BLOCKS,shared=NUM_SHARED_BLOCKS"),
    Knob(ARCHITECTURE, "parallel residuals", "PARALLEL_START_LAYER PARALLEL_RESIDUAL_START", "from layer=PARALLEL_START_LAYER|PARALLEL_RESIDUAL_START,final=PARALLEL_FINAL_LANE"),
    Knob(ARCHITECTURE, "value embeddings", "VE_ENABLED", "width=VE_DIM,layers=VE_LAYERS"),
    Knob(ARCHITECTURE, "value residual", "VALUE_RESIDUAL VRL_ENABLED"),
    Knob(ARCHITECTURE, "gated attention", "GATED_ATTENTION GATED_ATTN GATED_ATTN_ENABLED"),
    Knob(ARCHITECTURE, "attention output gate", "ATTN_OUT_GATE_ENABLED", "source=ATTN_OUT_GATE_SRC"),
    Knob(ARCHITECTURE, "sparse attention gate", "SPARSE_ATTN_GATE_ENABLED", "scale=SPARSE_ATTN_GATE_SCALE"),
    Knob(ARCHITECTURE, "skip gates", "SKIP_GATES_ENABLED"),
    Knob(ARCHITECTURE, "norm scaled by depth", "LN_SCALE"),
    Knob(ARCHITECTURE, "QK gain", "QK_GAIN_INIT", "initial=QK_GAIN_INIT"),
    Knob(ARCHITECTURE, "SmearGate", "SMEAR_GATE SMEAR_GATE_ENABLED USE_SMEARGATE", "window=GATE_WINDOW"),
    Knob(ARCHITECTURE, "bigram hash embedding", "BIGRAM_VOCAB_SIZE BIGRAM_BUCKETS BIGRAM_HASH", "buckets=BIGRAM_VOCAB_SIZE|BIGRAM_BUCKETS,width=BIGRAM_DIM|BIGRAM_EMBED_DIM"),
    Knob(ARCHITECTURE, "trigram hash embedding", "TRIGRAM TRIGRAM_VOCAB_SIZE", "buckets=TRIGRAM_VOCAB_SIZE,width=TRIGRAM_DIM"),
    Knob(ARCHITECTURE, "multi-token prediction", "MTP_NUM_HEADS", "heads=MTP_NUM_HEADS,loss weight=MTP_LOSS_WEIGHT"),
    Knob(ARCHITECTURE, "mixture of experts", "MOE_NUM_EXPERTS", "experts=MOE_NUM_EXPERTS"),
    Knob(ARCHITECTURE, "Canon layers", "CANON_LAST_N", "last layers=CANON_LAST_N,kernel=CANON_KERNEL"),
    Knob(ARCHITECTURE, "YaRN", "ROPE_YARN"),
    Knob(AVERAGING, "SWA", "SWA_ENABLED SWA_EVERY", "every=SWA_EVERY,start=SWA_START_FRAC"),
    Knob(AVERAGING, "LAWA", "LAWA_ENABLED", "every=LAWA_FREQ,window=LAWA_K"),
    Knob(AVERAGING, "EMA", "EMA_ENABLED USE_EMA EMA_DECAY", "decay=EMA_DECAY,every=EMA_EVERY,start=EMA_START_FRAC"),
    Knob(AVERAGING, "Polyak averaging", "USE_POLYAK POLYAK_DECAY", "decay=POLYAK_DECAY"),
    Knob(SCHEDULE, "warm-up", "WARMUP_STEPS LR_WARMUP_STEPS", "steps=LR_WARMUP_STEPS|WARMUP_STEPS"),
    Knob(SCHEDULE, "warm-down", "WARMDOWN_ITERS WARMDOWN_FRAC", "steps=WARMDOWN_ITERS,fraction=WARMDOWN_FRAC"),
    Knob(SCHEDULE, "floor of the learning rate", "MIN_LR", "fraction=MIN_LR"),
    Knob(SCHEDULE, "momentum warm-up", "MUON_MOMENTUM_WARMUP_STEPS", "steps=MUON_MOMENTUM_WARMUP_STEPS,start=MUON_MOMENTUM_WARMUP_START"),
    Knob(QUANTISATION, "QAT", "QAT_ENABLED USE_QAT QAT", "from=QAT_START_FRAC|QAT_START_FRACTION|QAT_THRESHOLD|LATE_QAT_THRESHOLD"),
    Knob(QUANTISATION, "late QAT", "LATE_QAT LATE_QAT_THRESHOLD", "threshold=LATE_QAT_THRESHOLD"),
    Knob(QUANTISATION, "low-rank correction (LQER)", "LQER_ENABLED", "rank=LQER_RANK,tensors=LQER_TOP_K,bits=LQER_FACTOR_BITS"),
    Knob(QUANTISATION, "AWQ-lite", "AWQ_LITE_ENABLED", "bits=AWQ_LITE_BITS,group=AWQ_LITE_GROUP_SIZE"),
    Knob(QUANTISATION, "pruning", "PRUNE_PCT", "percent=PRUNE_PCT"),
    Knob(TEST_TIME, "test-time training", "TTT_ENABLED"),
    Knob(TEST_TIME, "LoRA TTT", "TTT_LORA_RANK", "rank=TTT_LORA_RANK,learning rate=TTT_LORA_LR,chunk=TTT_CHUNK_SIZE,alpha=TTT_LORA_ALPHA"),
    Knob(TEST_TIME, "phased TTT", "PHASED_TTT_NUM_PHASES PHASED_TTT_ENABLED", "phases=PHASED_TTT_NUM_PHASES,prefix documents=PHASED_TTT_PREFIX_DOCS"),
    Knob(TEST_TIME, "pre-quantisation TTT", "PREQUANT_TTT_ENABLED", "epochs=PREQUANT_TTT_EPOCHS,learning rate=PREQUANT_TTT_LR"),
    Knob(TEST_TIME, "SLOT", "SLOT_ENABLED", "steps=SLOT_STEPS,learning rate=SLOT_LR"),
    Knob(EVALUATION, "n-gram mixing", "NGRAM_CACHE NGRAM_ENABLED NGRAM_EVAL NGRAM_TILT_ENABLED", "order=NGRAM_ORDER|NGRAM_MAX_ORDER,buckets=NGRAM_BUCKETS|NGRAM_EVAL_BUCKETS,weight=NGRAM_ALPHA"),
    Knob(LENGTH, "training length", "TRAIN_SEQ_LEN", "tokens=TRAIN_SEQ_LEN"),
    Knob(LENGTH, "evaluation length", "EVAL_SEQ_LEN", "tokens=EVAL_SEQ_LEN"),
    Knob(LENGTH, "test-time training length", "TTT_EVAL_SEQ_LEN", "tokens=TTT_EVAL_SEQ_LEN"),
    Knob(LENGTH, "training length", "CONTEXT BLOCK_SIZE SEQ_LEN CONTEXT_LENGTH", "tokens=SEQ_LEN|CONTEXT_LENGTH|BLOCK_SIZE|CONTEXT"),
    Knob(REGULARISATION, "weight decay", "WEIGHT_DECAY", "all=WEIGHT_DECAY"),
    Knob(REGULARISATION, "weight decay", "MUON_WD MUON_WEIGHT_DECAY", "matrices=MUON_WD|MUON_WEIGHT_DECAY"),
    Knob(REGULARISATION, "weight decay", "ADAM_WD ADAM_WEIGHT_DECAY", "Adam=ADAM_WD|ADAM_WEIGHT_DECAY"),
    Knob(REGULARISATION, "weight decay", "EMBED_WD", "embeddings=EMBED_WD"),
    Knob(REGULARISATION, "gradient clipping", "GRAD_CLIP_NORM", "norm=GRAD_CLIP_NORM"),
    Knob(OTHER, "batch", "TRAIN_BATCH_TOKENS", "tokens per step=TRAIN_BATCH_TOKENS"),
    Knob(OTHER, "time limit of its own", "MAX_WALLCLOCK_SECONDS MAX_SECONDS", "seconds=MAX_WALLCLOCK_SECONDS|MAX_SECONDS"),
    Knob(OTHER, "case operations in the tokenizer", "CASEOPS_ENABLED"),
)  # fmt: skip


def facts(program: Program, settings: Settings) -> Iterator[Fact]:
    """Every technique that the script has a setting for."""
    for knob in KNOBS:
        switches = [setting for name in knob.switches.split() if (setting := settings.get(name))]
        if switches:
            yield Fact(
                knob.category,
                knob.name,
                switches[0].place,
                parameters(settings, knob.parameters),
                next(filter(None, (dormant(program, settings, setting) for setting in switches)), ""),
            )


def dormant(program: Program, settings: Settings, setting: Setting) -> str:
    """What keeps a setting's technique from running: its own value, or that no code looks at it."""
    value = number(setting)
    if setting.is_off or (value is not None and value < 0):
        return str(setting)
    layers = number(settings.get("NUM_LAYERS")) if setting.name in FIRST_LAYERS else None
    if layers is not None and value is not None and value >= layers:
        return f"{setting}; the network has {layers:g} layers"
    unread = setting.bound and not setting.bound & program.read
    return f"{setting.name} is set, but {UNREAD}" if unread else ""


def parameters(settings: Settings, wanted: str) -> tuple[Parameter, ...]:
    """The values of ``label=NAME|OTHER`` pairs that the script has settings for."""
    found: list[Parameter] = []
    for pair in filter(None, wanted.split(",")):
        label, _, names = pair.partition("=")
        if setting := settings.get(*names.split("|")):
            found.append(Parameter(label, setting.value, setting.source))
    return tuple(found)


def number(setting: Setting | None) -> float | None:
    """The number that a setting holds."""
    try:
        return float(setting.value) if setting is not None else None
    except ValueError:
        return None
