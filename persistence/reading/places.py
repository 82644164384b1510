"""Where frames belong among all that should have come: those that were lost leave their places empty."""

import numpy as np
import numpy.typing as npt

from .reader import Recording


def expected_places(recording: Recording) -> npt.NDArray[np.int64]:
    """Return for each frame its place among all that should have come.

    Parameters
    ----------
    recording
        What was recorded.

    Returns
    -------
    numpy.ndarray
        ``(T,)``, rising: a frame's index and the number of frames that were lost before it. For a recording with a
        trigger for each frame this is the number of the trigger, as far as losses could be seen (`docs/cameras.md`).
    """
    return np.asarray(recording.frame_table()["sequence_number"], np.int64)


def frames_by_place(recording: Recording) -> npt.NDArray[np.int64]:
    """Return for each place the index of its frame, -1 where the frame was lost.

    Returns
    -------
    numpy.ndarray
        ``(T + lost,)``. ``recording[frames[frames >= 0]]`` are the frames; ``frames.reshape(cycles, -1)`` has the
        places of a plan of several frames a cycle, each in its column whatever was lost.
    """
    frames = np.full(len(recording) + recording.frames_lost, -1, np.int64)
    frames[expected_places(recording)] = np.arange(len(recording))
    return frames
