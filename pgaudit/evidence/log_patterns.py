"""What scripts of the challenge print, as patterns over one line of a log."""

from __future__ import annotations

import re

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_BYTES = r"(?:\d{1,3}(?:[,_]\d{3}){1,4}|\d{1,15})"
_COUNT = rf"({_BYTES})"
_WHOLE = r"(\d{1,15})"
"""No run counts further, and Python refuses to read numbers of thousands of digits."""
_UNIT = r"(?:ms|seconds|secs?|s|minutes|mins?|m|hours|hrs?|h)(?![A-Za-z])"
_DURATION = rf"{_NUMBER}\s*{_UNIT}(?:\s*{_NUMBER}\s*{_UNIT})*"

TIME_STAMP = re.compile(r"^\[?(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|\d{9,10}\.\d+)\]?\s")

METRIC = re.compile(
    rf"\b(\w*bpb|\w*bits_per_byte|\w*loss|vl)\b"
    rf"(?:(?:\s*\([^()]{{0,40}}\))?\s*[:=]\s*|(?<=\bval_bpb)\s+(?=\d+\.\d{{3}})|(?<=\bval_loss)\s+(?=\d+\.\d{{3}}))"
    rf"({_NUMBER})(?![\w.])",
    re.IGNORECASE,
)
"""The name and the number of a loss or a score; keys of JSON are results that were put together, not a line of the run."""
STEP = re.compile(
    rf"(?:\bstep\s*[:= ]\s*|^\s*(?:s\s*:\s*)?){_WHOLE}\s*/\s*(?:\d+)\b|^\W*step\s+{_WHOLE}\s*\|",
    re.IGNORECASE,
)
TRAINING = re.compile(
    rf"(?<!\d){_WHOLE}\s*/\s*{_WHOLE}\b.{{0,120}}?\b(?:train_loss|tl)\s*[:=]\s*({_NUMBER})"
    rf"(?:.{{0,200}}?\b(?:train_time|tt)\s*[:=]\s*({_DURATION}|{_NUMBER}))?"
)
ELAPSED = re.compile(rf"\belapsed\s*[:=]\s*({_DURATION}|{_NUMBER})")
"""The time of a training line that has no other."""
PARTIAL = re.compile(
    r"running|progress|\[\s*\d+\s*/\s*\d+\s*\]|\d\s*%|\b(?:chunk|batch|docs?|doc|pass)\W?\s*=?\d+/\d+", re.IGNORECASE
)

TIMING = re.compile(
    rf"\b(\w*(?:[Tt]ime(?:_m?s|_sec(?:ond)?s?)?|elapsed(?:_m?s)?|seconds|_ms)|tt)[\"']?\s*[:=]\s*({_DURATION}|{_NUMBER})(?![\w.])"
)
TRAINED = re.compile(
    r"(?i:\btrain(?:ing)?(?:[ _](?:time|loop|completed?|done|finished))+\s*(?:\([^()]{0,40}\)\s*)?(?:[:=]\s*|\bin\s+)(?:\d+ steps(?:,| in)\s*)?"
    r"|\btraining\s*:\s*\d+ steps,\s*|\bwall-?clock training\s*:\s*)"
    rf"({_DURATION})(?![\w.])"
)
"""A sentence with the training time: ``Training complete in 600s``, ``Training done: 10000 steps, 101156.6s``."""
TRAIN_TIMES = frozenset({"train_time", "training_time", "total_train_time", "train", "training", "tt"})
"""Names of the training time, without the unit that may end them."""
BUDGET = re.compile(r"budget|limit|max|timeout|reserve", re.IGNORECASE)
"""In the name of a duration: one that is allowed, not one that was measured."""
UNIT_SUFFIX = re.compile(r"_(ms|s|sec|secs|second|seconds)$")
PIECE = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)")
"""A number of a duration, and its unit."""
STOP = re.compile(
    r"\bstopp(?:ing|ed)[_ ]early\b|\bwall-?clock[_ ](?:limit )?(?:reached|limited|cap hit)|\btime limit reached"
    r"|\bstopping due to time limit|^stop tt:",
    re.IGNORECASE,
)
STEP_CAP = re.compile(r"max_steps|step_cap|iterations", re.IGNORECASE)

TOTALS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"^.*?(?:total[ _](?:\w+[ _])?submission|total_artifact_bytes|total artifact size|final_submission_bytes)[^:=]{{0,80}}[:=]\s*(?P<total>{_BYTES})\s*(?:bytes|B)?(?![\w.])",
        rf"^(?!raw ).*?\bcode(?:_bytes)?\s*[:=]\s*(?P<code>{_BYTES})\b.{{0,80}}?\btotal\s*[:=]\s*(?P<total>{_BYTES})\b",
        rf"\+\s*(?P<code>{_BYTES})\s*(?:bytes|B) code\s*=\s*(?P<total>{_BYTES})\s*(?:bytes|B)\b",
        rf"\bartifact\s*:\s*(?P<total>{_BYTES})\s*(?:bytes|B) \(model:\s*\d+\s+code:\s*(?P<code>{_BYTES})\)",
        rf"\d\s*(?:bytes|B),?\s+total\s*[:=]\s*(?P<total>{_BYTES})\s*(?:bytes|B)\b",
        rf"^(?:total|budget)\s*:\s*(?P<total>{_BYTES})(?:\s*B$|/\d)",
        rf"\b(?:bytes_total|artifact_total_bytes|\w*submission_total_bytes|estimated_total|estimated_payload_bytes|total_estimated_bytes)\b[\"']?\s*[:=\s]\s*(?P<total>{_BYTES})(?![\w.])",
    )
)
"""Code and compressed model together."""
TOTAL_BYTES = re.compile(rf"\btotal_bytes\b[\"']?\s*[:=]\s*(?P<total>{_BYTES})(?![\w.])")
"""The same under a name that also stands for the bytes of a text: meant where the log has a code size."""
CODE = re.compile(
    rf"\b(?:code[ _](?:size|bytes)[^:=]{{0,40}}|bytes_code[\"']?\s*)[:=]\s*{_COUNT}|\bcode\s*:\s*(\d{{4,}})(?:\s*(?:bytes|B)\b|$)",
    re.IGNORECASE,
)
MODEL = re.compile(
    rf"\b(serialized[ _]\w[^:=]{{0,80}}|quantized model[^:=]{{0,80}})[:=]\s*{_COUNT}\s*(?:bytes|B)", re.IGNORECASE
)

VAL_TOKENS = re.compile(
    rf"\b(?:val(?:idation)?[_ ]tokens|eval_tokens|N_tokens|scored_tokens|val(?:_loader\S*)?:(?:(?!loss|bpb).){{0,400}}?\btokens)\b\s*[:=]\s*{_COUNT}(?!\w)",
    re.IGNORECASE,
)
COUNTED = re.compile(r"\btokens\s*[:=]\s*(\d{6,15})\b.{0,80}?bytes\s*[:=]\s*(\d{6,15})\b", re.IGNORECASE)
SEED = re.compile(rf"\bseed[\"']?\s*[:=]\s*{_WHOLE}\b", re.IGNORECASE)
SHARDS = re.compile(rf"\b(?:train_shards|train:\S+ shards)\s*[:=]\s*{_WHOLE}(?!\d)")
TRAIN_PATH = re.compile(
    r"\btrain(?:ing)?_(?:files|path|pattern)\s*[:=]\s*(\S+)|\btrain_loader\b(?:(?!val).){0,60}?\b(?:pattern|files|path)\s*[:=]\s*(\S+)",
    re.IGNORECASE,
)
WORLD = re.compile(rf"\bworld[_ ]size[\"']?\s*[:=]\s*{_WHOLE}(?!\d)", re.IGNORECASE)
GPU = re.compile(r"\bNVIDIA\s+(?:GeForce\s+)?((?:H|A|B|L|RTX|GH|GB)\s?\w+(?:[ -]\w+)*)")
SETTING = re.compile(r"^\s*([A-Za-z_]\w*):\s+(\S.*)$")
PAIR = re.compile(r"([A-Za-z_]\w*)[:=](\S+)")

SOURCE_STARTS = re.compile(r"(?:import [A-Za-z_][\w.]*(?: as \w+)?\s*(?:,.*)?|from [\w.]+ import .+)$")
SOURCE_ENDS = re.compile(
    r"={20,}\s*$|Running (?:Python|PyTorch)|(?:val_bpb:enabled|warmup_step:|step:\d|world_size[:=]|train_loader:|model_params:)"
    r"|[\w ]*\bval_(?:loss|bpb)\s*[:=]\s*\d"
)
PRINTED = re.compile(
    rb"\b(?:val|train)_(?:loss|bpb)\s*[:=]\s*\d|\bbpb\s*[:=]\s*\d|^Traceback \(most", re.IGNORECASE | re.MULTILINE
)
PROSE = re.compile(r"(?:requirements|readme|license|notes|citation|pr_body)", re.IGNORECASE)
