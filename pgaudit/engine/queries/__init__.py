"""Questions about a walk. Rules are made of these; each answer names the events that a trace needs."""

from pgaudit.engine.queries.choices import (
    Choice,
    Gate,
    Marked,
    UnscoredPart,
    choices,
    decided_at,
    marked_targets,
    paid_for,
    spread_scores,
    target_gates,
    unscored_parts,
)
from pgaudit.engine.queries.coverage import capped
from pgaudit.engine.queries.order import (
    Order,
    StateBeforeScore,
    calibrated_on_training,
    kept_weights,
    order_of,
    state_before_score,
    updates_behind,
)
from pgaudit.engine.queries.reports import (
    Reported,
    prints,
    reported,
    says_something,
    scored_origins,
    scores_of,
    values_in,
)
from pgaudit.engine.queries.slices import Overlap, share_loop, sure_origin
from pgaudit.engine.queries.tables import Rescored, TargetInKey, lookups_behind, pair_lookups, rescored, target_in_key

__all__ = [
    "Choice",
    "Gate",
    "Marked",
    "Order",
    "Overlap",
    "Reported",
    "Rescored",
    "StateBeforeScore",
    "TargetInKey",
    "UnscoredPart",
    "calibrated_on_training",
    "capped",
    "choices",
    "decided_at",
    "kept_weights",
    "lookups_behind",
    "marked_targets",
    "order_of",
    "paid_for",
    "pair_lookups",
    "prints",
    "reported",
    "rescored",
    "says_something",
    "scored_origins",
    "scores_of",
    "share_loop",
    "spread_scores",
    "state_before_score",
    "sure_origin",
    "target_gates",
    "target_in_key",
    "unscored_parts",
    "updates_behind",
    "values_in",
]
