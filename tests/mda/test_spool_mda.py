"""`spool_mda`: runs of pymmcore-plus, real core and DemoCamera, with each frame in a file or in its ledger."""

import errno
import threading

import numpy as np
import pytest
import useq
from pymmcore_plus.mda import MDAEngine, SkipEvent

import mmspool
from mmspool import CoreError, FrameError, RingFullError, StorageError, spool_mda
from mmspool.persistence.system import new_file

RING = {"buffer_bytes": 16 * 10**6}


def timelapse(loops: int) -> useq.MDASequence:
    """Return a sequence of so many frames, which the engine takes as one hardware sequence."""
    return useq.MDASequence(time_plan={"interval": 0, "loops": loops})


@pytest.fixture
def quiet_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the thread of a run end with an error, as pymmcore-plus lets it."""
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)


class TestWholeRuns:
    """Runs that end as planned."""

    def test_a_timelapse_is_recorded_whole(self, core, path, seen, caplog):
        """The file holds the frames that other listeners got, in order, and the core has its own engine again."""
        engine = core.mda.engine
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(100))
        result = spooling.result
        assert (result.frames_written, result.state, result.end_reason) == (100, "complete", "completed")
        with mmspool.open(path) as run:
            assert np.array_equal(run[:], seen.frames)
            assert np.array_equal(run.frame_table()["image_number"], np.arange(100))
            assert (np.diff(run.frame_table()["camera_timestamp"]) >= 0).all()
        assert core.mda.engine is engine
        assert seen.ended == ["finished"]
        assert "is not stored" not in caplog.text

    @pytest.mark.parametrize("sequencing", [True, False])
    def test_positions_grids_channels_and_z_arrive_in_order(self, core, path, sequencing, seen):
        """80 frames over two positions of 2x2 tiles, two channels and five planes are in the order of the events."""
        core.mda.engine.use_hardware_sequencing = sequencing
        sequence = useq.MDASequence(
            channels=["DAPI", "FITC"],
            z_plan={"range": 4, "step": 1},
            stage_positions=[(0, 0, 0), (10, 10, 10)],
            grid_plan={"rows": 2, "columns": 2},
        )
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(sequence)
        assert spooling.result.complete
        assert len(seen.events) == 80
        with mmspool.open(path) as run:
            assert np.array_equal(run[:], seen.frames)
            plan = useq.MDASequence.model_validate(run.metadata["metadata"]["useq_sequence"])
        assert [event.index for event in plan] == [event.index for event in seen.events]

    @pytest.mark.parametrize("sequencing", [True, False])
    def test_events_are_columns_and_plan(self, core, path, sequencing, seen):
        """Places on all axes, positions, channel and times of each event are with its frame, and in the plan."""
        core.mda.engine.use_hardware_sequencing = sequencing
        sequence = useq.MDASequence(
            channels=[{"config": "DAPI", "exposure": 2}, {"config": "FITC", "exposure": 1}],
            z_plan={"range": 4, "step": 2},
            stage_positions=[(0, 0, 0), {"x": 10, "y": 5, "z": 10, "name": "right"}],
            time_plan={"interval": 0, "loops": 2},
        )
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(sequence)
        assert spooling.result.complete
        with mmspool.open(path) as run:
            table, plan, aligned = np.asarray(run.frame_table()), run.plan, run.aligned()
            shown = [aligned[place].data for place in np.ndindex(2, 2, 2, 3)]
            assert np.array_equal(shown, seen.frames)
        assert (aligned.axes, aligned.shape[:4]) == (("t", "p", "c", "z"), (2, 2, 2, 3))
        assert table["expected"].tolist() == list(range(24))
        for rows in (table, plan):
            for axis in "tpcz":
                assert rows[axis].tolist() == [event.index[axis] for event in seen.events]
            assert rows["z_um"].tolist() == [event.z_pos for event in seen.events]
            assert rows["x_um"].tolist() == [event.x_pos for event in seen.events]
            assert rows["channel"].tolist() == [event.channel.config for event in seen.events]
            assert rows["exposure_ms"].tolist() == [event.exposure for event in seen.events]
            assert set(rows["position"]) == {"", "right"}

    def test_metadata_of_events_are_columns(self, core, path):
        """An event's own metadata are stored where a column was declared for them; others are logged once."""
        events = [useq.MDAEvent(index={"t": at}, metadata={"dose": at / 2, "other": "x"}) for at in range(5)]
        with spool_mda(core, path, columns={"dose": float}, **RING) as spooling:
            core.run_mda(events)
        assert spooling.result.complete
        with mmspool.open(path) as run:
            assert run.frame_table()["dose"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
            assert run.frame_table()["t"].tolist() == list(range(5))
            assert run.plan is None

    def test_long_sequence_is_planned_by_its_axes(self, core, path, monkeypatch):
        """Of a long sequence the axes are the plan, so that its start does not wait for all its events."""
        monkeypatch.setattr("mmspool.driver.mda.planned_frames._MOST_LISTED", 10)
        sequence = useq.MDASequence(channels=["DAPI", "FITC"], time_plan={"interval": 0, "loops": 8})
        with spool_mda(core, path, **RING):
            core.run_mda(sequence)
        with mmspool.open(path) as run:
            assert run.aligned().frames.tolist() == np.arange(16).reshape(8, 2).tolist()
            assert set(run.frame_table()["channel"]) == {"DAPI", "FITC"}

    def test_sequence_that_skips_places_is_a_list(self, core, path):
        """A channel that is not taken each time leaves no empty place: the plan is the list of events."""
        channels = ["DAPI", {"config": "FITC", "acquire_every": 2}]
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(useq.MDASequence(channels=channels, time_plan={"interval": 0, "loops": 4}))
        assert (spooling.result.frames_written, spooling.result.state) == (6, "complete")
        with mmspool.open(path) as run:
            assert run.aligned().axes == ("event",)
            assert not run.aligned().missing.any()

    def test_a_generator_of_events_is_recorded(self, core, path):
        """Events whose number is not known before come one by one, each snapped."""
        events = (useq.MDAEvent(index={"t": number}) for number in range(7))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(events)
        assert (spooling.result.frames_written, spooling.result.state) == (7, "complete")

    def test_the_file_describes_the_detector(self, core, path):
        """Exposure, pixel size and properties of the camera come from the run's summary."""
        core.setExposure(4.0)
        with spool_mda(core, path, metadata={"sample": "beads"}, **RING):
            core.run_mda(timelapse(2))
        with mmspool.open(path) as run:
            detector, metadata = run.metadata["detector"], run.metadata["metadata"]
        assert detector["description"] == "Demo camera (DemoCamera/DCam)"
        assert detector["count_time_s"] == pytest.approx(0.004)
        assert detector["sample_pixel_um"] == [1.0, 1.0]
        assert detector["camera"]["properties"]["PixelType"] == "16bit"
        assert (metadata["sample"], metadata["camera"]) == ("beads", "Camera")

    def test_a_sequence_may_carry_anything(self, core, path):
        """What JSON cannot hold of the sequence's metadata is stored as text, and does not stop the run."""
        sequence = timelapse(2).replace(metadata={"mask": np.zeros((2, 2)), "user": "me"})
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(sequence)
        assert spooling.result.complete
        with mmspool.open(path) as run:
            stored = run.metadata["metadata"]["useq_sequence"]["metadata"]
        assert stored["user"] == "me"
        assert "array" in str(stored["mask"])

    def test_a_short_run_has_a_small_ring(self, core, path):
        """The ring holds the planned frames where these are few, since a large one takes time to map."""
        with spool_mda(core, path) as spooling:
            core.run_mda(timelapse(20))
        assert spooling.result.complete
        assert spooling.result.stats.ring_frames < 5000

    def test_32_bit_frames_are_the_floats_they_are(self, make_core, path):
        """GRAY32 is floating point, which pymmcore hands over as whole numbers."""
        core = make_core(PixelType="32bit", FastImage=0)
        with spool_mda(core, path, **RING):
            core.run_mda(timelapse(3))
        with mmspool.open(path) as run:
            assert run.dtype == np.float32
            assert 0 < run[0].max() < 2**20

    def test_the_format_is_known_before_the_first_frame(self, core, path):
        """The file exists with shape and dtype when the run is announced."""
        found = []
        core.mda.events.sequenceStarted.connect(lambda *_: found.append(spooling.spools["Camera"].shape))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(2))
        assert found == [(128, 128)]

    def test_a_block_without_a_run_makes_no_file(self, core, path):
        """Nothing is created, and the engine is given back."""
        engine = core.mda.engine
        with spool_mda(core, path, **RING) as spooling:
            pass
        assert spooling.result is None
        assert not path.exists()
        assert core.mda.engine is engine

    def test_it_works_without_a_with_block(self, core, path, wait_until):
        """In an application nothing may wait: `start`, and the result is there when the run has finished."""
        spooling = spool_mda(core, path, **RING).start()
        core.run_mda(timelapse(10)).join()
        assert spooling.result.complete
        assert type(core.mda.engine) is MDAEngine

    def test_a_recording_that_was_never_used_is_given_up_for_the_next(self, core, path):
        """A cell that is run again starts a second recording before any run: the run goes to that one alone."""
        unused = spool_mda(core, path, **RING).start()
        spooling = spool_mda(core, path, **RING).start()
        core.run_mda(timelapse(5)).join()
        assert unused.result is None
        assert (spooling.result.frames_written, spooling.result.state) == (5, "complete")
        assert type(core.mda.engine) is MDAEngine
        assert "get_view" not in vars(core.mda)

    def test_settings_of_the_engine_are_reached_through_it(self, core, path):
        """A script may set the engine's attributes inside the block; they stay set."""
        engine = core.mda.engine
        with spool_mda(core, path, **RING) as spooling:
            core.mda.engine.use_hardware_sequencing = False
            core.run_mda(timelapse(5))
        assert engine.use_hardware_sequencing is False
        with mmspool.open(path) as run:  # snapped frames have no number of the core
            assert (run.frame_table()["image_number"] == -1).all()
        assert spooling.result.complete


class TestSeveralCameras:
    """Multi Camera: the frames of two cameras come through one run."""

    @pytest.mark.parametrize("sequencing", [True, False])
    def test_each_camera_has_a_file(self, make_core, path, sequencing):
        """Frames are told apart by their camera, and each file is complete."""
        core = make_core(cameras=2)
        core.mda.engine.use_hardware_sequencing = sequencing
        core.setProperty("Camera B", "Offset", "200")
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(20))
        assert {
            label: (result.path.name, result.frames_written, result.state) for label, result in spooling.results.items()
        } == {
            "Camera A": ("run_Camera-A.h5", 20, "complete"),
            "Camera B": ("run_Camera-B.h5", 20, "complete"),
        }
        with mmspool.open(path) as cameras:
            assert list(cameras) == ["Camera-A", "Camera-B"]
            assert cameras.pairs().tolist() == [[at, at] for at in range(20)]
        with pytest.raises(ValueError, match="2 cameras"):
            _ = spooling.result

    def test_one_file_that_cannot_be_made_leaves_none(self, make_core, path, quiet_threads):
        """The run does not begin, and the other camera's file is taken away."""
        core = make_core(cameras=2)
        (path.parent / "run_Camera-B.h5").write_bytes(b"mine")
        with pytest.raises(StorageError, match="exists"), spool_mda(core, path, **RING):
            core.run_mda(timelapse(20))
        assert [file.name for file in path.parent.iterdir()] == ["run_Camera-B.h5"]

    def test_files_that_another_program_holds_are_noted(self, make_core, path, quiet_threads, monkeypatch):
        """Why the run does not begin is what is raised; which files could not be removed is in its notes."""

        def held(path):
            if path.exists():
                raise OSError(errno.EBUSY, "Scanner (process 4711) has it open")

        core = make_core(cameras=2)
        (path.parent / "run_Camera-B.h5").write_bytes(b"mine")
        monkeypatch.setattr(new_file, "remove_file", held)
        with pytest.raises(StorageError, match="exists") as caught, spool_mda(core, path, **RING):
            core.run_mda(timelapse(20))
        assert caught.value.__notes__ == [
            f"{each} could not be removed: Scanner (process 4711) has it open"
            for each in (path.parent / "run_Camera-A.h5", path)
        ]


class TestMissingFrames:
    """What the run planned and did not get."""

    def test_frames_that_the_camera_does_not_deliver_are_lost_in_the_camera(self, core, path):
        """A sequence that ends early: the frames it lacks are located at its end."""

        class Short(MDAEngine):
            def post_sequence_started(self, event):
                while core.getRemainingImageCount() < 5:
                    pass
                core.stopSequenceAcquisition()

        core.register_mda_engine(Short(core))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(1000))
        result = spooling.result
        assert result.state == "incomplete"
        assert result.frames_written + result.frames_lost == 1000
        assert [(loss.before_frame, loss.stage) for loss in result.losses] == [(result.frames_written, "camera")]

    def test_an_event_that_is_skipped_is_a_loss(self, core, path):
        """The second of three snapped events cannot be set up: the ledger says so, before the frame of the third."""

        class Skipping(MDAEngine):
            use_hardware_sequencing = False

            def setup_event(self, event):
                if event.index["t"] == 1:
                    raise SkipEvent(reason="no light")
                super().setup_event(event)

        core.register_mda_engine(Skipping(core, use_hardware_sequencing=False))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(3))
        assert [(loss.before_frame, loss.count, loss.stage) for loss in spooling.result.losses] == [(1, 1, "camera")]
        with mmspool.open(path) as run:
            assert run.frame_table()["t"].tolist() == [0, 2]
            assert run.aligned().frames.tolist() == [0, -1, 1]

    def test_frames_after_a_lost_one_keep_their_places(self, core, path):
        """Frames that are lost within a burst leave their places empty: later ones have their own events' values."""

        class Losing(MDAEngine):
            def exec_sequenced_event(self, event):
                for image, taken, meta in super().exec_sequenced_event(event):
                    number = int(meta["camera_metadata"]["ImageNumber"])
                    skipped = 2 * (number >= 4)
                    meta["camera_metadata"] = {**meta["camera_metadata"], "ImageNumber": str(number + skipped)}
                    if number < 8:
                        yield image, taken, meta

        core.register_mda_engine(Losing(core))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(useq.MDASequence(time_plan={"interval": 0, "loops": 10}))
        assert (spooling.result.frames_written, spooling.result.frames_lost) == (8, 2)
        with mmspool.open(path) as run:
            assert run.frame_table()["t"].tolist() == [0, 1, 2, 3, 6, 7, 8, 9]
            assert run.aligned().frames.tolist() == [0, 1, 2, 3, -1, -1, 4, 5, 6, 7]

    def test_a_snap_that_fails_is_a_loss(self, core, path):
        """The default engine only logs that a snap failed."""

        class Failing(MDAEngine):
            def exec_single_event(self, event):
                return iter(()) if event.index["t"] == 1 else super().exec_single_event(event)

        core.register_mda_engine(Failing(core, use_hardware_sequencing=False))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(3))
        assert [(loss.before_frame, loss.count) for loss in spooling.result.losses] == [(1, 1)]

    def test_autofocus_is_no_frame(self, core, path):
        """An event that takes no picture asks for no frame."""
        events = [useq.MDAEvent(index={"t": 0}), useq.MDAEvent(action=useq.CustomAction(name="wait"))]
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(events)
        assert (spooling.result.frames_written, spooling.result.frames_lost) == (1, 0)

    def test_an_overflow_ends_the_run_and_is_counted(self, make_core, path, quiet_threads):
        """The core's buffer holds two frames: what it had is in the file, the rest in the ledger."""
        core = make_core(OnCameraCCDXSize=2048, OnCameraCCDYSize=2048)
        core.setCircularBufferMemoryFootprint(17)
        stalled = threading.Event()

        class Slow(MDAEngine):
            def post_sequence_started(self, event):
                while not core.isBufferOverflowed():
                    stalled.wait(0.001)

        core.register_mda_engine(Slow(core))
        with (
            pytest.raises(CoreError, match="Buffer overflowed"),
            spool_mda(core, path, buffer_bytes=64 * 10**6) as spooling,
        ):
            core.run_mda(timelapse(100))
        result = spooling.result
        assert result.state == "interrupted"
        assert "Buffer overflowed" in result.end_reason
        assert result.frames_written == 2
        assert [(loss.before_frame, loss.count, loss.stage) for loss in result.losses] == [(2, 98, "core")]


class TestEndsEarly:
    """Runs that somebody or something ends."""

    def test_cancel_keeps_what_the_camera_had_made(self, core, path, seen):
        """Frames that wait in the core when a sequence is canceled are stored, though the engine drops them."""

        def cancel(image, event, meta):
            if event.index["t"] == 10:
                while core.getRemainingImageCount() < 5:
                    pass
                core.mda.cancel()

        core.mda.events.frameReady.connect(cancel)
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(1000))
        result = spooling.result
        assert (result.state, result.end_reason, result.frames_lost) == ("interrupted", "canceled", 0)
        assert result.frames_written >= 11 + 5
        assert len(seen.frames) == 11
        with mmspool.open(path) as run:
            assert np.array_equal(run.frame_table()["image_number"], np.arange(result.frames_written))

    def test_cancel_with_two_cameras(self, make_core, path):
        """The rest that waits in the core goes to the file of its camera."""
        core = make_core(cameras=2)

        def cancel(image, event, meta):
            if event.index["t"] == 10:
                while core.getRemainingImageCount() < 8:
                    pass
                core.mda.cancel()

        core.mda.events.frameReady.connect(cancel)
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(1000))
        for result in spooling.results.values():
            with mmspool.open(result.path) as run:
                numbers = run.frame_table()["image_number"]
                assert (np.diff(numbers) > 0).all()
                assert len(numbers) + result.frames_lost == numbers[-1] + 1

    def test_pause_and_resume_reach_the_run(self, core, path):
        """A paused run goes on where it was, and nothing is lost."""
        core.mda.engine.use_hardware_sequencing = False
        paused = threading.Event()

        def pause(image, event, meta):
            if event.index["t"] == 3:
                core.mda.set_paused(True)
                paused.set()

        core.mda.events.frameReady.connect(pause)
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(6))
            assert paused.wait(20)
            while not core.mda.is_paused():
                pass
            core.mda.set_paused(False)
        assert (spooling.result.frames_written, spooling.result.state) == (6, "complete")

    def test_an_error_in_the_block_cancels_the_run(self, core, path):
        """The script's own error comes out, and the file is closed as interrupted."""
        spooling = spool_mda(core, path, **RING)

        def script():
            with spooling:
                core.run_mda(timelapse(5000))
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            script()
        assert not core.mda.is_running()
        assert not core.isSequenceRunning()
        assert spooling.result is None or spooling.result.state == "interrupted"

    def test_an_error_of_the_engine_comes_out_of_the_block(self, core, path, quiet_threads):
        """The run's thread would only print it; the frames before it are in the file."""

        class Broken(MDAEngine):
            def setup_event(self, event):
                if event.index["t"] == 2:
                    raise RuntimeError("stage is stuck")
                super().setup_event(event)

        core.register_mda_engine(Broken(core, use_hardware_sequencing=False))
        spooling = spool_mda(core, path, **RING)
        with pytest.raises(CoreError, match=r"after 2 frames with RuntimeError: stage is stuck") as caught, spooling:
            core.run_mda(timelapse(5))
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert (spooling.result.frames_written, spooling.result.end_reason) == (2, "RuntimeError: stage is stuck")

    def test_an_error_of_another_sink_comes_out_too(self, core, path, quiet_threads, tmp_path):
        """What fails outside the engine still leaves a closed file that says so."""

        class Abandoning(MDAEngine):
            def get_frame_metadata(self, *args, **kwargs):
                meta = super().get_frame_metadata(*args, **kwargs)
                del meta["exposure_ms"]  # which pymmcore-plus' own sink needs
                return meta

        core.register_mda_engine(Abandoning(core))
        with pytest.raises(CoreError, match="outside the engine"), spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(5), output=tmp_path / "other.ome.zarr")
        assert spooling.result.state == "interrupted"
        assert spooling.result.frames_written + spooling.result.frames_lost == 5

    def test_frames_of_another_size_end_the_run_and_stop_the_camera(self, core, path, quiet_threads):
        """One file holds frames of one shape: an event with a region of its own is refused, and the camera stopped."""
        events = [useq.MDAEvent(index={"t": 0}), useq.MDAEvent(index={"t": 1}, roi=(0, 0, 64, 64))]
        with pytest.raises(FrameError, match="64x64"), spool_mda(core, path, **RING) as spooling:
            core.run_mda(events)
        assert (spooling.result.frames_written, spooling.result.frames_lost) == (1, 1)
        assert not core.isSequenceRunning()

    def test_a_full_ring_stops_the_camera(self, make_core, path, quiet_threads):
        """The frame that found no room ends the run; it and all that were still asked for are in the ledger."""
        core = make_core(OnCameraCCDXSize=1024, OnCameraCCDYSize=1024)
        with (
            pytest.raises(RingFullError),
            spool_mda(
                core, path, on_full="raise", buffer_bytes=16 * 10**6, compression="universal", raw_if_slow=False
            ) as spooling,
        ):
            core.run_mda(timelapse(2000))
        result = spooling.result
        assert result.frames_written + result.frames_lost == 2000
        assert not core.isSequenceRunning()

    @pytest.mark.parametrize(("pixel_type", "dtype"), [("32bitRGB", np.uint8), ("64bitRGB", np.uint16)])
    def test_colour(self, make_core, path, pixel_type, dtype):
        """Red, green and blue are stored as pymmcore-plus gives them, and the view has an axis for them."""
        core = make_core(PixelType=pixel_type)
        given = []
        core.mda.events.frameReady.connect(lambda image, _event: given.append(image.copy()))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(5), block=True)
            view = spooling.view
            assert view.dims == ("t", "y", "x", "rgb")
            assert np.array_equal(view[4, 2:9, ::-1, 0], given[4][2:9, ::-1, 0])
        with mmspool.open(path) as run:
            assert run.dtype == dtype
            assert np.array_equal(run, np.stack(given))

    def test_a_second_run_is_refused_or_not_recorded(self, core, path):
        """A recording holds one run; the next one goes through the core's own engine."""
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(5), block=True)
            core.run_mda(timelapse(6), block=True)
        assert spooling.result.frames_written == 5

    def test_a_core_that_runs_is_refused(self, core, path, wait_until):
        """Recording has to begin before the run."""
        core.mda.engine.use_hardware_sequencing = False
        thread = core.run_mda([useq.MDAEvent(), useq.MDAEvent(min_start_time=60)])
        wait_until(core.mda.is_running)
        with pytest.raises(CoreError, match="before run_mda"):
            spool_mda(core, path).start()
        core.mda.cancel()
        thread.join()


class TestView:
    """What viewers get from ``core.mda.get_view()``."""

    def test_viewers_get_named_axes_and_the_newest_frame(self, core, path, seen):
        """As with pymmcore-plus' own sinks, the view is there when the run is announced, and shows each frame."""
        views, newest = [], []
        core.mda.events.sequenceStarted.connect(lambda *_: views.append(core.mda.get_view()))

        def look(image, event, meta):
            shown = views[0][event.index["t"], event.index["c"], event.index["z"]]
            newest.append(np.array_equal(shown, image))

        core.mda.events.frameReady.connect(look)
        sequence = useq.MDASequence(
            time_plan={"interval": 0, "loops": 2}, channels=["DAPI", "FITC"], z_plan={"range": 2, "step": 1}
        )
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(sequence)
        view = views[0]
        assert view is spooling.view
        assert (view.dims, view.shape) == (("t", "c", "z", "y", "x"), (2, 2, 3, 128, 128))
        assert view.coords["c"] == ["DAPI", "FITC"]
        assert newest == [True] * 12
        assert np.array_equal(view[...].reshape(12, 128, 128), seen.frames)
        assert np.array_equal(view[1, :, 0, 10:20, ::2], np.stack([seen.frames[6], seen.frames[9]])[:, 10:20, ::2])
        assert core.mda.get_view() is None

    def test_tiles_count_as_positions(self, core, path, seen):
        """As in pymmcore-plus' own views, a grid at each position is one axis."""
        sequence = useq.MDASequence(stage_positions=[(0, 0), (9, 9)], grid_plan={"rows": 1, "columns": 2})
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(sequence)
        assert (spooling.view.dims, spooling.view.shape) == (("p", "y", "x"), (4, 128, 128))
        assert np.array_equal(spooling.view, seen.frames)

    def test_a_generator_has_one_axis(self, core, path, seen):
        """Without a plan the frames are in the order of their arrival."""
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(useq.MDAEvent(index={"t": number}) for number in range(3))
        assert (spooling.view.dims, spooling.view.shape) == (("t", "y", "x"), (3, 128, 128))
        assert np.array_equal(spooling.view[-1], seen.frames[2])
        with pytest.raises(IndexError):
            _ = spooling.view[3]

    def test_cameras_are_an_axis(self, make_core, path):
        """With two cameras, the view shows both."""
        core = make_core(cameras=2)
        frames = []
        core.mda.events.frameReady.connect(lambda image, event: frames.append((image.copy(), event)))
        with spool_mda(core, path, **RING) as spooling:
            core.run_mda(timelapse(3))
        assert (spooling.view.dims, spooling.view.shape) == (("t", "cam", "y", "x"), (3, 2, 128, 128))
        assert len(frames) == 6
        for image, event in frames:
            assert np.array_equal(spooling.view[event.index["t"], event.index["cam"]], image)

    def test_a_sink_of_pymmcore_plus_keeps_its_view(self, core, path, tmp_path):
        """Where the run has a sink of its own, viewers get that one's view."""
        views = []
        core.mda.events.sequenceStarted.connect(lambda *_: views.append(type(core.mda.get_view()).__name__))
        with spool_mda(core, path, **RING):
            core.run_mda(timelapse(3), output=tmp_path / "other.ome.zarr")
        assert views == ["StreamView"]
