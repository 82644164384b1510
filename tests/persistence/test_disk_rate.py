"""What is read from how a disk's rate went, on rates that a test makes up."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmspool.persistence.capacity.disk_rate import Sample, judge_disk

MB = 10**6


def stretches(*rates_mb):
    """Return a test of stretches of a quarter second, at these rates."""
    return [Sample(size_bytes=round(rate * MB / 4), seconds=0.25, slowest_s=1 / rate) for rate in rates_mb]


def judged(*rates_mb):
    """Return what is made of them."""
    return judge_disk(stretches(*rates_mb), direct=True)


class TestSteady:
    """A disk without a cache that shows."""

    def test_rate_of_one_stretch(self):
        """A single stretch is all there is to go by."""
        rate = judged(400)
        assert rate.bytes_per_s == pytest.approx(400 * MB)
        assert (rate.size_bytes, rate.seconds, rate.slowest_s) == (100 * MB, 0.25, 1 / 400)
        assert (rate.cache_bytes, rate.cached_bytes_per_s, rate.falling) == (None, None, False)

    def test_the_beginning_does_not_count(self):
        """Caches make the beginning fast, so the second half is what a disk sustains."""
        assert judged(500, 500, 400, 400).bytes_per_s == pytest.approx(400 * MB)

    def test_the_slowest_write_is_told(self):
        """The slowest write is reported wherever it occurred."""
        assert judged(100, 20, 100, 100).slowest_s == 1 / 20

    @pytest.mark.parametrize("hiccup", [0, 10, 19])
    def test_one_slow_moment_is_no_end_of_a_cache(self, hiccup):
        """One slow moment, after which the rate returns, is not taken for the end of a cache."""
        rates = [1000.0] * 20
        rates[hiccup] = 50.0
        assert judged(*rates).cache_bytes is None

    def test_shared_disks_vary(self):
        """Ups and downs by a fifth are no cache either."""
        assert judged(*[1000, 800, 1200, 900] * 5).cache_bytes is None


class TestCache:
    """A disk that is fast until its cache is full."""

    @pytest.mark.parametrize("fast", [4, 10, 16])
    def test_is_found_and_left_out(self, fast):
        """Its size, its rate, and what the disk does afterwards, wherever the drop was."""
        rate = judged(*[3000] * fast, *[500] * (20 - fast))
        assert rate.bytes_per_s == pytest.approx(500 * MB)
        assert rate.cache_bytes == fast * 750 * MB
        assert rate.cached_bytes_per_s == pytest.approx(3000 * MB)
        assert not rate.falling

    def test_a_rate_that_still_falls_is_told(self):
        """What the test saw last was not the end of it."""
        assert judged(*range(1000, 100, -50)).falling


@given(rates=st.lists(st.floats(1.0, 10_000.0), min_size=1, max_size=60))
@example(rates=[1.0, 2.0, 2.0, 1.0, 1.0, 8.0])
def test_it_is_never_beyond_what_was_seen(rates):
    """The sustained rate lies between the slowest and the fastest stretch, and a cache is smaller than the test."""
    rate = judged(*rates)
    assert min(rates) * 0.999 <= rate.bytes_per_s / MB <= max(rates) * 1.001
    if rate.cache_bytes is not None:
        assert 0 < rate.cache_bytes < rate.size_bytes
        assert rate.cached_bytes_per_s > rate.bytes_per_s


@given(rates=st.lists(st.floats(1.0, 10_000.0), min_size=1, max_size=60), factor=st.floats(1.0, 10.0))
def test_a_disk_that_is_faster_throughout_sustains_more(rates, factor):
    """A disk that is faster throughout sustains a rate higher by the same factor."""
    faster = judged(*(rate * factor for rate in rates))
    assert faster.bytes_per_s == pytest.approx(judged(*rates).bytes_per_s * factor, rel=1e-3)
