"""Lost frames: where they were lost, and the ledger that counts and locates them."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

MAX_LOSSES = 4096
"""Losses located one by one; later ones are added to the last entry, and located by ``sequence_number`` alone."""

LossStage = Literal["camera", "core", "ring", "unknown", "trigger"]
"""Where a frame can be lost: before the core saw it, in the core's buffer, before the ring; nobody knows where; or it
was never exposed, because its trigger did not come."""

STAGES: tuple[LossStage, ...] = get_args(LossStage)
"""By their code in the ring and in the file."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that were lost together.

    ``count`` frames are missing before frame ``before_frame`` of the file (one past the last frame: at the end), lost
    at ``stage``: ``"camera"`` (the core never saw them), ``"core"`` (its buffer), ``"ring"`` (no room to put them),
    ``"unknown"`` (a power cut took that) or ``"trigger"`` (never exposed: their trigger did not come).
    """

    before_frame: int
    count: int
    stage: LossStage


def as_losses(ledger: npt.NDArray[np.int64]) -> tuple[Loss, ...]:
    """Return the entries of a ledger ``(entries, 3)``; one without a stage is none."""
    return tuple(
        Loss(int(before), int(count), STAGES[code]) for before, count, code in ledger if 0 <= code < len(STAGES)
    )


def final_ledger(losses: npt.NDArray[np.int64], frames: int, unwritten: int) -> npt.NDArray[np.int64]:
    """Return the ledger ``(entries, 3)`` of a file that ends after ``frames`` frames, with ``unwritten`` more lost."""
    losses = losses.copy()
    losses[:, 0] = np.minimum(losses[:, 0], frames)
    if unwritten:
        losses = np.vstack([losses, [[frames, unwritten, STAGES.index("ring")]]])
    if len(losses) > MAX_LOSSES:
        losses[MAX_LOSSES - 1, 1] = losses[MAX_LOSSES - 1 :, 1].sum()
    return losses[:MAX_LOSSES]
