"""Frames from a core in a Java process: over the ZMQ bridge, and through shared memory."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from peers import NotAvailableError

from mmspool import Camera
from mmspool.adapters import JavaBridgeAdapter, connect

from .base import Case, Figure, Record, Setting, Target, column, ratio

sys.path.append(str(Path(__file__).parents[2] / "tests"))
from support.java_server import JSON_JAR, JavaServer, MissingJavaError, compile_stubs, shells, system_java

BRIDGE, PUMP = "bridge", "shared memory"
FRAMES = {2048: 1500, 512: 10_000, 64: 10_000}  # Java compiles during the first hundreds: a recording is longer
QUICK_FRAMES = 30
WARM_UP_FRAMES = 5000  # of 64x64: Java's compilers are busy with both ways for about half of them
HEAP = "-Xmx2000m"  # as Micro-Manager has on Windows
SCMOS_SIDE, SCMOS_EXPOSURE_MS = 2048, 10.0  # 100 frames/s, the full rate of a 4-megapixel sCMOS camera
SCMOS_BUFFER_MB = 1024
DRAINED_BUFFER_MB = 20_000  # for the whole sequence; the stub core's holds the numbers of the frames only
MINUTE_FRAMES, RECORDED_FRAMES, QUICK_SCMOS_FRAMES = 6000, 1000, 50


@contextmanager
def _core(setting: Setting, side: int, *, frame_pump: bool, buffer_mb: int) -> Iterator[JavaBridgeAdapter]:
    """Start Java with the stub core of the tests, and connect to it as a user does."""
    try:
        jars = [compile_stubs(setting.folder), JSON_JAR, *list(shells().values())[-1:]]
        java = system_java()
    except MissingJavaError as exc:
        raise NotAvailableError(f"{exc}") from exc
    with (
        closing(JavaServer.start(java, jars, HEAP)) as server,
        closing(connect(server.port, frame_pump=frame_pump)) as adapter,
    ):
        assert isinstance(adapter, JavaBridgeAdapter)
        adapter._core.set_sensor(side, side)
        adapter.set_buffer_mb(buffer_mb)
        yield adapter


def drain(setting: Setting, *, side: int, frame_pump: bool) -> Record:
    """Take frames that are ready in the core, and copy each once, as `Spool.put` does."""
    count = QUICK_FRAMES if setting.quick else FRAMES[side]
    with _core(setting, side, frame_pump=frame_pump, buffer_mb=DRAINED_BUFFER_MB) as adapter:
        adapter.set_exposure_ms(0.0)
        if not setting.quick:
            adapter._core.set_sensor(64, 64)
            _take(adapter, WARM_UP_FRAMES, np.ones((64, 64), np.uint16))
            adapter._core.set_sensor(side, side)
        copy = np.ones((side, side), np.uint16)
        _take(adapter, count // 3, copy)
        setting.ready()
        seconds = _take(adapter, count, copy)
    return {"frames/s": count / seconds, "MB/s": count * copy.nbytes / 1e6 / seconds}


def _take(adapter: JavaBridgeAdapter, count: int, copy: np.ndarray) -> float:
    """Take a sequence of frames; return the seconds from the camera's start to the last one."""
    adapter.start_sequence(count)
    started = time.perf_counter()
    for number in range(count):
        while (frame := adapter.pop()) is None:
            time.sleep(0.0001)
        assert frame.image_number == number
        copy[:] = frame.pixels
    return time.perf_counter() - started


def minute(setting: Setting) -> Record:
    """Take what a camera at 100 frames/s makes in a minute, and copy each frame once."""
    count = QUICK_SCMOS_FRAMES if setting.quick else MINUTE_FRAMES
    with _core(setting, SCMOS_SIDE, frame_pump=True, buffer_mb=SCMOS_BUFFER_MB) as adapter:
        adapter.set_exposure_ms(SCMOS_EXPOSURE_MS)
        capacity, peak, got = adapter.buffer_capacity(), 0, 0
        copy = np.ones((SCMOS_SIDE, SCMOS_SIDE), np.uint16)
        setting.ready()
        adapter.start_sequence(count)
        started = time.perf_counter()
        while True:
            running, waiting = adapter.is_sequence_running(), adapter.remaining()
            peak = max(peak, waiting)
            if (frame := adapter.pop()) is not None:
                got += 1
                copy[:] = frame.pixels
            elif not running and not waiting:
                break
            else:
                time.sleep(0.0005)
        seconds = time.perf_counter() - started
    return {"frames lost": count - got, "frames/s": got / seconds, "core buffer": peak / capacity * 100}


def recorded(setting: Setting) -> Record:
    """Record what a camera at 100 frames/s makes in ten seconds."""
    count = QUICK_SCMOS_FRAMES if setting.quick else RECORDED_FRAMES
    with _core(setting, SCMOS_SIDE, frame_pump=True, buffer_mb=SCMOS_BUFFER_MB) as adapter:
        camera = Camera(adapter)
        camera.exposure_ms = SCMOS_EXPOSURE_MS
        setting.ready()
        result = camera.record(setting.folder / "run.h5", frames=count)
    return {
        "frames lost": count - result.frames_written,
        "frames/s": result.frames_written / result.duration_s,
        "core buffer": result.stats.core_peak / result.stats.core_capacity * 100,
    }


def _draining(side: int, at_least: float | None) -> Case:
    target = None if at_least is None else Target(at_least=at_least)
    return Case(
        name=f"java-{side}x{side}",
        about=f"Frames of {side}x{side} uint16 that are ready in a core in a Java process, taken from there and copied "
        "once, as a recording does before anything is written. Behind pyjavaz stands the stub core and server of the "
        "tests, in Java: no Micro-Manager was measured.",
        ways={
            BRIDGE: partial(drain, side=side, frame_pump=False),
            PUMP: partial(drain, side=side, frame_pump=True),
        },
        disk_bytes=lambda _setting: 10**6,
        figures=(ratio(PUMP, BRIDGE, "frames/s", target=target),),
        columns={"frames/s": "frames/s", "MB/s": "MB/s"},
    )


def _lost(way: str) -> Figure:
    return column(way, "frames lost", "frames", target=Target(at_most=0))


CASES = (
    _draining(2048, 4.0),
    _draining(512, 6.0),
    _draining(64, None),
    Case(
        name="java-live",
        about="A camera that makes 100 frames/s of 2048x2048 uint16 in the core of a Java process, through shared "
        "memory: a minute of frames taken and copied once, and ten seconds recorded to a file. The stub core and "
        "server of the tests, in Java: no Micro-Manager was measured.",
        ways={"taken for a minute": minute, "recorded for ten seconds": recorded},
        disk_bytes=lambda setting: RECORDED_FRAMES * SCMOS_SIDE**2 * 2 if not setting.quick else 10**9,
        figures=(_lost("taken for a minute"), _lost("recorded for ten seconds")),
        columns={"frames lost": "frames", "frames/s": "frames/s", "core buffer": "% full"},
    ),
)
