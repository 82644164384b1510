"""`MDASink`: runs of pymmcore-plus recorded through its signals, by handlers that never raise."""

import gc
import logging
import resource
import threading

import numpy as np
import psutil
import pytest
import useq
from pymmcore_plus.mda import MDAEngine, mda_listeners_connected

import mmspool
from mmspool import FrameError, MDASink, StorageError, WriterError

RING = {"buffer_bytes": 16 * 10**6}


def timelapse(loops: int) -> useq.MDASequence:
    """Return a sequence of so many frames."""
    return useq.MDASequence(time_plan={"interval": 0, "loops": loops})


class TestRecording:
    """Runs that end as planned."""

    def test_given_as_output_it_records_through_the_relay(self, core, path, seen, caplog):
        """All frames arrive, through a queue without a limit, and the log says so once."""
        with MDASink(path, **RING) as sink:
            core.run_mda(timelapse(100), output=sink).join()
        assert (sink.result.frames_written, sink.result.state, sink.result.end_reason) == (100, "complete", "completed")
        with mmspool.open(path) as run:
            assert np.array_equal(run[:], seen.frames)
        assert [record.levelno for record in caplog.records if "no limit" in record.message] == [logging.WARNING]
        assert sink.relay_peak >= 1

    def test_connected_it_records_on_the_runs_own_thread(self, core, path, seen, caplog):
        """There is no relay between, and nobody needs to keep a reference to the sink."""
        MDASink(path, **RING).connect(core)
        gc.collect()
        core.run_mda(timelapse(100)).join()
        with mmspool.open(path) as run:
            assert run.state == "complete"
            assert np.array_equal(run[:], seen.frames)
        assert "no limit" not in caplog.text

    def test_several_hardware_sequences_are_no_loss(self, core, path):
        """The core numbers the frames of each sequence from 0: a restart is no gap."""
        sequence = useq.MDASequence(stage_positions=[(0, 0), (1, 1)], z_plan={"range": 4, "step": 1}, axis_order="pz")
        with MDASink(path, **RING).connect(core) as sink:
            core.run_mda(sequence).join()
        assert (sink.result.frames_written, sink.result.frames_lost) == (10, 0)

    def test_each_camera_has_a_file(self, make_core, tmp_path):
        """Two cameras are told apart by the index of the event."""
        core = make_core(cameras=2)
        with MDASink(tmp_path / "run.h5", **RING).connect(core) as sink:
            core.run_mda(timelapse(10)).join()
        assert {label: result.frames_written for label, result in sink.results.items()} == {
            "Camera A": 10,
            "Camera B": 10,
        }

    def test_it_is_a_listener_in_pymmcore_plus_own_sense(self, core, path):
        """`mda_listeners_connected` finds its handlers by their names."""
        with MDASink(path, **RING) as sink, mda_listeners_connected(sink, mda_events=core.mda.events):
            core.run_mda(timelapse(20)).join()
        assert sink.result.complete

    def test_it_has_the_sinks_protocol(self, core, path, seen):
        """Called as pymmcore-plus calls its own sinks: setup, append, skip, close, and a view for viewers."""
        summary = core.mda.engine.setup_sequence(timelapse(3))
        sink = MDASink(path, **RING)
        assert sink.get_view() is None
        sink.setup(timelapse(3), summary)
        events = list(timelapse(3))
        sink.append(np.full((128, 128), 1, np.uint16), events[0], {})
        sink.skip(frames=1)
        sink.append(np.full((128, 128), 3, np.uint16), events[2], {})
        assert sink.get_view()[2].max() == 3
        sink.close()
        assert [(loss.before_frame, loss.count, loss.stage) for loss in sink.result.losses] == [(1, 1, "camera")]

    def test_without_a_run_there_is_no_file(self, path):
        """Closing a sink that got nothing is no error."""
        with MDASink(path, **RING) as sink:
            pass
        assert sink.result is None
        assert not path.exists()

    def test_a_second_run_is_not_recorded(self, core, path, caplog):
        """A sink records one run, and the log says so at the next."""
        sink = MDASink(path, **RING).connect(core)
        core.run_mda(timelapse(3)).join()
        core.run_mda(timelapse(4)).join()
        sink.close()
        assert sink.result.frames_written == 3
        assert "not recorded" in caplog.text


class TestMissing:
    """What came is compared with what was planned."""

    def test_frames_that_never_came_are_in_the_ledger(self, core, path):
        """A sequence that ends early is incomplete, and the file says how much."""

        class Short(MDAEngine):
            def post_sequence_started(self, event):
                while core.getRemainingImageCount() < 5:
                    pass
                core.stopSequenceAcquisition()

        core.register_mda_engine(Short(core))
        with MDASink(path, **RING).connect(core) as sink:
            core.run_mda(timelapse(1000)).join()
        result = sink.result
        assert (result.state, result.end_reason) == ("incomplete", "completed")
        assert result.frames_written + result.frames_lost == 1000

    def test_a_canceled_run_misses_nothing(self, core, path):
        """Frames after a cancel were not wanted; the file says that it was canceled."""

        def cancel(_image, event):
            if event.index["t"] == 5:
                core.mda.cancel()

        core.mda.events.frameReady.connect(cancel)
        with MDASink(path, **RING).connect(core) as sink:
            core.run_mda(timelapse(1000)).join()
        assert (sink.result.state, sink.result.end_reason) == ("interrupted", "canceled")
        assert sink.result.frames_lost == 0

    def test_a_run_that_fails_is_interrupted(self, core, path, monkeypatch):
        """The sink has no part in the error; the file is closed, and says what is missing."""
        monkeypatch.setattr(threading, "excepthook", lambda _args: None)

        class Broken(MDAEngine):
            def setup_event(self, event):
                if event.index["t"] == 2:
                    raise RuntimeError("stage is stuck")
                super().setup_event(event)

        core.register_mda_engine(Broken(core, use_hardware_sequencing=False))
        with MDASink(path, **RING).connect(core) as sink:
            core.run_mda(timelapse(5)).join()
        assert (sink.result.state, sink.result.end_reason) == ("interrupted", "errored")
        assert (sink.result.frames_written, sink.result.frames_lost) == (2, 3)

    def test_a_missed_end_is_made_up_for(self, core, path):
        """pymmcore-plus' relay may miss the last signal: closing compares the counts as well."""
        sink = MDASink(path, **RING)
        core.mda.events.sequenceStarted.connect(sink.sequenceStarted)
        core.mda.events.frameReady.connect(sink.frameReady)
        core.run_mda(timelapse(20)).join()
        sink.close()
        assert (sink.result.frames_written, sink.result.state) == (20, "complete")


class TestErrors:
    """Handlers never raise; `close` does."""

    def test_a_file_that_exists_is_an_error_at_close(self, core, path, seen):
        """The run goes on for the other handlers, and the file stays as it was."""
        path.write_bytes(b"mine")
        sink = MDASink(path, **RING).connect(core)
        core.run_mda(timelapse(10)).join()
        assert len(seen.frames) == 10
        assert sink.frames_refused == 10
        for _ in range(2):
            with pytest.raises(StorageError, match="exists"):
                sink.close()
        assert path.read_bytes() == b"mine"

    def test_a_frame_that_does_not_fit_is_counted(self, core, path):
        """One frame of another size is lost; those after it are stored."""
        events = [
            useq.MDAEvent(index={"t": at}, roi=(0, 0, 64, 64) if at == 1 else (0, 0, 128, 128)) for at in range(3)
        ]
        sink = MDASink(path, **RING).connect(core)
        core.run_mda(events).join()
        with pytest.raises(FrameError, match="64x64"):
            sink.close()
        assert (sink.result.frames_written, sink.frames_refused) == (2, 1)
        assert [(loss.before_frame, loss.count, loss.stage) for loss in sink.result.losses] == [(1, 1, "unknown")]
        assert sink.result.state == "interrupted"

    def test_a_writer_that_fails_does_not_stop_the_run(self, core, path, seen):
        """The error is kept for `close`, and what was written stays readable."""
        sink = MDASink(path, **RING).connect(core)

        def limit(_image, event):
            if event.index["t"] == 10:
                (writer,) = (p for p in psutil.Process().children() if "resource_tracker" not in " ".join(p.cmdline()))
                writer.rlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 2**20, -1))

        core.mda.events.frameReady.connect(limit)
        core.run_mda(timelapse(5000)).join()
        assert len(seen.frames) == 5000
        with pytest.raises(WriterError):
            sink.close()
        with mmspool.open(path) as run:
            assert 10 < len(run) < 5000
            assert np.array_equal(run[:], seen.frames[: len(run)])
