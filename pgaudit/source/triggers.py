"""Whether a text may run other text: a cheap look that spares ordinary scripts the constant evaluator."""

from __future__ import annotations

import re

_WORDS = (
    *("run_path", "run_module", "exec_module", "load_module", "SourceFileLoader", "execv", "execl"),
    *("builtins", "__import__", "marshal", "FunctionType", "CodeType"),
)
_CALLS = (re.compile(r"exec(?<![.\w]exec)\b"), re.compile(r"eval\((?<![.\w]eval\()"))
"""The bare names, not methods; the lookbehind comes second because a pattern that starts with a literal is ten times faster."""

_SHORT = 4_000
"""Characters; a script this short cannot train a model, so what it does lies elsewhere."""
_LONG_LINE = 4_000
"""Characters; lines this long are payloads, or minified code."""


def may_run_text(text: str) -> bool:
    """Whether the text names a way to run text, is a stub, or carries something like a payload."""
    if len(text) < _SHORT or max(map(len, text.split("\n"))) > _LONG_LINE:
        return True
    return any(word in text for word in _WORDS) or any(call.search(text) for call in _CALLS)
