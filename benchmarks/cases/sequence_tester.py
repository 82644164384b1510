"""Micro-Manager's SequenceTester flat out: what the popping loop costs a frame, beyond taking it from the core."""

import time

from peers import NotAvailableError

from mmspool import Camera, ConnectError, RunningRecording
from mmspool.adapters import CoreAdapter, sequence_tester

from .base import Case, Figure, Record, Setting, Target, column

SIDE = 64
FRAMES, QUICK_FRAMES = 300_000, 60_000
BUFFER_MB = 2048  # none is lost, however far the loop is behind


def _count(setting: Setting) -> int:
    return QUICK_FRAMES if setting.quick else FRAMES


def _core() -> CoreAdapter:
    try:
        return sequence_tester(width=SIDE, height=SIDE, buffer_mb=BUFFER_MB)
    except ConnectError as exc:
        raise NotAvailableError(f"{exc}") from exc


def pops(setting: Setting) -> Record:
    """Take the frames from the core and do nothing with them; the processor time of this thread a frame."""
    core, count = _core(), _count(setting)
    core.start_sequence(count)
    taken, started, cpu = 0, time.perf_counter(), time.thread_time()
    while taken < count:
        waiting = core.remaining()
        for _ in range(min(waiting, 64)):
            if core.pop() is not None:
                taken += 1
        if not waiting:
            time.sleep(0.0005)
    used, wall = time.thread_time() - cpu, time.perf_counter() - started
    core.stop_sequence()
    core.close()
    return {"frames/s": taken / wall, "thread CPU": used / taken * 1e6}


def record(setting: Setting) -> Record:
    """Record; the processor time of the popping thread a frame, which ``until`` is called from."""
    marks: list[tuple[float, int]] = []
    with Camera(_core()) as camera:
        running: list[RunningRecording] = []

        def mark() -> bool:
            if running:
                marks.append((time.thread_time(), running[0].stats.frames_received))
            return False

        running.append(camera.start_recording(setting.folder / "run.h5", frames=_count(setting), until=mark))
        result = running[0].wait()
        assert result is not None
    (first, taken), (last, all_taken) = marks[0], marks[-1]
    return {
        "frames/s": result.frames_written / result.duration_s,
        "thread CPU": (last - first) / max(1, all_taken - taken) * 1e6,
        "frames lost": _count(setting) - result.frames_written,
        "marks": len(marks),
    }


CASE = Case(
    name="sequence-tester",
    about="Frames of 64x64 8-bit from the core as fast as it makes them: processor time a frame of the thread that "
    "takes them, with a bare loop of pops and with `camera.record`.",
    ways={"pops": pops, "record": record},
    disk_bytes=lambda setting: _count(setting) * SIDE * SIDE,
    figures=(
        column("record", "frames lost", "frames", target=Target(at_most=0)),
        Figure(
            name="loop's own cost",
            unit="us/frame",
            of=lambda records: float(records["record"]["thread CPU"] - records["pops"]["thread CPU"]),
            target=Target(at_most=15),
        ),
    ),
    columns={"frames/s": "frames/s", "thread CPU": "us/frame"},
)
