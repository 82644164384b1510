"""What `Spool` can be asked for."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
import numpy.typing as npt

from .frame_checks import as_frame
from .hdf5_file import codec
from .writer_process.client import OnFull


def check_options(
    shape: Sequence[int] | None,
    dtype: npt.DTypeLike | None,
    on_full: str,
    timeout_s: float,
    grow_frames: int,
    compression: str | None,
    sync_interval_s: float,
) -> None:
    """Refuse options that make no sense, before anything is made of them."""
    if (shape is None) != (dtype is None):
        raise ValueError(f"shape and dtype go together, not shape={shape} with dtype={dtype}")
    if shape is not None:
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(f"shape is (Y, X), two positive numbers, not {shape}")
        as_frame(np.empty((1, 1), dtype))
    if on_full not in get_args(OnFull):
        raise ValueError(f"on_full is one of {get_args(OnFull)}, not {on_full!r}")
    if not timeout_s > 0:
        raise ValueError(f"timeout_s is a positive number of seconds, not {timeout_s}")
    if not sync_interval_s >= 0:
        raise ValueError(f"sync_interval_s is a number of seconds, 0 or more, not {sync_interval_s}")
    if compression is not None:
        codec.require(compression)
    if grow_frames < 1:
        raise ValueError(f"grow_frames is at least 1, not {grow_frames}")
