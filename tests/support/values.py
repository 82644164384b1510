"""Numbered values of columns and places in a plan: what is read back shows which frame's they are."""

from typing import Any

import numpy as np

COLUMNS = {"z_um": float, "number": int, "even": bool, "channel": "U13"}
"""As a spool is told of them; a text of 13 bytes is stored in 16."""


def values(index: int) -> dict[str, Any]:
    """Return the values of frame ``index``; every fifth has no z."""
    of_frame = {"number": 3 * index, "even": index % 2 == 0, "channel": f"c{index}"}
    return of_frame if index % 5 == 4 else {"z_um": index / 4} | of_frame


def check_values(recording: Any, sure: int | None = None) -> None:
    """Compare every value of a recording whose columns are `COLUMNS`.

    Frames before ``sure``, by default all, must have theirs; later ones may have fills in their place.

    Raises
    ------
    AssertionError
        Some differ; the message has their numbers.
    """
    assert list(recording.columns) == list(COLUMNS)
    frames, table = np.arange(len(recording)), recording.frame_table()
    z_um = np.where(frames % 5 == 4, np.nan, frames / 4)
    expected = {
        "z_um": (z_um, np.isnan(table["z_um"])),
        "number": (3 * frames, table["number"] == -1),
        "even": (frames % 2 == 0, ~table["even"]),
        "channel": (np.char.add("c", frames.astype(str)), table["channel"] == ""),
    }
    for name, (right, is_fill) in expected.items():
        same = np.isnan(right) & is_fill if name == "z_um" else np.zeros(len(frames), bool)
        same |= table[name] == right
        same[len(frames) if sure is None else sure :] |= is_fill[len(frames) if sure is None else sure :]
        wrong = np.flatnonzero(~same)
        assert not len(wrong), f"{name} of frames {wrong[:5]} of {len(frames)} is {table[name][wrong[:5]]}"


def check_places(recording: Any, sure: int | None = None) -> None:
    """Compare the place of every frame of a recording with a plan: what was lost before it has left its own empty.

    Frames before ``sure``, by default all, must have theirs; later ones may be in no place, but in no other one's.

    Raises
    ------
    AssertionError
        Some are elsewhere; the message has their numbers.
    """
    table, aligned = recording.frame_table(), recording.aligned()
    if recording.plan is None:
        assert "expected" not in table.dtype.names
        return
    places, right = table["expected"], table["sequence_number"]
    sure = len(recording) if sure is None else sure
    wrong = np.flatnonzero((places != right) & ((np.arange(len(places)) < sure) | (places >= 0)))
    assert not len(wrong), f"frames {wrong[:5]} of {len(places)} are in the places {places[wrong[:5]]}"
    planned = np.flatnonzero(places >= 0)
    assert np.array_equal(aligned.frames.ravel()[places[planned]], planned)
    assert np.array_equal(aligned.unplanned, np.flatnonzero(places < 0))
