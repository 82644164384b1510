"""Writing bytes at known offsets, past the page cache and through it."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import allocated_bytes
from support.processes import limit_files

from mmspool import StorageError
from mmspool.persistence.hdf5_file import direct_file
from mmspool.persistence.hdf5_file.direct_file import DirectFile

PAGE = 4096


@pytest.fixture
def place(tmp_path):
    """Make an empty file."""
    path = tmp_path / "blocks"
    path.touch()
    return path


@pytest.fixture
def file_limit():
    """Return a function that lets this process make no file larger than that, until the test is over."""
    yield lambda size: limit_files(os.getpid(), size)
    limit_files(os.getpid(), None)


@pytest.mark.parametrize("direct", [True, False])
@given(
    blocks=st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 5 * PAGE) | st.sampled_from([0, 1, PAGE - 1, PAGE, PAGE + 1])),
        max_size=6,
    )
)
def test_the_file_is_what_a_plain_write_makes(tmp_path_factory, direct, blocks):
    """Blocks of any length at any page, over each other too, leave the bytes that simple writes would leave."""
    path = tmp_path_factory.mktemp("blocks") / "file"
    path.touch()
    expected = bytearray()
    file = DirectFile(path, direct=direct)
    for number, (page, length) in enumerate(blocks, 1):
        data = bytes([number]) * length
        file.write_block(memoryview(data), page * PAGE)
        if length:
            expected.extend(bytes(max(0, page * PAGE + length - len(expected))))
            expected[page * PAGE : page * PAGE + length] = data
    file.close()
    assert path.read_bytes() == expected


@pytest.mark.parametrize("direct", [True, False])
def test_a_block_never_reaches_past_its_end(place, direct):
    """What lies behind a block whose last page is short is left alone."""
    place.write_bytes(b"\xee" * 4 * PAGE)
    file = DirectFile(place, direct=direct)
    file.write_block(memoryview(b"\x11" * (PAGE + 10)), PAGE)
    file.close()
    assert place.read_bytes() == b"\xee" * PAGE + b"\x11" * (PAGE + 10) + b"\xee" * (2 * PAGE - 10)


def test_a_file_system_that_has_no_direct_io(place, mocker):
    """Where the file cannot be opened for direct I/O, blocks go through the page cache, and the file says so."""
    mocker.patch.object(direct_file, "open_direct", return_value=None)
    file = DirectFile(place)
    assert not file.direct
    file.write_block(memoryview(b"\x22" * 5000), 0)
    file.close()
    assert place.read_bytes() == b"\x22" * 5000


def test_odd_memory_is_refused_for_direct_io_but_written(place):
    """Memory that direct I/O cannot take, because it does not start at a page, is written through the page cache."""
    file = DirectFile(place)
    memory = memoryview(bytearray(b"\x33" * (2 * PAGE + 1)))[1:]
    file.write_block(memory, 0)
    file.close()
    assert place.read_bytes() == b"\x33" * 2 * PAGE


def test_reserve_sets_room_aside(place):
    """After `reserve` the file has its size, and the disk its blocks."""
    file = DirectFile(place)
    file.reserve(0, 1 << 20)
    file.close()
    assert place.stat().st_size == 1 << 20
    assert allocated_bytes(place) >= 1 << 20


def test_no_room_leaves_the_file_as_it_was(place, file_limit):
    """A failed allocation reports figures and leaves the file's size and content unchanged."""
    place.write_bytes(b"\x44" * PAGE)
    file = DirectFile(place)
    file_limit(1 << 20)
    with pytest.raises(StorageError, match=r"no room for 2,097,152 more bytes") as caught:
        file.reserve(PAGE, 2 << 20)
    assert caught.value.errno == errno.EFBIG
    assert isinstance(caught.value.__cause__, OSError)
    file.close()
    assert place.read_bytes() == b"\x44" * PAGE


@pytest.mark.parametrize("direct", [True, False])
def test_a_device_that_refuses_is_an_error(place, file_limit, direct):
    """A write the system refuses raises its own error."""
    file = DirectFile(place, direct=direct)
    file_limit(PAGE)
    with pytest.raises(OSError, match="File too large"):
        file.write_block(memoryview(bytes(4 * PAGE)), PAGE)
    file.close()


def test_a_short_write_is_continued(place, file_limit):
    """A write that the system cut short is carried on where it stopped, and fails only where nothing goes any more."""
    file = DirectFile(place, direct=False)
    file_limit(PAGE + 100)
    with pytest.raises(OSError, match="File too large"):
        file.write_block(memoryview(b"\x55" * 2 * PAGE), 0)
    file.close()
    assert place.read_bytes() == b"\x55" * (PAGE + 100)


def test_close_is_idempotent(place):
    """A block file may be closed twice."""
    file = DirectFile(place)
    file.write(b"abc", 1)
    file.sync()
    file.close()
    file.close()
    assert place.read_bytes() == b"\0abc"
