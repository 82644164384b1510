"""The options of a spool: checked before anything is made of them."""

import dataclasses
import pickle

import numpy as np
import pytest

from mmspool import DetectorInfo, FrameError, Spool
from mmspool.persistence import SpoolKeywords, SpoolOptions


def test_a_misspelt_option_names_the_nearest(tmp_path):
    """An option that does not exist is refused with the name that was probably meant, and no file is created."""
    with pytest.raises(TypeError, match=r"Spool has no option 'bufer_bytes': did you mean buffer_bytes\?"):
        Spool(tmp_path / "run.h5", bufer_bytes=1 << 20)
    with pytest.raises(TypeError, match=r"no option 'zzz': it has buffer_bytes, checksum, .*timeout_s"):
        Spool(tmp_path / "run.h5", zzz=1)
    assert not list(tmp_path.iterdir())


def test_the_keywords_are_the_options():
    """A function that passes `SpoolKeywords` on can pass every option there is."""
    assert list(SpoolKeywords.__annotations__) == [option.name for option in dataclasses.fields(SpoolOptions)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": (4, 4)}, ValueError, "shape and dtype go together"),
        ({"dtype": "u2"}, ValueError, "shape and dtype go together"),
        ({"shape": (4, 0), "dtype": "u2"}, ValueError, r"two positive numbers, .*not \(4, 0\)"),
        ({"shape": (4, 4, 4), "dtype": "u2"}, ValueError, "two positive numbers"),
        ({"shape": (4, 4), "dtype": "c8"}, FrameError, "complex64"),
        ({"on_full": "block"}, ValueError, "on_full is one of .*, not 'block'"),
        ({"timeout_s": 0}, ValueError, "timeout_s is a positive number of seconds, not 0"),
        ({"sync_interval_s": -1}, ValueError, "sync_interval_s is a number of seconds, 0 or more, not -1"),
        ({"grow_frames": 0}, ValueError, "grow_frames is at least 1, not 0"),
        ({"compression": "zip"}, ValueError, "compression is None or one of .*, not 'zip'"),
        ({"metadata": {"camera": object()}}, TypeError, "type object cannot be stored"),
        ({"info": DetectorInfo(camera={"a": object()})}, TypeError, "type object cannot be stored"),
    ],
)
def test_options_that_make_no_sense(options, error, message):
    """Each is refused with its name and value."""
    with pytest.raises(error, match=message):
        SpoolOptions(**options)


def test_they_are_plain_values():
    """The caller's objects can change afterwards, and the writer process needs no class of the script."""
    values = np.arange(3)
    options = SpoolOptions(shape=[np.int64(4), 5], dtype="<u2", metadata={"dose": values, "n": np.int32(4)})
    values[:] = 0
    assert (options.shape, options.dtype) == ((4, 5), np.dtype("<u2"))
    assert type(options.shape[0]) is int
    assert options.metadata == {"dose": [0, 1, 2], "n": 4}
    assert pickle.loads(pickle.dumps(options)) == options
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.timeout_s = 1
