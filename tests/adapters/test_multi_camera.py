"""The frames of a Multi Camera, sorted by the camera that made them."""

import random
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from mmspool import CoreError, Roi, SettingError
from mmspool.adapters import Frame, ImageFormat, split_multi_camera

COUNT = 50


class Core:
    """A core that combines cameras: it makes all frames at once, in an order of its own, and runs until stopped."""

    def __init__(self, seed=0, sizes=None):
        self.sizes = sizes or {"A": (8, 6), "B": (8, 6)}
        self.running = False
        self.stops = 0
        self.side = 8
        left = {label: deque(range(COUNT)) for label in self.sizes}
        self.frames = deque()
        chance = random.Random(seed)
        while any(left.values()):
            label = chance.choice([label for label in left if left[label]])
            self.frames.append(self.frame(label, left[label].popleft()))

    @staticmethod
    def frame(label, number):
        """Return a frame that holds its camera's label and its number."""
        pixels = np.full((6, 8), 1000 * (1 + "ABX".index(label)) + number, np.uint16)
        return Frame(pixels, number, -1, -1, {"Camera": label})

    def camera_label(self):
        """Return the Multi Camera's label."""
        return "Multi"

    def property_names(self, device):
        """Return the slots for cameras, or a camera's property."""
        return ("Binning", "Physical Camera 1", "Physical Camera 2", "Physical Camera 3") if device == "Multi" else ()

    def get_property(self, _device, name):
        """Return what is in a slot."""
        labels = [*self.sizes, "Undefined", "Undefined", "Undefined"]
        return labels[int(name[-1]) - 1] if name.startswith("Physical") else "1"

    def get_roi(self, camera=""):
        """Return a camera's region."""
        return Roi(0, 0, *self.sizes[camera])

    def image_format(self):
        """Return the format of all frames."""
        return ImageFormat(self.side, self.side, np.dtype(np.uint16), 16)

    def start_sequence(self, _frames):
        """Start."""
        self.running = True

    def stop_sequence(self):
        """Stop."""
        self.running, self.stops = False, self.stops + 1

    def is_sequence_running(self):
        """Return whether it runs."""
        return self.running

    def remaining(self):
        """Return how many frames wait."""
        return len(self.frames)

    def pop(self):
        """Return the oldest frame."""
        return self.frames.popleft() if self.frames else None


@pytest.fixture
def started():
    """Return a function that starts the cameras of a core."""

    def start(core):
        cameras = split_multi_camera(core)
        for camera in cameras.values():
            assert not core.running
            camera.start_sequence(COUNT)
            assert camera.is_sequence_running()
        assert core.running
        return SimpleNamespace(**cameras)

    return start


def taken(camera, count=COUNT):
    """Take frames until there are none, at most so many, and return the values of their pixels."""
    values = []
    while len(values) < count and (frame := camera.pop()) is not None:
        assert len(np.unique(frame.pixels)) == 1
        values.append(int(frame.pixels[0, 0]))
    return values


@pytest.mark.parametrize("seed", range(20))
def test_each_camera_has_its_own_frames(started, seed):
    """However they are interleaved and taken, each camera has all of its own frames, in order, and no others."""
    core = Core(seed)
    both, chance = started(core), random.Random(seed)
    values = {"A": [], "B": []}
    while sum(map(len, values.values())) < 2 * COUNT:
        label = chance.choice("AB")
        values[label] += taken(getattr(both, label), chance.randint(1, 3))
    assert values == {"A": [*range(1000, 1000 + COUNT)], "B": [*range(2000, 2000 + COUNT)]}


def test_one_that_is_slow_does_not_fill_the_memory(started):
    """While the sequence runs few frames wait outside of the core's buffer; after its end all can be taken."""
    core = Core()
    core.side = 8192
    both = started(core)
    before = len(taken(both.A))
    assert 0 < before < COUNT
    assert both.A.pop() is None
    assert len(core.frames) > COUNT
    core.running = False
    assert before + len(taken(both.A)) == COUNT
    assert (both.B.remaining(), len(taken(both.B))) == (COUNT, COUNT)


def test_one_that_is_stopped_has_what_was_made_until_then(started):
    """The others go on; the core stops when the last one is stopped."""
    core = Core()
    both = started(core)
    both.A.stop_sequence()
    assert (both.A.is_sequence_running(), both.B.is_sequence_running(), core.stops) == (False, True, 0)
    core.frames.extend([core.frame("A", COUNT), core.frame("B", COUNT)])
    assert len(taken(both.B, 2 * COUNT)) == COUNT + 1
    both.B.stop_sequence()
    assert (core.running, core.stops) == (False, 1)
    assert (both.A.remaining(), len(taken(both.A, 2 * COUNT))) == (COUNT, COUNT)


def test_stopped_before_all_were_started():
    """Then nothing is started, and none of them runs."""
    core = Core()
    cameras = split_multi_camera(core)
    cameras["A"].start_sequence(COUNT)
    cameras["A"].stop_sequence()
    cameras["B"].start_sequence(COUNT)
    assert not core.running
    assert not any(camera.is_sequence_running() for camera in cameras.values())
    assert [camera.remaining() for camera in cameras.values()] == [0, 0]


def test_frame_of_nobody(started):
    """A frame without the tag of one of the cameras is an error that names it; the next pop goes on."""
    core = Core()
    both = started(core)
    core.frames.appendleft(core.frame("X", 0))
    with pytest.raises(CoreError, match=r"'X' in its tag Camera, but Multi combines A, B"):
        both.A.pop()
    assert len(taken(both.A, 3)) == 3


def test_memory_that_is_used_again(started):
    """Frames that wait are copied where the core uses their memory again."""
    core = Core()
    both = started(core)
    memory = np.frombuffer(bytearray(96), np.uint16).reshape(6, 8)
    pop = core.pop

    def pop_into_memory():
        frame = pop()
        memory[:] = frame.pixels
        return frame._replace(pixels=memory)

    core.pop = pop_into_memory
    assert [*taken(both.A, 2), *taken(both.B, 2)] == [1000, 1001, 2000, 2001]


@pytest.mark.parametrize(
    ("sizes", "message"), [({"A": (8, 6), "B": (16, 6)}, r"A has 8x6, B has 16x6"), ({}, "combines no cameras yet")]
)
def test_refused(sizes, message):
    """Cameras of different sizes do not fit in one buffer, and none is not a recording."""
    core = Core()
    core.sizes = sizes
    with pytest.raises(SettingError, match=message):
        split_multi_camera(core)
