"""Columns of a camera's recording: from functions of the script, and from the core's tags."""

import itertools
import logging

import numpy as np
import pytest

import mmspool
from mmspool import Column, Faults

COMMON = {"frames": 30, "buffer_bytes": 16 * 10**6}


def recorded(camera, path, **options):
    """Record 30 frames; return the recording's table."""
    assert camera.record(path, **COMMON, **options).complete
    with mmspool.open(path) as recording:
        return recording.columns, np.asarray(recording.frame_table())


@pytest.mark.usefixtures("processes")
def test_functions_and_tags(mock, backend, tmp_path):
    """Each frame has the value that the function returned for it, and its own tags, on both backends."""
    numbers = itertools.count(-1)  # the first call finds out what it returns
    columns = {
        "number": lambda: next(numbers),
        "z_um": (lambda: 5, Column(float, units="um")),
        "camera_name": "Camera",
        "elapsed_ms": ("ElapsedTime-ms", float),
        "tag_number": ("ImageNumber", int),
        "nowhere": ("NoSuchTag", float),
    }
    found, table = recorded(mock(backend=backend), tmp_path / "run.h5", columns=columns)
    assert table["number"].tolist() == list(range(30))
    assert table["z_um"].tolist() == [5.0] * 30
    assert found["z_um"].units == "um"
    assert set(table["camera_name"]) == {"Camera"}
    assert (np.diff(table["elapsed_ms"]) > 0).all()
    assert (table["tag_number"] == table["image_number"]).all()
    assert np.isnan(table["nowhere"]).all()


@pytest.mark.usefixtures("processes")
def test_failing_function_costs_no_frame(mock, tmp_path, caplog):
    """A function that raises, or returns what does not fit, costs those frames their value; the log says so once."""
    calls = itertools.count()

    def unreliable():
        call = next(calls)
        if call in (5, 6):
            raise OSError("the stage does not answer")
        return "far too high" if call == 9 else float(call)

    with caplog.at_level(logging.WARNING, "mmspool"):
        _, table = recorded(mock(), tmp_path / "run.h5", columns={"z_um": unreliable})
    assert np.flatnonzero(np.isnan(table["z_um"])).tolist() == [4, 5, 8]
    assert [record.getMessage() for record in caplog.records].count(
        "column z_um has no value for a frame, which is stored without; this is logged once"
    ) == 1


@pytest.mark.usefixtures("processes")
def test_tag_that_is_no_number(mock, tmp_path):
    """A tag that is no number leaves a column of numbers at its fill, and costs no frame."""
    _, table = recorded(mock(), tmp_path / "run.h5", columns={"camera": ("Camera", Column(int, fill=-7))})
    assert set(table["camera"]) == {-7}


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"z_um": 5.0}, TypeError, "'z_um' comes from 5.0; expected a function"),
        ({"z_um": lambda: [1]}, TypeError, "no value of a column"),
        ({"z um": lambda: 1.0}, ValueError, "no name for a column"),
        ({"index": "Camera"}, ValueError, "every recording has"),
        ({"on": ("Shutter", bool)}, ValueError, "comes from a tag"),
        ({"on": ("Shutter", "U999")}, ValueError, "too long"),
    ],
)
def test_senseless_columns_are_refused_before_the_camera_starts(mock, raw, tmp_path, columns, error, message):
    """What cannot be a column is refused with its name; nothing was started, and there is no file."""
    camera = mock()
    with pytest.raises(error, match=message):
        camera.record(tmp_path / "run.h5", columns=columns, **COMMON)
    assert not camera.core.is_sequence_running()
    assert not list(tmp_path.iterdir())


def test_failing_function_before_the_start(mock, tmp_path):
    """A function that fails at its first call, before the camera starts, stops the start with its own error."""
    camera = mock()
    with pytest.raises(ZeroDivisionError):
        camera.record(tmp_path / "run.h5", columns={"z_um": lambda: 1 / 0}, **COMMON)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("given", [{"plan": {"z": 5, "t": 4}}, {"plan": 20}, {"plan": 20, "frames": 20}])
def test_plan_ends_the_recording(mock, tmp_path, given):
    """A recording with a plan ends with it, and lost frames leave their places empty, on the camera's own count."""
    camera = mock(faults=Faults(dropped_in_camera=frozenset({7, 8})), camera_counter=True)
    result = camera.record(tmp_path / "run.h5", buffer_bytes=16 * 10**6, **given)
    with mmspool.open(tmp_path / "run.h5") as run:
        aligned = run.aligned()
        assert np.flatnonzero(aligned.missing.ravel()).tolist() == [7, 8]
        places = zip(*(~aligned.missing).nonzero(), strict=True)
        shown = [mmspool.frame_index(aligned[place].data) for place in places]
        assert shown == np.flatnonzero(~aligned.missing).tolist()
    assert (result.frames_written, result.frames_lost) == (18, 2)


@pytest.mark.usefixtures("processes")
def test_bursts_have_their_places(mock, tmp_path):
    """Frames of each trigger are in the trigger's row."""
    mock().record(tmp_path / "run.h5", buffer_bytes=16 * 10**6, triggers=5, frames_per_trigger=3)
    with mmspool.open(tmp_path / "run.h5") as run:
        assert run.aligned().axes == ("trigger", "frame")
        assert run.aligned().frames.tolist() == np.arange(15).reshape(5, 3).tolist()
