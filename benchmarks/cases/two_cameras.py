"""Two cameras at an sCMOS camera's rate, through real cores of Micro-Manager, beside one: nothing may be lost."""

from collections.abc import Sequence

from peers import NotAvailableError

import mmspool
from mmspool import Camera, RecordResult

from .base import Case, Record, Setting, Target, column, ratio
from .real_core import CORE_BUFFER_MB, SCMOS_EXPOSURE_MS, SIDE, demo

FRAMES, QUICK_FRAMES = 500, 20
LABELS = ("Left", "Right")
ONE, CORES, MULTI = "one camera", "a core for each", "Multi Camera"

_CONFIG = """
Device,Left,DemoCamera,DCam
Device,Right,DemoCamera,DCam
Device,Both,Utilities,Multi Camera
Property,Core,Initialize,1
Property,Both,Physical Camera 1,Left
Property,Both,Physical Camera 2,Right
Property,Core,Camera,Both
"""


def one(setting: Setting) -> Record:
    """Record one camera."""
    with _demo() as camera:
        return _told([camera.record(setting.folder / "run.h5", frames=_count(setting))])


def a_core_for_each(setting: Setting) -> Record:
    """Record two cameras at the same time, each with a core of its own."""
    with _demo() as left, _demo() as right:
        cameras = dict(zip(LABELS, (left, right), strict=True))
        result = mmspool.record_cameras(setting.folder / "run.h5", cameras, frames=_count(setting))
    return _told(list(result.results.values()))


def multi_camera(setting: Setting) -> Record:
    """Record the two cameras of one core that Micro-Manager's Multi Camera combines."""
    try:
        import mm_test_adapters
    except ImportError as exc:
        raise NotAvailableError(f"{exc}: pip install 'mmspool[demo]'") from exc
    config = setting.folder / "two_cameras.cfg"
    config.write_text(_CONFIG)
    folder = mm_test_adapters.device_adapter_path()
    with Camera.headless(folder, config, backend="python", buffer_mb=CORE_BUFFER_MB) as camera:
        for label in LABELS:
            for name, value in {"PixelType": "16bit", "OnCameraCCDXSize": SIDE, "OnCameraCCDYSize": SIDE}.items():
                camera.core.set_property(label, name, str(value))
            camera.core.set_property(label, "FastImage", "1")
        camera.exposure_ms = SCMOS_EXPOSURE_MS
        result = mmspool.record_cameras(setting.folder / "run.h5", camera, frames=_count(setting))
    return _told(list(result.results.values()))


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def _demo() -> Camera:
    """Return a camera that gives one picture over and over, 100 times a second."""
    camera = demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB)
    camera.properties["FastImage"] = "1"
    camera.exposure_ms = SCMOS_EXPOSURE_MS
    return camera


def _told(results: Sequence[RecordResult]) -> Record:
    rates = [result.frames_written / result.duration_s for result in results]
    return {
        "frames/s": sum(rates),
        "slowest": min(rates),
        "frames lost": sum((result.frames_requested or 0) - result.frames_written for result in results),
        "MB/s": sum(result.mb_per_s for result in results),
        "ring": max(result.stats.spool.ring_peak / result.stats.spool.ring_frames for result in results) * 100,
        "core buffer": max(result.stats.core_peak / result.stats.core_capacity for result in results) * 100,
    }


CASE = Case(
    name="two-cameras",
    about="500 frames of 2048x2048 uint16 of each of two DemoCameras at 100 frames/s, which give one picture over and "
    "over: through a core for each, and through one core with Micro-Manager's Multi Camera, beside one camera alone. "
    "Frames/s are from the start to the last frame, MB/s from making the file to closing it, both summed over the "
    "cameras; `slowest` is the slower camera's.",
    ways={ONE: one, CORES: a_core_for_each, MULTI: multi_camera},
    disk_bytes=lambda setting: 2 * _count(setting) * SIDE * SIDE * 2,
    figures=(
        *(column(way, "frames lost", "frames", target=Target(at_most=0)) for way in (CORES, MULTI)),
        *(
            ratio(way, ONE, "frames/s", name=f"{way}: both / one", target=Target(at_least=1.0))
            for way in (CORES, MULTI)
        ),
    ),
    columns={
        "frames/s": "frames/s",
        "slowest": "frames/s",
        "frames lost": "frames",
        "MB/s": "MB/s",
        "ring": "% full",
        "core buffer": "% full",
    },
)
