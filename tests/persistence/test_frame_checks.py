"""What is a frame and what is not."""

import numpy as np
import pytest

from mmspool import FrameError
from mmspool.persistence.frame_checks import as_frame, metadata_values


class OnTheGpu:
    """What CuPy does: it refuses to be converted unasked."""

    def __array__(self, *arguments, **options):
        """Refuse."""
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


class WithGradient:
    """What a PyTorch tensor that requires a gradient does."""

    def __array__(self, *arguments, **options):
        """Refuse."""
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


BAD_FRAMES = {
    "no dimension": (np.uint16(5), r"shape \(\)"),
    "one dimension": (np.zeros(64, np.uint16), r"shape \(64,\).*reshape"),
    "three dimensions": (np.zeros((2, 8, 8), np.uint16), r"shape \(2, 8, 8\).*one image at a time"),
    "four channels": (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\) and dtype uint8.*\[\.\.\., :3\]"),
    "colours of floats": (np.zeros((8, 8, 3), np.float32), r"\(8, 8, 3\) and dtype float32.*uint8 or uint16"),
    "colours with a sign": (np.zeros((8, 8, 3), np.int16), "dtype int16"),
    "no rows": (np.zeros((0, 8), np.uint16), "no pixels"),
    "no columns": (np.zeros((8, 0), np.uint16), "no pixels"),
    "nothing at all": (np.zeros((0, 0), np.void), "dtype"),
    "object": (np.full((8, 8), None), "dtype is object"),
    "text": (np.full((8, 8), "a"), "dtype is <U1"),
    "bytes": (np.full((8, 8), b"a"), r"dtype is \|S1"),
    "complex": (np.zeros((8, 8), np.complex64), "dtype is complex64"),
    "complex of long doubles": (np.zeros((8, 8), np.clongdouble), "up to 64 bits"),
    "structured": (np.zeros((8, 8), [("r", "u1"), ("g", "u1")]), "dtype is"),
    "time": (np.zeros((8, 8), "m8[s]"), "dtype is timedelta64"),
    "masked": (np.ma.masked_equal(np.zeros((8, 8), np.uint16), 0), "mask would be lost"),
    "ragged list": ([[1, 2], [3]], "of type list"),
    "None": (None, "dtype is object"),
    "on the GPU": (OnTheGpu(), r"of type OnTheGpu.*\.get\(\)"),
    "with gradient": (WithGradient(), r"of type WithGradient.*detach"),
}

BAD_METADATA = {
    "unknown key": ({"exposure": 1}, "no column .exposure.*image_number"),
    "float": ({"image_number": 1.0}, "not a whole number"),
    "text": ({"image_number": "1"}, "not a whole number"),
    "None": ({"camera_timestamp": None}, "not a whole number"),
    "too big": ({"host_timestamp": 2**63}, "64 bits"),
    "too small": ({"camera_frame_number": -(2**63) - 1}, "64 bits"),
}


class TestAsFrame:
    """`as_frame` by itself."""

    @pytest.mark.parametrize("name", BAD_FRAMES)
    def test_refusals_say_what_was_wrong(self, name):
        """The message names what came and what to do."""
        image, message = BAD_FRAMES[name]
        with pytest.raises(FrameError, match=message):
            as_frame(image)

    @pytest.mark.parametrize("dtype", ["?", "i1", ">u2", "<f2", "f8", "u8"])
    def test_what_can_be_stored_is_not_copied(self, dtype):
        """An array passes as it is, byte order and all."""
        image = np.zeros((3, 4), dtype)
        assert as_frame(image) is image

    def test_lists_become_arrays(self):
        """`put` takes nested lists as frames."""
        assert as_frame([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


class TestMetadataValues:
    """`metadata_values` by itself."""

    @pytest.mark.parametrize("name", BAD_METADATA)
    def test_refusals_say_what_was_wrong(self, name):
        """The message names the key or the value."""
        metadata, message = BAD_METADATA[name]
        with pytest.raises(FrameError, match=message):
            metadata_values(metadata, 7)

    @pytest.mark.parametrize("nothing", [None, {}])
    def test_what_is_unknown_is_minus_one(self, nothing):
        """Without metadata there is the host's time only."""
        assert metadata_values(nothing, 7) == (-1, -1, -1, 7)

    def test_whole_numbers_of_any_kind_are_taken(self):
        """NumPy's integers are whole numbers, to both ends of 64 bits."""
        metadata = {"image_number": np.uint8(3), "camera_frame_number": -(2**63), "camera_timestamp": 2**63 - 1}
        assert metadata_values(metadata, 7) == (3, -(2**63), 2**63 - 1, 7)

    def test_a_given_host_timestamp_wins(self):
        """The caller knows better when the frame was there."""
        assert metadata_values({"host_timestamp": 5}, 7) == (-1, -1, -1, 5)


class TestRefusedByASpool:
    """A refused frame changes nothing."""

    def test_the_recording_goes_on(self, make_spool, frames):
        """Between refused frames and refused metadata every good frame is stored, and nothing counts as lost."""
        bad = [image for image, _ in BAD_FRAMES.values()]
        bad += [frames(0, (24, 31)), frames(0, (32, 24)), frames(0, dtype=">u2"), frames(0, dtype="i2")]
        with make_spool() as spool:
            for index, image in enumerate(bad):
                with pytest.raises(FrameError):
                    spool.put(image)
                assert spool.put(frames(index))
            for index, (metadata, _) in enumerate(BAD_METADATA.values(), len(bad)):
                with pytest.raises(FrameError):
                    spool.put(frames(index), metadata)
                assert spool.put(frames(index))
        result = spool.close()
        count = len(bad) + len(BAD_METADATA)
        assert (result.frames_written, result.frames_lost, result.state) == (count, 0, "complete")
        assert result.stats.frames_put == count
        frames.check(spool.path, count)

    def test_the_message_shows_both_formats(self, make_spool, frames):
        """The error for a frame of another format shows both formats, byte order included, and the frame's number."""
        with make_spool() as spool:
            spool.put(frames(0))
            with pytest.raises(FrameError, match=r"frame 1 is 24x32 >u2 .*holds 24x32 <u2"):
                spool.put(frames(0, dtype=">u2"))
            with pytest.raises(FrameError, match=r"frame 1 is 12x32 <u2 .*holds 24x32 <u2"):
                spool.put(frames(0)[::2])

    def test_the_first_frame_may_be_refused_too(self, make_spool, frames):
        """A refused first frame does not fix shape and dtype."""
        with make_spool() as spool:
            with pytest.raises(FrameError):
                spool.put(np.zeros((2, 3, 4)))
            assert spool.shape is None
            assert spool.dtype is None
            spool.put(frames(0))
            assert spool.shape == frames.shape
            assert spool.dtype == np.dtype("<u2")
        frames.check(spool.path, 1)

    def test_a_file_without_frames_is_a_recording(self, make_spool, frames):
        """When the announced frames never come, the file holds none of them and says so."""
        spool = make_spool(shape=frames.shape, dtype=">i4")
        result = spool.close()
        assert (result.frames_written, result.state) == (0, "complete")
        frames.check(spool.path, 0)


class TestAnnouncedFormat:
    """Shape and dtype given beforehand."""

    def test_the_first_frame_has_to_fit(self, make_spool, frames):
        """The announced format counts, not the first frame's."""
        with make_spool(shape=frames.shape, dtype=">u2") as spool:
            assert (spool.shape, spool.dtype) == (frames.shape, np.dtype(">u2"))
            with pytest.raises(FrameError, match="frame 0 is"):
                spool.put(frames(0))
            spool.put(frames(0, dtype=">u2"))
        frames.check(spool.path, 1)

    def test_the_shape_may_be_a_list(self, make_spool, frames):
        """A shape read from JSON is a list, and means the same."""
        with make_spool(shape=list(frames.shape), dtype="<u2") as spool:
            spool.put(frames(0))
        frames.check(spool.path, 1)

    @pytest.mark.parametrize(
        "options",
        [
            {"shape": (8, 8)},
            {"dtype": "u2"},
            {"shape": (8,), "dtype": "u2"},
            {"shape": (1, 8, 8), "dtype": "u2"},
            {"shape": (8, 0), "dtype": "u2"},
            {"shape": (8, 8), "dtype": "c8"},
            {"shape": (8, 8), "dtype": "O"},
            {"on_full": "block"},
            {"timeout_s": 0},
            {"timeout_s": float("nan")},
            {"grow_frames": 0},
            {"sync_interval_s": float("nan")},
            {"compression": "zip"},
            {"metadata": {"when": {1, 2}}},
            {"metadata": {"what": object}},
        ],
        ids=str,
    )
    def test_senseless_options_are_refused_before_anything_is_made(self, make_spool, tmp_path, options):
        """Neither a file nor a process comes of options that make no sense."""
        with pytest.raises((ValueError, TypeError)):
            make_spool(**options)
        assert not list(tmp_path.iterdir())
