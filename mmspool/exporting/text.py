"""Text that spreadsheets and scripts read."""

import csv
from pathlib import Path

import numpy as np

from ..errors import ExportError
from .job import Job


def write_csv(job: Job, path: Path) -> None:
    """Write a line for each image: its first frame, its time, mean, standard deviation and range of its pixels.

    Columns of the user's own follow, with their values of the first frame.
    """
    names = list(job.recording.columns)
    table = job.recording.frame_table(names)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["frame", "time_s", "mean", "std", "min", "max", *names])
        for first, time_s, image in zip(job.window.first_frames, job.times_s, job.counted(), strict=True):
            mean, std = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
            own = [table[name][first] for name in names]
            lines.writerow([first, repr(float(time_s)), mean, std, image.min(), image.max(), *own])


def write_text(job: Job, path: Path) -> None:
    """Write one image as numbers, a line a row, separated by tabs: what ImageJ calls a text image."""
    if job.window.shape[0] != 1:
        raise ExportError(
            f"a text image holds one image, and {job.window.shape[0]:,} are selected: choose one frame "
            "(--frames 10:11), or a projection (--project mean)"
        )
    if job.window.channels:
        raise ExportError("a text image holds one number a pixel, and these frames are colour: export to .npy or .tiff")
    (image,) = job.counted()
    np.savetxt(path, image, fmt="%.9g" if image.dtype.kind == "f" else "%d", delimiter="\t")
