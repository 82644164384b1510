"""A script that records a run over one of the roads to a file, while something happens to it.

``python roads.py ROAD FAULT PATH FRAMES``: it prints 50 when the 50th frame has come, then how the recording ended, as
JSON. A fault happens at the 50th frame.
"""

import json
import resource
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mm_test_adapters
import psutil

import mmspool

RING_BYTES = 16 * 10**6
CONFIG = Path(mm_test_adapters.device_adapter_path()) / "MMConfig_demo.cfg"
At = Callable[[int, Any], None]
"""Called with the number of each frame of the run, after it was stored, and with the core."""


def writer() -> psutil.Process:
    """Return the writer process of the only spool."""
    (found,) = (child for child in psutil.Process().children() if "resource_tracker" not in " ".join(child.cmdline()))
    return found


def camera(set_property: Callable[[str, str, str], None]) -> None:
    """Make the demo camera fast and small."""
    for name, value in {"PixelType": "16bit", "OnCameraCCDXSize": 256, "OnCameraCCDYSize": 256, "FastImage": 1}.items():
        set_property("Camera", name, str(value))


def plus_core() -> Any:
    """Return pymmcore-plus' core with the demo camera."""
    from pymmcore_plus import CMMCorePlus

    core = CMMCorePlus(adapter_paths=[str(CONFIG.parent)])
    core.loadSystemConfiguration(str(CONFIG))
    camera(core.setProperty)
    core.setExposure(1.0)
    core.setCircularBufferMemoryFootprint(256)
    return core


def spool_mda(path: str, frames: int, at: At) -> mmspool.SpoolResult | None:
    """Record a run of pymmcore-plus through its engine."""
    import useq

    core = plus_core()
    core.mda.events.frameReady.connect(lambda _image, event: at(event.index["t"], core))
    with mmspool.spool_mda(core, path, buffer_bytes=RING_BYTES) as spooling:
        core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": frames}))
    return spooling.result


def mda_sink(path: str, frames: int, at: At) -> mmspool.SpoolResult | None:
    """Record a run of pymmcore-plus through its signals."""
    import useq

    core = plus_core()
    with mmspool.MDASink(path, buffer_bytes=RING_BYTES).connect(core) as sink:
        core.mda.events.frameReady.connect(lambda _image, event: at(event.index["t"], core))
        core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": frames}), block=True)
    return sink.result


def process_fn(path: str, frames: int, at: At) -> mmspool.SpoolResult | None:
    """Record an acquisition of pycromanager."""
    from pycromanager import Acquisition, Core, multi_d_acquisition_events, start_headless

    start_headless(str(CONFIG.parent), str(CONFIG), python_backend=True, buffer_size_mb=256)
    core = Core()
    camera(core.set_property)
    core.set_exposure(1.0)
    with mmspool.Spool(path, buffer_bytes=RING_BYTES) as spool:

        def store(image: Any, metadata: dict[str, Any]) -> None:
            spool.process_fn(image, metadata)
            at(int(metadata["ImageNumber"]), core)

        with Acquisition(image_process_fn=store) as acquisition:
            acquisition.acquire(spool.process_fn.expect(multi_d_acquisition_events(num_time_points=frames)))
    return spool.result


ROADS = {"spool_mda": spool_mda, "MDASink": mda_sink, "process_fn": process_fn}


def happen(fault: str, path: str, core: Any) -> None:
    """Let the fault happen."""
    if fault == "the writer is killed":
        writer().kill()
    elif fault == "the disk is full":
        writer().rlimit(resource.RLIMIT_FSIZE, (Path(path).stat().st_size + 2**21, -1))
    elif fault == "the disk stalls":
        process = writer()
        process.suspend()
        threading.Thread(target=resume, args=(process, core)).start()


def resume(process: psutil.Process, core: Any) -> None:
    """Resume the writer when the ring is full, so that frames wait in the core."""
    waiting = getattr(core, "getRemainingImageCount", None) or core.get_remaining_image_count
    while waiting() < 20:
        time.sleep(0.01)
    process.resume()


def main(road: str, fault: str, path: str, frames: int) -> None:
    """Record, and print how it ended."""

    def at(number: int, core: Any) -> None:
        if number == 50:
            print(50, flush=True)  # noqa: T201
            happen(fault, path, core)

    ended: dict[str, Any] = {"error": None}
    try:
        result = ROADS[road](path, frames, at)
    except Exception as exc:  # noqa: BLE001 - the test looks at it
        ended["error"] = f"{type(exc).__name__}: {exc}"
    else:
        ended |= {"frames": result.frames_written, "lost": result.frames_lost, "restarts": result.stats.writer_restarts}
    print(json.dumps(ended), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
