"""Any sequence of what can happen to spools, against a model of plain lists.

``python tests/torture.py stateful --count 300``
"""

import argparse
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from support.frames import frame
from support.waiting import wait_until

import mmspool
from mmspool import FrameError, RecordingError, Spool, SpoolClosedError
from mmspool.persistence import repair, verify

SHAPES = ((24, 32), (7, 5), (96, 128))
RING_BYTES = 400_000  # tens of large frames, a thousand small ones
MAX_KILLS = 2  # one after the other, without a frame in between, are given up after three


@dataclass
class Model:
    """A spool, and what it must hold."""

    spool: Spool
    path: Path
    shape: tuple[int, int]
    frames: list[int] = field(default_factory=list)
    losses: list[list[int | str]] = field(default_factory=list)
    tried: int = 0
    written: int = 0
    stopped: bool = False
    kills: int = 0

    @property
    def lost(self) -> int:
        """Frames that are missing."""
        return sum(int(count) for _, count, _ in self.losses)

    def lose(self, count: int, stage: str) -> None:
        """Enter a loss, joined to one at the same place and stage just before."""
        if self.losses and (self.losses[-1][0], self.losses[-1][2]) == (len(self.frames), stage):
            self.losses[-1][1] = int(self.losses[-1][1]) + count
        else:
            self.losses.append([len(self.frames), count, stage])

    def process(self) -> psutil.Process:
        """Return the writer process."""
        return psutil.Process(self.spool._client.writer.pid)

    def resume(self) -> None:
        """Let the writer process go on."""
        if self.stopped:
            self.process().send_signal(signal.SIGCONT)
            self.stopped = False

    def check(self, frames: npt.NDArray[np.generic]) -> None:
        """Compare frames ``(T, Y, X)`` with the first ones that were put."""
        for index, pixels in enumerate(frames):
            assert (pixels == frame(self.frames[index], self.shape)).all(), f"frame {index} is wrong"


class SpoolMachine(RuleBasedStateMachine):
    """What a user, the system and bad luck may do to up to a few spools at once."""

    spools = Bundle("spools")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.models: list[Model] = []
        self.opened = 0

    @initialize(target=spools, shape=st.sampled_from(SHAPES), early=st.booleans())
    def first(self, shape: tuple[int, int], early: bool) -> Model:
        """Begin a recording."""
        return self._open(shape, early)

    @rule(target=spools, shape=st.sampled_from(SHAPES), early=st.booleans())
    def another(self, shape: tuple[int, int], early: bool) -> object:
        """Begin another recording beside it, at most one."""
        return self._open(shape, early) if len(self.models) < 2 else multiple()

    @rule(model=spools, count=st.sampled_from((1, 2, 7, 40, 300)))
    def put(self, model: Model, count: int) -> None:
        """Put frames; those that are dropped are known to be."""
        for _ in range(count):
            if model.spool.put(frame(model.tried, model.shape)):
                model.frames.append(model.tried)
            else:
                model.lose(1, "ring")
            model.tried += 1

    @rule(model=spools, kind=st.integers(0, 4))
    def put_bad(self, model: Model, kind: int) -> None:
        """Put what is no frame of this recording: refused, and nothing has happened."""
        good = frame(0, model.shape)
        bad, metadata = (
            (good[None], None),
            (good.astype(complex), None),
            ("frame", None),
            (np.ma.masked_array(good, good > 3), None),
            (good, {"image_number": 1.5}),
        )[kind]
        try:
            model.spool.put(bad, metadata)  # type: ignore[arg-type]
        except FrameError:
            return
        raise AssertionError("it was taken")

    @rule(model=spools, count=st.integers(1, 5), stage=st.sampled_from(("camera", "core")))
    def lose(self, model: Model, count: int, stage: str) -> None:
        """Lose frames before they could be put."""
        model.spool.record_loss(count, stage)
        model.lose(count, stage)

    @rule(model=spools)
    def stop_writer(self, model: Model) -> None:
        """Have the writer process stand still, as a disk may."""
        if not model.stopped and model.spool.shape:  # before the file is made, everybody waits for it
            model.process().send_signal(signal.SIGSTOP)
            model.stopped = True

    @rule(model=spools)
    def resume_writer(self, model: Model) -> None:
        """Have it go on."""
        model.resume()

    @rule(model=spools)
    def kill_writer(self, model: Model) -> None:
        """Kill it; another one takes over."""
        if model.kills < MAX_KILLS and model.frames:
            process = model.process()
            process.send_signal(signal.SIGKILL)
            wait_until(lambda: model.spool._client.writer.pid != process.pid, "taking over")
            model.kills, model.stopped = model.kills + 1, False

    @rule(model=spools)
    def wait_written(self, model: Model) -> None:
        """Wait until all is in the file."""
        model.resume()
        wait_until(lambda: model.spool.stats.frames_written == len(model.frames), "writing")
        model.written = len(model.frames)

    @rule(model=spools)
    def wait_durable(self, model: Model) -> None:
        """Wait until all is on the device."""
        model.resume()
        wait_until(lambda: model.spool.durable == len(model.frames), "syncing")

    @rule(model=spools)
    def look(self, model: Model) -> None:
        """Open the file while it is written: what is seen is right, and all that was known to be written."""
        try:
            recording = mmspool.open(model.path)
        except RecordingError:  # not made yet, or just being grown
            return
        with recording:
            if recording.state == "recording":
                assert model.written <= len(recording) <= len(model.frames)
                model.check(recording[:])

    @rule(model=consumes(spools), interrupted=st.booleans())
    def close(self, model: Model, interrupted: bool) -> None:
        """Close it: everything is there, or in the ledger."""
        self._close(model, interrupted)

    @invariant()
    def counts_agree(self) -> None:
        """Every spool's figures are the model's."""
        for model in self.models:
            stats = model.spool.stats
            assert (stats.frames_put, stats.frames_lost) == (len(model.frames), model.lost)
            assert model.written <= stats.frames_written <= stats.frames_put
            assert stats.frames_durable <= stats.frames_written

    def teardown(self) -> None:
        """Close what is open and leave nothing behind."""
        try:
            for model in list(self.models):
                self._close(model, interrupted=False)
        finally:
            shutil.rmtree(self.folder)

    def _open(self, shape: tuple[int, int], early: bool) -> Model:
        self.opened += 1
        path = self.folder / f"{self.opened}.h5"
        given = {"shape": shape, "dtype": "<u2"} if early else {}
        spool = Spool(
            path, buffer_bytes=RING_BYTES, grow_frames=50, on_full="drop", sync_interval_s=0.02, timeout_s=60, **given
        )
        self.models.append(Model(spool, path, shape))
        return self.models[-1]

    def _close(self, model: Model, interrupted: bool) -> None:
        model.resume()
        self.models.remove(model)
        result = model.spool.close(interrupted=interrupted)
        assert model.spool.close() is result
        assert (result.frames_written, result.frames_lost) == (len(model.frames), model.lost)
        assert [[loss.before_frame, loss.count, loss.stage] for loss in result.losses] == model.losses
        assert result.state == ("interrupted" if interrupted else "incomplete" if model.lost else "complete")
        try:
            model.spool.put(frame(0, model.shape))
        except SpoolClosedError:
            pass
        else:
            raise AssertionError("a closed spool took a frame")
        if not model.path.exists():
            assert not model.frames
            return
        with mmspool.open(model.path) as recording:
            assert len(recording) == len(model.frames)
            model.check(recording[:])
            assert [[loss.before_frame, loss.count, loss.stage] for loss in recording.losses] == model.losses
        report = verify(model.path)
        assert report.intact, report.damage
        assert report.frames_checked == len(model.frames)
        assert not repair(model.path).needed


def run(count: int) -> None:
    """Try ``count`` sequences.

    Raises
    ------
    AssertionError
        One that the spools and the model do not agree on; hypothesis prints it.
    """
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        SpoolMachine,
        settings=settings(
            max_examples=count,
            stateful_step_count=25,
            deadline=None,
            print_blob=True,
            phases=(Phase.explicit, Phase.generate),  # shortening a sequence of processes takes too long
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run as `torture.py` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    run(parser.parse_args(arguments).count)
    return 0
