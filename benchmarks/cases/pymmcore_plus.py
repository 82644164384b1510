"""Runs of pymmcore-plus with the real core and DemoCamera: recorded by mmspool, and by its own sinks."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from peers import NotAvailableError, sync

import mmspool

from .base import Case, Figure, Record, Setting, Target, Way, column, ratio

SIDE = 2048
FRAMES, QUICK_FRAMES = 500, 20
EXPOSURE_MS = 1.0
COLUMNS = {"frames/s": "frames/s", "from first to last frame": "frames/s", "frames lost": "frames"}


@dataclass(frozen=True)
class Sink:
    """A way to store a run: what is put around it, what it gets as ``output``, and how many frames are there after."""

    around: Callable[[Any, Path], AbstractContextManager[Any]] = lambda _core, _folder: nullcontext()
    output: Callable[[Path], Any] = lambda _folder: None
    stored: Callable[[Path], int] | None = None


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def _core(frames: int) -> Any:
    try:
        import mm_test_adapters  # noqa: F401 - pymmcore-plus finds it
        from pymmcore_plus import CMMCorePlus
    except ImportError as exc:
        raise NotAvailableError(f"{exc}: pip install 'mmspool[demo,plus]'") from exc
    os.environ["PYMM_SIGNALS_BACKEND"] = "psygnal"
    core = CMMCorePlus()
    core.loadSystemConfiguration()
    for name, value in {"PixelType": "16bit", "OnCameraCCDXSize": SIDE, "OnCameraCCDYSize": SIDE}.items():
        core.setProperty("Camera", name, str(value))
    core.snapImage()
    core.setProperty("Camera", "FastImage", "1")  # this picture, over and over, as fast as it can be copied
    core.setExposure(EXPOSURE_MS)
    # The whole sequence fits, so that a slow sink shows in the time and not as an overflow.
    core.setCircularBufferMemoryFootprint(frames * SIDE * SIDE * 2 // 2**20 + 64)
    return core


def _way(sink: Sink) -> Way:
    def measure(setting: Setting) -> Record:
        import useq

        count, failed = _count(setting), list[str]()
        threading.excepthook = lambda args: failed.append(f"{args.exc_value}")
        core = _core(count)
        sequence = useq.MDASequence(time_plan={"interval": 0, "loops": count})
        times: list[float] = []
        core.mda.events.frameReady.connect(lambda: times.append(time.perf_counter()))
        setting.ready()
        started = time.perf_counter()
        with sink.around(core, setting.folder):
            core.run_mda(sequence, output=sink.output(setting.folder), block=True)
        sync(setting.folder)
        elapsed_s = time.perf_counter() - started
        core.unloadAllDevices()
        if failed:
            raise RuntimeError(failed[0])
        lost = count - sink.stored(setting.folder) if sink.stored else 0
        taking = (count - 1) / (times[-1] - times[0])
        return {"frames/s": count / elapsed_s, "from first to last frame": taking, "frames lost": lost}

    return measure


def _in_recording(folder: Path) -> int:
    with mmspool.open(folder / "run.h5") as run:
        return sum(bool(frame.any()) for frame in run)


def _in_zarr(folder: Path) -> int:
    import zarr

    stack = zarr.open_array(folder / "run.ome.zarr" / "0", mode="r")
    return sum(bool(np.any(stack[at])) for at in range(stack.shape[0]))


def _in_tiff(folder: Path) -> int:
    import tifffile

    with tifffile.TiffFile(folder / "run.ome.tiff") as file:
        return sum(bool(page.asarray().any()) for page in file.pages)


SINKS = {
    "nothing stored": Sink(),
    "spool_mda": Sink(around=lambda core, folder: mmspool.spool_mda(core, folder / "run.h5"), stored=_in_recording),
    "MDASink, connected": Sink(
        around=lambda core, folder: mmspool.MDASink(folder / "run.h5").connect(core), stored=_in_recording
    ),
    "OME-Zarr, its default": Sink(output=lambda folder: folder / "run.ome.zarr", stored=_in_zarr),
    "OME-TIFF": Sink(output=lambda folder: folder / "run.ome.tiff", stored=_in_tiff),
}


def _against(other: str) -> Figure:
    return ratio("spool_mda", other, "frames/s", target=Target(at_least=2))


CASE = Case(
    name="pymmcore-plus",
    about="A hardware sequence of 500 frames of 2048x2048 from DemoCamera through pymmcore-plus' own engine, as fast "
    "as it comes, until all is closed and synced: recorded by mmspool, and by pymmcore-plus' own sinks. The core's "
    "buffer holds the whole sequence, so that a slow sink takes longer, and loses nothing.",
    ways={name: _way(sink) for name, sink in SINKS.items()},
    disk_bytes=lambda setting: _count(setting) * SIDE * SIDE * 2,
    figures=(
        column("spool_mda", "frames lost", "frames", target=Target(at_most=0)),
        _against("OME-Zarr, its default"),
        _against("OME-TIFF"),
    ),
    columns=COLUMNS,
)
