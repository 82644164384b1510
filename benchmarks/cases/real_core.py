"""A real Micro-Manager core with DemoCamera, through the driver: nothing may be lost."""

from typing import Any

from peers import NotAvailableError

from mmspool import Camera, ConnectError, RecordResult

from .base import Case, Figure, Record, Setting, Target, column

SIDE = 2048
FRAMES, QUICK_FRAMES = 500, 20
CORE_BUFFER_MB = 1024
SCMOS_EXPOSURE_MS = 10.0  # 100 frames/s, the full rate of a 4-megapixel sCMOS camera
COLUMNS = {"frames lost": "frames", "frames/s": "frames/s", "MB/s": "MB/s", "ring": "% full", "core buffer": "% full"}


def demo(**options: Any) -> Camera:
    """Return the demonstration camera, or say that it is not installed."""
    try:
        return Camera.demo(**options)
    except ConnectError as exc:
        raise NotAvailableError(f"{exc}") from exc


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def own_pace(setting: Setting) -> Record:
    """Record moving pictures, which the camera computes as fast as it can."""
    with demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB) as camera:
        camera.exposure_ms = 1
        return _told(camera.record(setting.folder / "run.h5", frames=_count(setting) // 2))


def scmos_rate(setting: Setting) -> Record:
    """Record one picture over and over, which comes at the full rate of an sCMOS camera."""
    with demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB) as camera:
        camera.properties["FastImage"] = "1"
        camera.exposure_ms = SCMOS_EXPOSURE_MS
        return _told(camera.record(setting.folder / "run.h5", frames=_count(setting)))


def fastest(setting: Setting) -> Record:
    """Record one picture over and over, as fast as the camera gives it."""
    with demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB) as camera:
        camera.properties["FastImage"] = "1"
        camera.exposure_ms = 1
        return _told(camera.record(setting.folder / "run.h5", frames=_count(setting)))


def _told(result: RecordResult) -> Record:
    stats = result.stats
    return {
        "frames lost": (stats.frames_requested or 0) - result.frames_written,
        "frames/s": result.frames_written / result.duration_s,
        "MB/s": result.mb_per_s,
        "ring": stats.spool.ring_peak / stats.spool.ring_frames * 100,
        "core buffer": stats.core_peak / stats.core_capacity * 100,
    }


def _lost(way: str) -> Figure:
    return column(way, "frames lost", "frames", target=Target(at_most=0))


CASE = Case(
    name="real-core",
    about="Frames of 2048x2048 from Micro-Manager's DemoCamera through its real core: moving pictures at the camera's "
    "own pace, one picture at 100 frames/s, and the same as fast as it comes, which may be more than the disk takes: "
    "the core overflows where neither the ring nor its own buffer holds the rest.",
    ways={"own pace": own_pace, "sCMOS rate": scmos_rate, "fastest": fastest},
    disk_bytes=lambda setting: _count(setting) * SIDE * SIDE * 2,
    figures=(_lost("own pace"), _lost("sCMOS rate"), column("fastest", "frames/s", "frames/s")),
    columns=COLUMNS,
)
