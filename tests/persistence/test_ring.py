"""The ring and how frames are packed into it, against plain models."""

import os
from collections import Counter as Multiset
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mmspool import StorageError
from mmspool.persistence.block_layout import COLUMNS, PAGE, RECORD_BYTES, plan_blocks
from mmspool.persistence.losses import MAX_LOSSES, STAGES
from mmspool.persistence.shared_ring.buffer_size import default_buffer_bytes
from mmspool.persistence.shared_ring.ring import Ring, RingField

HEADER_BYTES = PAGE + MAX_LOSSES * 3 * 8
DTYPES = ["?", "i1", "u1", "<u2", ">u2", "<i4", "<f4", ">f8", "<u8"]

shapes = st.tuples(st.integers(1, 3000), st.integers(1, 3000)) | st.tuples(st.integers(1, 40), st.integers(1, 40))
rooms = st.integers(1, 400).map(lambda pages: pages * PAGE) | st.integers(1, 1 << 18).map(lambda pages: pages * PAGE)


def whole_pages(size):
    """Return the size in whole pages."""
    return -(-size // PAGE) * PAGE


class TestPlan:
    """`plan`: what fits into a ring, and how."""

    @settings(max_examples=6 * settings().max_examples)
    @given(shape=shapes, dtype=st.sampled_from(DTYPES), room=rooms, grow_frames=st.integers(1, 10_000))
    def test_it_fits_or_two_frames_do_not(self, shape, dtype, room, grow_frames):
        """The plan stays within the room, and is refused only where not even two single frames have a place."""
        dtype = np.dtype(dtype)
        frame_bytes = shape[0] * shape[1] * dtype.itemsize
        try:
            g = plan_blocks(shape, dtype, room, grow_frames)
        except StorageError:
            assert 2 * (whole_pages(frame_bytes) + RECORD_BYTES) + PAGE > room
            return
        assert g.ring_bytes <= room
        assert (g.shape, g.dtype) == (shape, dtype)
        assert g.frame_bytes == frame_bytes
        assert g.blocks >= 2
        assert g.frames == g.blocks * g.frames_per_block
        assert g.block_stride >= g.block_bytes == g.frames_per_block * frame_bytes
        assert g.block_stride % PAGE == 0
        assert g.columns_bytes >= g.frames * RECORD_BYTES
        assert g.columns_bytes % PAGE == 0

    @given(shape=shapes, dtype=st.sampled_from(DTYPES), grow_frames=st.integers(1, 10_000))
    def test_it_grows_by_whole_increments_and_blocks(self, shape, dtype, grow_frames):
        """The growth is a multiple of the increment and of a block; a block is a run of whole frames, not too long."""
        g = plan_blocks(shape, np.dtype(dtype), 1 << 30, grow_frames)
        assert g.growth_frames % g.frames_per_block == 0
        assert g.growth_frames % grow_frames == 0
        assert g.growth_frames >= grow_frames
        assert 1 <= g.frames_per_block <= 1000
        assert g.frames_per_block == 1 or g.block_bytes <= 8 << 20

    @pytest.mark.parametrize(("shape", "frames_per_block"), [((2048, 2048), 1), ((1024, 1024), 4), ((64, 64), 1000)])
    def test_small_frames_share_blocks_of_megabytes(self, shape, frames_per_block):
        """A large frame has a block of its own, small ones share one of about 8 MiB."""
        assert plan_blocks(shape, np.dtype("u2"), 1 << 30, 100).frames_per_block == frames_per_block

    def test_frames_that_hdf5_cannot_store(self):
        """A frame of over 4 GiB is refused with its size, since HDF5 has no such chunks."""
        with pytest.raises(StorageError, match=r"70000x70000 uint8 has 4,900,000,000 bytes.*4,294,967,295"):
            plan_blocks((70_000, 70_000), np.dtype("u1"), 1 << 40, 100)

    def test_too_little_room_names_what_is_needed(self):
        """The error for a ring too small for two frames names the room it has and the room it needs."""
        with pytest.raises(StorageError, match=r"room for 40,960 bytes.*2 frames of 100x100 uint16.*45,136 bytes"):
            plan_blocks((100, 100), np.dtype("u2"), 40_960, 100)


@pytest.fixture
def ring():
    """Make a small ring, laid out for 8x8 frames."""
    made = Ring.create(1 << 18)
    made.lay_out(plan_blocks((8, 8), np.dtype("u2"), made.usable_bytes, 10))
    yield made
    made.close()


def another_mapping(ring):
    """Attach to a ring as another process does, which has a descriptor of its own; on Windows it has the name."""
    return Ring.attach(os.dup(ring.handle) if isinstance(ring.handle, int) else ring.handle)


class TestMemory:
    """The block of shared memory."""

    @pytest.mark.parametrize("size", [1 << 18, (1 << 18) + 1, (1 << 18) + PAGE - 1, 1_000_000, 11 << 20, 12_345_678])
    def test_it_is_never_larger_than_asked_for(self, size):
        """The block has at most the size asked for, in whole pages."""
        ring = Ring.create(size)
        ring.reserve()
        try:
            assert ring.usable_bytes == size // PAGE * PAGE - HEADER_BYTES
            if isinstance(ring.handle, int):
                status = os.fstat(ring.handle)
                assert status.st_size == size // PAGE * PAGE
                assert status.st_blocks * 512 == status.st_size, "a page without memory, or more memory than asked for"
        finally:
            ring.close()

    @given(
        shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
        dtype=st.sampled_from(DTYPES),
        size=st.integers(160_000, 1_000_000),
        grow_frames=st.integers(1, 250),
    )
    def test_no_two_places_overlap(self, shape, dtype, size, grow_frames):
        """Header, losses, records and every frame's pixels have bytes of their own, all within the block."""
        ring = Ring.create(size)
        try:
            geometry = plan_blocks(shape, np.dtype(dtype), ring.usable_bytes, grow_frames)
            ring.lay_out(geometry)
            start = np.frombuffer(ring.counters, np.uint8).__array_interface__["data"][0]
            places = [(0, HEADER_BYTES)]
            places.append((ring.records.__array_interface__["data"][0] - start, ring.records.nbytes))
            for block in ring.blocks:
                places += [(frame.__array_interface__["data"][0] - start, frame.nbytes) for frame in block]
            ends = [(first, first + length) for first, length in sorted(places)]
            assert all(before[1] <= after[0] for before, after in pairwise(ends))
            assert ends[0][0] == 0
            assert ends[-1][1] <= HEADER_BYTES + ring.usable_bytes <= size
            assert all((block.__array_interface__["data"][0] - start) % PAGE == 0 for block in ring.blocks)
        finally:
            block = None
            ring.close()

    @pytest.mark.parametrize("size", [0, -1, 1, HEADER_BYTES, HEADER_BYTES + PAGE])
    def test_too_small(self, size):
        """A ring that has no room beside its header is refused with both figures."""
        with pytest.raises(StorageError, match=rf"buffer_bytes is {size:,}; .* {HEADER_BYTES + PAGE:,} bytes"):
            Ring.create(size)

    def test_who_attaches_sees_the_same(self, ring):
        """Frames, records, counters and losses are seen through another mapping of the same ring."""
        other = another_mapping(ring)
        try:
            other.lay_out(plan_blocks((8, 8), np.dtype("u2"), other.usable_bytes, 10))
            ring.add_loss(3, 2, "core")
            assert ring.put_frame(13, np.full((8, 8), 7, "u2"), (2, 3, 4, 5)) == (ring.blocks.shape[1] == 14)
            assert (other.blocks[divmod(13, ring.blocks.shape[1])] == 7).all()
            assert other.records[13].tolist() == [15, 2, 3, 4, 5]
            assert other.counters[RingField.PUT] == 14
            assert other.losses().tolist() == [[3, 2, STAGES.index("core")]]
            per_block = other.blocks.shape[1]
            block, place = divmod(13, per_block)
            with other.block_bytes(block, place * 128, (place + 1) * 128) as pixels:
                assert bytes(pixels) == bytes(ring.blocks[block, place])
            assert other.blocks.shape[1:] == (per_block, 8, 8)
        finally:
            other.close()

    def test_close_is_idempotent(self, ring):
        """Closing a ring twice is harmless."""
        other = another_mapping(ring)
        other.close()
        other.close()

    def test_the_default_size_leaves_memory_to_others(self):
        """The default ring is a whole number of pages and at most 1 GiB."""
        assert 0 < default_buffer_bytes() <= 1 << 30
        assert default_buffer_bytes() % PAGE == 0


class TestStopRequest:
    """The order to close the file, which outlives a writer that dies."""

    def test_it_is_seen_through_another_mapping_and_stays(self, ring):
        """Whoever attaches reads the first request, whole."""
        other = another_mapping(ring)
        assert other.stop_request() is None
        ring.request_stop(interrupted=True, end_reason="Strom weg: µ")
        ring.request_stop(interrupted=False, end_reason="closed")
        assert other.stop_request() == (True, "Strom weg: µ")
        other.close()

    def test_a_reason_of_any_length_stays_in_its_place(self, ring):
        """The ledger behind it is not touched, and a character that is cut off is left out."""
        ring.add_loss(0, 7, "core")
        ring.request_stop(interrupted=False, end_reason="µ" * 10_000)
        interrupted, reason = ring.stop_request()
        assert (interrupted, set(reason)) == (False, {"µ"})
        assert ring.losses().tolist() == [[0, 7, STAGES.index("core")]]


class RingMachine(RuleBasedStateMachine):
    """A producer and a consumer with a mapping each, against a plain list of frames."""

    @initialize(
        side=st.integers(1, 30),
        dtype=st.sampled_from(DTYPES[2:]),
        grow_frames=st.integers(1, 50),
        size=st.integers(160_000, 300_000),
    )
    def make(self, side, dtype, grow_frames, size):
        """Make the ring and attach to it."""
        self.ring = Ring.create(size)
        self.other = another_mapping(self.ring)
        self.geometry = plan_blocks((side, side), np.dtype(dtype), self.ring.usable_bytes, grow_frames)
        self.ring.lay_out(self.geometry)
        self.other.lay_out(self.geometry)
        self.put = self.written = 0
        self.losses = Multiset()
        self.sequence = []

    def frame(self, index):
        """Return frame ``index``, its pixels unlike those of its neighbours."""
        g = self.geometry
        return np.full(g.shape, index % 251, g.dtype)

    def record(self, index):
        """Return the columns of frame ``index``, but for its sequence number."""
        return tuple(index * len(COLUMNS) + column for column in range(1, len(COLUMNS)))

    @rule(count=st.integers(1, 3000))
    def produce(self, count):
        """Put up to ``count`` frames, as far as there is room."""
        g = self.geometry
        free_from = self.written // g.frames_per_block * g.frames_per_block
        for index in range(self.put, min(self.put + count, free_from + g.frames)):
            last = self.ring.put_frame(index, self.frame(index), self.record(index))
            self.sequence.append(index + self.ring.counters[RingField.LOST])
            self.put = self.ring.counters[RingField.PUT]
            assert (self.put, last) == (index + 1, (index + 1) % g.frames_per_block == 0)

    @precondition(lambda self: self.written < self.put)
    @rule(share=st.floats(0, 1))
    def consume(self, share):
        """Read a part of what waits, as the writer does: within one block at a time."""
        g, other = self.geometry, self.other
        stop = self.written + max(1, int(share * (self.put - self.written)))
        while self.written < stop:
            block, first = divmod(self.written, g.frames_per_block)
            last = min(stop, (block + 1) * g.frames_per_block)
            start, end = first * g.frame_bytes, (last - block * g.frames_per_block) * g.frame_bytes
            with other.block_bytes(block % g.blocks, start, end) as pixels:
                expected = b"".join(self.frame(index).tobytes() for index in range(self.written, last))
                assert bytes(pixels) == expected
            slot = self.written % g.frames
            records = other.records[slot : slot + last - self.written]
            expected = [[self.sequence[index], *self.record(index)] for index in range(self.written, last)]
            assert records.tolist() == expected
            self.written = other.counters[RingField.WRITTEN] = last

    @rule(count=st.integers(1, 1000), stage=st.sampled_from(["camera", "core", "ring"]))
    def lose(self, count, stage):
        """Lose frames before the next one."""
        self.ring.add_loss(self.put, count, stage)
        self.losses[self.put, stage] += count

    @invariant()
    def counters_agree(self):
        """Both mappings count the same, never more than the ring holds, and the ledger has every lost frame."""
        counters = self.other.counters
        assert (counters[RingField.PUT], counters[RingField.WRITTEN]) == (self.put, self.written)
        assert self.put - self.written <= self.geometry.frames
        assert counters[RingField.LOST] == self.losses.total()
        ledger = Multiset()
        for before, count, code in self.other.losses().tolist():
            ledger[before, STAGES[code]] += count
        assert ledger == self.losses

    def teardown(self):
        """Give the ring back."""
        if hasattr(self, "ring"):
            self.other.close()
            self.ring.close()


TestRing = RingMachine.TestCase
TestRing.settings = settings(stateful_step_count=30)


class TestLosses:
    """The ledger in the ring's header."""

    def test_losses_at_one_place_and_stage_are_one_entry(self, ring):
        """Losses at one place and stage form one entry, whether entered one by one or together."""
        for _ in range(5):
            ring.add_loss(4, 2, "ring")
        ring.add_loss(4, 1, "core")
        ring.add_loss(9, 1, "core")
        codes = {stage: STAGES.index(stage) for stage in STAGES}
        assert ring.losses().tolist() == [[4, 10, codes["ring"]], [4, 1, codes["core"]], [9, 1, codes["core"]]]
        assert ring.counters[RingField.LOST] == 12

    def test_beyond_the_last_entry_the_totals_stay_exact(self, ring):
        """When the ledger is full, later losses are added to its last entry."""
        for index in range(MAX_LOSSES + 100):
            ring.add_loss(2 * index, 3, "core" if index % 2 else "ring")
        losses = ring.losses()
        assert losses.shape == (MAX_LOSSES, 3)
        assert losses[:, 1].sum() == ring.counters[RingField.LOST] == 3 * (MAX_LOSSES + 100)
        assert losses[-1].tolist() == [2 * (MAX_LOSSES - 1), 303, STAGES.index("core")]
        assert (losses[:-1, 1] == 3).all()

    def test_the_ledger_does_not_reach_into_the_frames(self, ring):
        """A full ledger leaves records and pixels alone."""
        ring.blocks[:] = 5
        ring.records[:] = 6
        for index in range(MAX_LOSSES + 1):
            ring.add_loss(index, 1, "core")
        assert (ring.blocks == 5).all()
        assert (ring.records == 6).all()
