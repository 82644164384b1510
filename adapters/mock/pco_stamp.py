"""The stamp that a simulated PCO camera writes into its pixels, as `read_pco_stamp` reads it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..core_adapter import Image

if TYPE_CHECKING:
    from .sequence import Entry

_SWITCHED_ON = datetime(2026, 1, 1, tzinfo=UTC)


def write_pco_stamp(image: Image, entry: "Entry", mode: str) -> None:
    """Write frame number and time into the first 14 pixels, two digits each, if ``Timestampmode`` is a binary one."""
    if not mode.startswith("Binary"):
        return
    time = _SWITCHED_ON + timedelta(seconds=entry.elapsed_s)
    digits = f"{entry.camera_frame_number:08}{time:%Y%m%d%H%M%S%f}"
    numbers = [int(digits[at : at + 2], 16) for at in range(0, len(digits), 2)]
    image[0, : len(numbers)] = numbers[: image.shape[1]]
