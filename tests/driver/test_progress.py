"""The progress line, from figures that a test makes up."""

import io
import re
from dataclasses import fields, replace

import pytest
from rich.console import Console

from mmspool import RecordStats, SpoolStats
from mmspool.driver.progress import ProgressLine, show_progress

FREE = 50 * 10**9


def stats(received=0, *, requested=None, written=0, lost=0, elapsed_s=0.0, packed=1.0):
    """Return figures as they would be after so many frames of 1 MB, of which the file takes ``packed``."""
    figures = dict.fromkeys((field.name for field in fields(SpoolStats)), 0) | {
        "frames_put": received,
        "frames_written": written,
        "frames_lost": lost,
        "bytes_written": written * 10**6,
        "bytes_stored": int(written * 10**6 * packed),
        "ring_frames": 1000,
        "ring_used": received - written,
        "elapsed_s": elapsed_s,
    }
    return RecordStats(
        frames_requested=requested,
        frames_received=received,
        core_waiting=3,
        core_peak=7,
        core_capacity=60,
        spool=SpoolStats(**figures),
    )


@pytest.fixture(autouse=True)
def disk(mocker):
    """Let every disk have the same room."""
    usage = mocker.patch("mmspool.driver.progress.shutil.disk_usage")
    usage.return_value.free = FREE
    return usage


class TestFields:
    """What the line says."""

    def test_at_the_start(self, tmp_path, disk):
        """At the start, rate and time left are unknown, and the free space is that of the file's disk."""
        fields = ProgressLine(tmp_path / "run.h5", None).fields(stats(), 100.0)
        assert fields == {
            "frames": "0",
            "rate": "0 fps 0 MB/s",
            "written": "0.0 kB",
            "ring": "0/1,000",
            "core": "3/60",
            "lost": "0",
            "disk free": "50.0 GB",
            "left": "-",
        }
        disk.assert_called_once_with(tmp_path)

    def test_in_the_middle(self, tmp_path):
        """Frames of those asked for, rates of the last interval, and the time that the rest takes."""
        line = ProgressLine(tmp_path / "run.h5", None)
        line.fields(stats(1000, requested=10_000, written=900), 10.0)
        fields = line.fields(stats(2000, requested=10_000, written=1500, lost=12), 20.0)
        assert fields["frames"] == "2,000/10,000"
        assert fields["rate"] == "100 fps 60 MB/s"
        assert fields["written"] == "1.5 GB"
        assert fields["ring"] == "500/1,000"
        assert fields["lost"] == "12"
        assert fields["left"] == "1:20"

    def test_rate_is_smoothed(self, tmp_path):
        """A hiccup does not throw the rate about."""
        line = ProgressLine(tmp_path / "run.h5", None)
        for now, frames in ((0.0, 0), (1.0, 100), (2.0, 100)):
            fields = line.fields(stats(frames, written=frames), now)
        assert fields["rate"] == "70 fps 70 MB/s"

    def test_time_that_stands_still_changes_no_rate(self, tmp_path):
        """Two looks at the same moment are one."""
        line = ProgressLine(tmp_path / "run.h5", None)
        line.fields(stats(0), 1.0)
        assert line.fields(stats(10), 1.0)["rate"] == "0 fps 0 MB/s"

    @pytest.mark.parametrize(
        ("requested", "seconds", "left"),
        [(None, None, "8:20"), (200, None, "0:01"), (10**9, None, "8:20"), (None, 100, "1:30"), (None, 5, "0:00")],
    )
    def test_time_left_is_until_the_end_or_a_full_disk(self, tmp_path, requested, seconds, left):
        """The time left ends with the recording or with the full disk, whichever comes first."""
        line = ProgressLine(tmp_path / "run.h5", seconds)
        line.fields(stats(0), 0.0)
        assert line.fields(stats(100, requested=requested, written=100, elapsed_s=10.0), 1.0)["left"] == left

    def test_compressed_frames_take_less_of_the_disk(self, tmp_path):
        """The rate is the camera's; what is written, and when the disk is full, is the file's."""
        line = ProgressLine(tmp_path / "run.h5", None)
        line.fields(stats(0), 0.0)
        fields = line.fields(stats(100, written=100, packed=0.5), 1.0)
        assert (fields["rate"], fields["written"], fields["left"]) == ("100 fps 100 MB/s", "50.0 MB", "16:40")

    def test_hours_are_hours(self, tmp_path, disk):
        """A recording of a day does not count minutes."""
        disk.return_value.free = 100 * 10**6 * (86_400 + 62)
        line = ProgressLine(tmp_path / "run.h5", None)
        line.fields(stats(0), 0.0)
        assert line.fields(stats(100, written=100), 1.0)["left"] == "24:01:02"

    def test_warns_of_what_is_soon_full(self, tmp_path, disk):
        """Behind all other fields, so that they stay where they are, and only then."""
        line = ProgressLine(tmp_path / "run.h5", None)
        for second in range(10):
            fields = line.fields(stats(received=100 * second, written=50 * second), float(second))
            assert ("forecast" in fields) == (second > 1)
        assert list(fields)[-1] == "forecast"
        assert fields["forecast"] == "ring full in 11 s"
        disk.return_value.free = 50 * 10**6 * 4
        fields = line.fields(stats(received=1000, written=500), 10.0)
        assert (fields["forecast"], fields["left"]) == ("disk full in 4 s", "0:04")


class TestFraction:
    """How much is done."""

    def test_of_frames(self, tmp_path):
        """The progress of a number of frames is received of requested, at most all."""
        line = ProgressLine(tmp_path / "run.h5", 10.0)
        assert line.fraction(stats(25, requested=100, elapsed_s=9.0)) == 0.25
        assert line.fraction(stats(101, requested=100)) == 1.0

    def test_of_time(self, tmp_path):
        """Elapsed of the seconds that were asked for."""
        line = ProgressLine(tmp_path / "run.h5", 10.0)
        assert line.fraction(stats(elapsed_s=2.5)) == 0.25
        assert line.fraction(stats(elapsed_s=11.0)) == 1.0

    def test_is_unknown_without_an_end(self, tmp_path):
        """Without an end, the time left is unknown."""
        assert ProgressLine(tmp_path / "run.h5", None).fraction(stats(5)) is None


class Running:
    """A recording that goes on for as many looks as there are figures."""

    def __init__(self, figures):
        self._figures = list(figures)

    @property
    def running(self):
        """Whether there are figures left."""
        return bool(self._figures)

    @property
    def stats(self):
        """The next figures."""
        return self._figures.pop(0)

    def join(self, timeout_s):
        """Wait for nothing."""


class TestFollow:
    """Showing it until the recording ends."""

    def test_off_a_terminal_it_prints_plain_lines(self, tmp_path):
        """One line at the start, with every field, however narrow the console; not one for each look."""
        console = Console(file=io.StringIO(), width=40)
        show_progress(Running([stats(5, requested=9)] * 3), tmp_path / "run.h5", None, console)
        text = console.file.getvalue()
        assert text.startswith("frames 5/9  rate 0 fps 0 MB/s  written 0.0 kB  ring 5/1,000  core 3/60  lost 0")
        assert text.count("\n") == 1

    @pytest.mark.parametrize("markup", [True, False])
    def test_on_a_terminal_it_rewrites_one(self, tmp_path, markup):
        """The line is gone at the end; headings are no markup."""
        console = Console(file=io.StringIO(), force_terminal=True, width=160, markup=markup)
        figures = [stats(received, requested=9) for received in (4, 5)]
        show_progress(
            Running([*figures, replace(figures[1], frames_requested=None)]), tmp_path / "run.h5", None, console
        )
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
        assert "4/9" in text
        assert "5/9" in text
        assert "disk free" in text
        assert "[dim]" not in text

    @pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
    def test_fits_the_terminal(self, tmp_path, width):
        """Nothing is cut or wrapped: fields that are least needed go, and frames, rate, ring and losses stay."""
        console = Console(file=io.StringIO(), force_terminal=True, width=width)
        figures = stats(1_604_247, requested=130_000_000, written=1_604_000, lost=1_234_567)
        show_progress(Running([figures]), tmp_path / "run.h5", None, console)
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue()).replace("\r", "\n")
        lines = [line for line in text.splitlines() if line.strip()]
        assert "\N{HORIZONTAL ELLIPSIS}" not in text
        assert all(len(line) < width for line in lines)
        assert len(set(lines)) == 2  # headings and figures, however often they were drawn
        assert "1,234,567" in text

    def test_display_that_fails_does_not_end_the_recording(self, tmp_path, disk, caplog):
        """The frames are worth more than the line; the reason is logged."""
        disk.side_effect = OSError("the network drive is gone")
        show_progress(Running([stats()]), tmp_path / "run.h5", None, Console(file=io.StringIO()))
        assert "the progress cannot be shown; the recording goes on" in caplog.text
        assert "the network drive is gone" in caplog.text


class TestRecord:
    """`Camera.record` with progress."""

    def test_calls_the_function_given(self, mock, record):
        """A script's own display is called with the figures, and the result is unchanged."""
        seen = []
        result = record(mock(), frames=50, progress=seen.append)
        assert result.complete
        assert seen
        assert all(isinstance(stats, RecordStats) and stats.frames_requested == 50 for stats in seen)

    def test_function_that_fails_does_not_end_the_recording(self, mock, record, caplog):
        """It is logged and not called again."""
        calls = []

        def fail(stats):
            calls.append(stats)
            raise RuntimeError("no window")

        assert record(mock(), frames=50, progress=fail).complete
        assert len(calls) == 1
        assert "the recording goes on" in caplog.text

    def test_shows_it_on_the_error_output_by_default(self, mock, record, capsys):
        """By default progress goes to standard error, because standard output is the script's."""
        assert record(mock(), frames=50, progress=True).complete
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "frames " in captured.err
