"""A real Micro-Manager core with DemoCamera, through the driver: nothing may be lost."""

from pathlib import Path

from mmspool import Camera, RecordResult

from .base import Case, Figure, Record, Target, column

SIDE = 2048
FRAMES, QUICK_FRAMES = 1000, 100
CORE_BUFFER_MB = 1024
SCMOS_EXPOSURE_MS = 10.0  # 100 frames/s, the full rate of a 4-megapixel sCMOS camera


def _count(quick: bool) -> int:
    return QUICK_FRAMES if quick else FRAMES


def own_pace(folder: Path, quick: bool) -> Record:
    """Record moving pictures, which the camera computes as fast as it can."""
    with Camera.demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB) as camera:
        camera.exposure_ms = 1
        return _told(camera.record(folder / "run.h5", frames=_count(quick)))


def scmos_rate(folder: Path, quick: bool) -> Record:
    """Record one picture over and over, which comes at the full rate of an sCMOS camera."""
    with Camera.demo(width=SIDE, height=SIDE, buffer_mb=CORE_BUFFER_MB) as camera:
        camera.properties["FastImage"] = "1"
        camera.exposure_ms = SCMOS_EXPOSURE_MS
        return _told(camera.record(folder / "run.h5", frames=_count(quick)))


def _told(result: RecordResult) -> Record:
    stats = result.stats
    return {
        "frames lost": result.frames_lost + (stats.frames_requested or 0) - result.frames,
        "frames/s": result.frames / result.duration_s,
        "MB/s": result.mb_per_s,
        "ring at most": stats.spool.ring_peak / stats.spool.ring_frames * 100,
        "core buffer at most": stats.core_peak / stats.core_capacity * 100,
    }


def _figures(way: str) -> tuple[Figure, ...]:
    return (
        column(way, "frames lost", "frames", target=Target(at_most=0)),
        column(way, "frames/s", "frames/s"),
        column(way, "MB/s", "MB/s"),
        column(way, "ring at most", "% full"),
        column(way, "core buffer at most", "% full"),
    )


CASE = Case(
    name="real-core",
    ways={"own pace": own_pace, "sCMOS rate": scmos_rate},
    disk_bytes=lambda quick: _count(quick) * SIDE * SIDE * 2,
    figures=(*_figures("own pace"), *_figures("sCMOS rate")),
)
