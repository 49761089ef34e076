"""Where the curve of a re-run parts from that of the submitted log, in words. The log's path is not escaped here."""

from __future__ import annotations

from pgaudit.reproduce.curves import WINDOW, Curve, Overlay, Parting


def in_words(overlay: Overlay, rerun: Curve) -> str:
    """One or more sentences."""
    if not overlay.log:
        return f"The submission ships no log of seed {overlay.seed} with losses by step."
    if rerun.last_step is None:
        return "The re-run printed no losses by step."
    return " ".join(filter(None, (_training(overlay), _validation(overlay), _ends(overlay, rerun))))


def _training(overlay: Overlay) -> str:
    common = len(overlay.differences)
    if overlay.threshold is None:
        return f"The training losses have {common} steps in common, too few to tell a difference from noise ({WINDOW} are needed)."
    if overlay.train is None:
        most = max(abs(loss) for _, loss in overlay.differences)
        if most == 0:
            return f"The training losses are the same at all {common} common steps."
        return f"The training losses do not part at {common} common steps: {WINDOW} steps together never stay {overlay.threshold:.3f} nats per token apart."
    return _parted("training", overlay.train)


def _validation(overlay: Overlay) -> str:
    return _parted("validation", overlay.validation) if overlay.validation else ""


def _parted(which: str, parting: Parting) -> str:
    apart = f"The {which} losses part at step {parting.step:,}: {parting.rerun:.4f} in the re-run, {parting.log:.4f} in the log"
    if parting.steps == 1:
        return f"{apart}, the last step in common."
    direction = "above" if parting.after > 0 else "below"
    return f"{apart}; from there the re-run is on average {abs(parting.after):.4f} nats per token {direction} the log."


def _ends(overlay: Overlay, rerun: Curve) -> str:
    ours, theirs = rerun.last_step, overlay.submitted.last_step
    return "" if ours == theirs else f"The re-run ends at step {ours:,}, the log at step {theirs:,}."
