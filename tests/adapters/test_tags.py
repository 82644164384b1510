"""Counters and times from tags of both backends and of several makes of camera."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmspool.adapters import frame_metadata, timestamp_source

DEMO = {
    "Binning": "1",
    "Camera": "Camera",
    "ElapsedTime-ms": "41.44",
    "Height": "64",
    "ImageNumber": "7",
    "Width": "64",
}


def test_demo_camera_tags_have_a_number_and_a_host_time():
    """The core's own tags give an image number and a host time, and no camera counter."""
    assert frame_metadata(DEMO) == {"image_number": 7, "camera_frame_number": -1, "camera_timestamp": 41_440_000}
    assert timestamp_source(DEMO) == "host"


def test_java_tags_may_be_numbers():
    """Numbers are read as well as text."""
    tags = {"ImageNumber": 7, "ElapsedTime-ms": 41, "Width": 64}
    assert frame_metadata(tags) == {"image_number": 7, "camera_frame_number": -1, "camera_timestamp": 41_000_000}


def test_pvcam_counts_frames_itself():
    """PVCAM's driver counter is the camera's frame number; its hardware time beats the host's."""
    tags = DEMO | {"PVCAM-FrameNr": "12", "PVCAM-TimeStamp": "99"}
    assert frame_metadata(tags)["camera_frame_number"] == 12
    assert timestamp_source(tags) == "host"
    tags |= {"PVCAM-FMD-TimestampBofNs": "123456789"}
    assert frame_metadata(tags)["camera_timestamp"] == 123_456_789
    assert timestamp_source(tags) == "camera"


def test_picoseconds():
    """The Kinetix tells its time in picoseconds: every nanosecond of it is kept, however long it runs."""
    tags = DEMO | {"PVCAM-FMD-TimestampBofPs": "86400123456789012"}
    assert frame_metadata(tags)["camera_timestamp"] == 86_400_123_456_789
    assert timestamp_source(tags) == "camera"


@pytest.mark.parametrize("prefix", ["Andor sCMOS Camera", "\x00\xff\x7f", ""])
@pytest.mark.parametrize("host_first", [True, False])
def test_andor_tags_are_found_by_their_ending(prefix, host_first):
    """Andor's clock is found whatever stands before its tag; its counter is not the camera's, and is not taken."""
    andor = {f"{prefix}-ImageNumber": "3", f"{prefix}-ElapsedTime-ms": "12.3 [0.0123 seconds]"}
    tags = DEMO | andor if host_first else andor | DEMO
    assert frame_metadata(tags) == {"image_number": 7, "camera_frame_number": -1, "camera_timestamp": 12_300_000}
    assert timestamp_source(tags) == "camera"


def test_missing_tags_read_as_minus_one():
    """Without tags nothing is known, and that is no error."""
    assert frame_metadata({}) == {"image_number": -1, "camera_frame_number": -1, "camera_timestamp": -1}
    assert timestamp_source({}) == "none"


@pytest.mark.parametrize("text", ["", "  ", "n/a", "1,5", "nan", "inf", "-inf", None, {"0": 1}])
def test_tags_that_are_no_numbers_read_as_minus_one(text):
    """A tag that cannot be read is as good as none."""
    tags = {"ImageNumber": text, "x-ImageNumber": text, "ElapsedTime-ms": text}
    assert set(frame_metadata(tags).values()) == {-1}


@pytest.mark.parametrize(
    ("text", "number"), [("7.0", 7), (" 8 ", 8), (9.0, 9), ("12345678901234567890", 12345678901234567890)]
)
def test_counters_may_be_written_as_floats(text, number):
    """Whole numbers are read however they are written, without losing digits."""
    assert frame_metadata({"ImageNumber": text})["image_number"] == number


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none() | st.booleans()))
def test_no_tags_whatever_make_it_fail(tags):
    """Reading counters from any dictionary of tags returns three ints."""
    metadata = frame_metadata(tags)
    assert list(metadata) == ["image_number", "camera_frame_number", "camera_timestamp"]
    assert all(type(value) is int for value in metadata.values())
