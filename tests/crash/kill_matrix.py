"""Kill recordings at every step and at random instants, and look what is left.

``python tests/torture.py kill-matrix --kills 1000 [--seed 1]``

Victims are the writer process (a new one must take over, and nothing is lost), the user's process (the writer
process must write what the ring holds and close the file), both at once (what was counted as written must be there and
right, the ring at most is lost) and `repair` (which must be able to do it again).

A step is a system call that changes the file: strace kills the process when it is about to make its n-th.
"""

# ruff: noqa: T201 - it is a command

import argparse
import collections
import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import h5py
from crash.harness import Phase, Plan, Producer, Slot
from support.frames import check_frames
from support.paths import environment
from support.processes import LIMIT_S, ended, kill, other_threads
from support.strace import need_strace, traced
from support.values import check_places, check_values
from support.waiting import wait_until

import mmspool
from mmspool.persistence import repair, verify

CALLS = ("pwrite64", "fdatasync", "fallocate", "ftruncate")
LEDGER = "entry/instrument/detector/ledger"
TAKEOVERS = 10
WITHIN_A_CHANGE = ("it counts", "sequence_number skips")
"""What verify may see when the kill was between two writes that belong together; the file opens, and repair ends it."""

STEPS = Plan(
    path="",
    frames=47,
    pauses=(12, 33),
    stop=13,
    losses=(25, 40),
    columns=True,
    slots=True,
    block_bytes=64 << 10,
    growth_bytes=128 << 10,
    options={
        "grow_frames": 20,
        "sync_interval_s": 0.05,
        "plan": [{"z_um": z / 4, "name": f"{z} µ"} for z in range(53)],
    },
)
"""A short recording with everything: three growths, blocks written in parts, losses, columns, slots, a plan, syncs."""

PLAIN = replace(
    STEPS,
    shape=(8, 8),
    losses=(),
    columns=False,
    slots=False,
    block_bytes=640,
    growth_bytes=1,
    options={**STEPS.options, "direct": False, "checksum": False, "plan": None},
)
"""The same through the page cache, without losses, columns, plan and checksums."""

PACKED = replace(STEPS, options={**STEPS.options, "compression": "fast", "plan": {"trigger": None, "frame": 4}})
"""The same compressed, with a plan that goes on without end."""

COLOUR = replace(STEPS, shape=(64, 21, 3))
"""The same in colour, blocks of many frames; the steps are taken from all in turn."""

RANDOM = (
    Plan(path="", shape=(8, 8), frames=300_000),
    Plan(path="", shape=(8, 8), frames=30_000, growth_bytes=64 << 10),
    Plan(path="", shape=(64, 64), frames=10_000),
    Plan(path="", shape=(64, 64), frames=3_000, block_bytes=64 << 10, growth_bytes=512 << 10),
    Plan(path="", shape=(64, 64), frames=300, block_bytes=256 << 10, growth_bytes=512 << 10, pace_s=0.001),
    Plan(path="", shape=(512, 512), frames=200),
    Plan(path="", shape=(64, 64), frames=2_500, growth_bytes=512 << 10, columns=True),
    Plan(path="", shape=(512, 512), frames=180, slots=True, options={"plan": [{"z_um": z / 4} for z in range(180)]}),
    Plan(path="", frames=2_500, growth_bytes=512 << 10, options={"plan": {"trigger": None, "frame": 4}}),
    Plan(path="", shape=(1003, 777), frames=80),
    Plan(path="", shape=(1003, 777), frames=60, options={"grow_frames": 7}),
    Plan(path="", shape=(64, 64), frames=2_000, growth_bytes=512 << 10, options={"compression": "universal"}),
    Plan(path="", shape=(512, 512), frames=150, options={"compression": "fast"}),
    Plan(path="", shape=(171, 170, 3), frames=500, growth_bytes=2 << 20),
    Plan(path="", shape=(256, 341, 3), frames=150, options={"compression": "fast"}),
)
"""Recordings of about half a second, tiny and larger frames, with growths that are rare and frequent."""


@dataclass
class Tally:
    """What came out of the kills of one victim."""

    kills: int = 0
    frames: int = 0
    lost: int = 0
    said: int = 0
    between: int = 0
    empty: int = 0
    takeover_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """One recording that is disturbed: a name to find it again, and what to do in a folder of its own."""

    victim: str
    name: str
    run: Callable[[Path], Tally]
    kills: int = 1


@dataclass(frozen=True)
class Killed:
    """A file that was not closed, how many frames were put, and how many are lost once it is repaired."""

    path: Path
    returned: int
    lost: int


# What must hold afterwards.


def check_closed(path: Path, frames: int, state: str, lost: int) -> None:
    """Look at a recording that was closed: exact, intact, with nothing left for repair to do."""
    with h5py.File(path, "r") as file:
        assert file["data"].shape[0] == frames, f"{file['data'].shape[0]} frames instead of {frames}"
        assert file[LEDGER]["frames_written"][()] == frames
        check_frames(file["data"], frames)
    with mmspool.open(path) as recording:
        assert (len(recording), recording.state, recording.frames_lost) == (frames, state, lost), repr(recording)
        check_columns(recording)
    report = verify(path)
    assert report.intact, report
    before = path.read_bytes() if path.stat().st_size < 8 << 20 else b""
    assert not repair(path).needed
    assert not before or path.read_bytes() == before


def check_columns(recording: mmspool.Recording) -> None:
    """Look whether each frame has its values and its place, where frames have any."""
    if recording.columns:
        check_values(recording)
    check_places(recording)


def check_writer(path: Path, producer: Producer, kills: int) -> Tally:
    """Look whether nothing is lost, and file and statistics say how often a new process took over."""
    plan, result = producer.plan, producer.result()
    assert "error" not in result, result
    lost = 3 * len(plan.losses)
    state = "incomplete" if lost else "complete"
    assert (result["frames"], result["lost"], result["state"]) == (plan.frames, lost, state), result
    assert result["restarts"] == kills, f"{kills} kills, {result['restarts']} restarts"
    check_closed(path, plan.frames, state, lost)
    with h5py.File(path, "r") as file:
        assert file[LEDGER]["writer_restarts"][()] == kills
        assert file[LEDGER]["frames_durable"][()] == plan.frames
    return Tally(kills, plan.frames)


def check_producer(path: Path, producer: Producer) -> Tally:
    """Look whether the writer process wrote all frames that were put, closed the file and ended."""
    producer.process.wait(LIMIT_S)
    producer.wait_for_nothing_left()
    returned = producer[Slot.RETURNED]
    if not returned and (not path.exists() or not path.stat().st_size):
        return Tally(1, empty=1)
    with mmspool.open(path) as recording:
        frames, state, lost = len(recording), recording.state, recording.frames_lost
    losses = 3 * sum(returned >= first for first in producer.plan.losses)
    assert returned <= frames <= returned + 1, f"put returned for {returned} frames, {frames} are there"
    assert losses <= lost <= losses + 3
    if producer[Slot.PHASE] < Phase.ALL_PUT:
        assert state == "interrupted", state
    check_closed(path, frames, state, lost)
    return Tally(1, frames)


def check_both(path: Path, producer: Producer) -> Tally:
    """Look at what is left when both were killed at once."""
    returned, ring = producer[Slot.RETURNED], producer[Slot.RING_FRAMES]
    producer.process.wait(LIMIT_S)
    producer.wait_for_nothing_left()
    return check_left(path, returned, ring, producer.plan)


def check_left(path: Path, returned: int, ring: int, plan: Plan) -> Tally:
    """Look whether all that was counted is there and right, and what repair finds; it must be able to do it again."""
    tally = Tally(1)
    try:
        with h5py.File(path, "r") as file:
            counted = int(file[LEDGER]["frames_written"][()])
            assert file["data"].shape[0] >= counted
            check_frames(file["data"], counted)
        with mmspool.open(path) as recording:
            assert len(recording) == counted
            check_columns(recording)
            state = recording.state
            verified = verify(path)
            tally.between = int(not verified.intact)
            assert all(line.startswith(WITHIN_A_CHANGE) for line in verified.damage), verified
    except (OSError, KeyError, mmspool.RecordingError):
        if returned:
            raise
        tally.empty = 1
        return tally  # it was killed before there was a file to record to
    before = path.stat()
    found = repair(path, dry_run=True)
    assert path.stat().st_mtime_ns == before.st_mtime_ns, "a dry run changed the file"
    done = repair(path)
    assert done == found, f"found {found}, did {done}"
    assert done.needed == (state == "recording" or done.journal_entries > 0)
    assert counted <= done.frames_written <= returned + 1, (
        f"{counted} counted, {done.frames_written} found, {returned} put"
    )
    tally.frames, tally.lost, tally.said = (
        done.frames_written,
        max(0, returned - done.frames_written),
        done.frames_unwritten,
    )
    assert tally.lost <= ring, f"{tally.lost} frames lost, more than the ring's {ring}"
    assert done.frames_written + done.frames_unwritten <= returned + 1
    was_ended = done.state != "recording"  # then the frames of the ring, if any, were entered before the kill
    with mmspool.open(path) as recording:
        lost, state = recording.frames_lost, recording.state
    possible = {3 * count + done.frames_unwritten for count in range(len(plan.losses) + 1)}
    assert was_ended or lost in possible, f"{lost} lost frames in the ledger, not one of {possible}"
    check_closed(path, done.frames_written, state, lost)
    return tally


# How it is disturbed.


def kill_at_step(victim: str, role: str, call: str, nth: int, folder: Path) -> Tally:
    """Kill the writer, or with it the producer, when a thread of the writer is about to make its n-th such call."""
    path = folder / "run.h5"
    plan = (STEPS, PLAIN, PACKED, COLOUR)[(nth + (victim == "both")) % 4]
    with Producer(replace(plan, path=str(path))) as producer:
        producer.wait_for_phase(Phase.READY)
        writer = producer.writer
        threads = [writer]
        if role == "housekeeping":
            producer.order()
            producer.wait_for_phase(Phase.STOPPED)
            threads = other_threads(writer)
        with traced(threads, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={nth}"):
            producer.order()
            if role == "main":
                producer.wait_for(
                    lambda: ended(writer) or producer[Slot.PHASE] >= Phase.STOPPED, "the first frames are put"
                )
                if victim == "writer" or not ended(writer):
                    producer.wait_for_phase(Phase.STOPPED)
                    producer.order()
            wait_until(lambda: ended(writer), "the writer process ends")
            if victim == "both":
                producer.kill_all()
        if victim == "both":
            return check_both(path, producer)
        return check_writer(path, producer, restarts(producer))


def kill_producer_at_step(call: str, nth: int, folder: Path) -> Tally:
    """Kill the producer when one of its threads is about to make its n-th such call."""
    path = folder / "run.h5"
    with Producer(replace(STEPS, path=str(path), stop=-1)) as producer:
        producer.wait_for_phase(Phase.READY)
        inject = f"inject={call}:signal=SIGKILL:when={nth}"
        with traced([producer.pid], "-f", "-e", f"trace={call}", "-e", inject):
            producer.order()
            wait_until(lambda: producer.process.poll() is not None, "the producer ends")
        return check_producer(path, producer) if producer.process.returncode else Tally()


def kill_at_random(victim: str, seed: str, folder: Path) -> Tally:
    """Kill at a random instant of a random recording."""
    rng = random.Random(seed)
    path = folder / "run.h5"
    with Producer(random_plan(rng, path)) as producer:
        producer.wait_for_phase(Phase.READY)
        writer = producer.writer
        producer.order()
        wait_for_instant(rng, producer)
        if victim == "writer":
            started = time.monotonic()
            kill(writer)
            before = producer[Slot.WRITTEN]
            seen = producer[Slot.PHASE] < Phase.ALL_PUT
            if seen:
                producer.wait_for(
                    lambda: producer[Slot.WRITTEN] > before or producer[Slot.PHASE] >= Phase.ALL_PUT, "it goes on"
                )
            took = time.monotonic() - started
            tally = check_writer(path, producer, restarts(producer))
            tally.takeover_s = [took] * seen
            return tally
        if victim == "takeover":  # the writer, and the producer while a new one takes over
            kill(writer)
            wait_until(lambda: any(pid != writer for pid in producer.writers()) or at_end(producer), "a new one starts")
            time.sleep(rng.random() * 0.5)  # the instant is what is tested
            if at_end(producer):
                return check_writer(path, producer, restarts(producer))
            victim = rng.choice(["producer", "both"])
            if victim == "producer" and not any(producer.is_told(pid) for pid in producer.writers() if pid != writer):
                # The new process may not know what to take over: it is as good as dead.
                kill(producer.pid)
                producer.process.wait(LIMIT_S)
                producer.wait_for_nothing_left()
                return check_both(path, producer)
        if victim == "producer":
            kill(producer.pid)
            producer.process.wait(LIMIT_S)
            return check_producer(path, producer)
        producer.kill_all()
        return check_both(path, producer)


def kill_again_and_again(seed: str, folder: Path) -> Tally:
    """Kill one writer process after the other of one recording."""
    rng = random.Random(seed)
    path = folder / "run.h5"
    plan = random_plan(rng, path)
    plan = replace(plan, hold=True, pace_s=4.0 / plan.frames if plan.frames < 4000 else 0.0)
    kills, takeovers = 0, []
    with Producer(plan) as producer:
        producer.wait_for_phase(Phase.READY)
        producer.order()
        for _ in range(TAKEOVERS):
            wait_for_instant(rng, producer)
            before, writer = producer[Slot.WRITTEN], producer.writer
            started = time.monotonic()
            kill(writer)
            kills += 1
            producer.wait_for(lambda old=writer: producer.writer != old, "a new process takes over")
            if before == plan.frames:
                break
            producer.wait_for(lambda written=before: producer[Slot.WRITTEN] > written, "the new process writes")
            takeovers.append(time.monotonic() - started)
        producer.wait_for_phase(Phase.ALL_PUT)
        producer.order()
        tally = check_writer(path, producer, kills)
    tally.takeover_s = takeovers
    return tally


def kill_repair(killed: list[Killed], call: str, nth: int, folder: Path) -> Tally:
    """Kill a repair when it is about to make its n-th such call; another one must be able to do it all."""
    path = folder / "run.h5"
    source = killed[nth % len(killed)]
    shutil.copy(source.path, path)
    code = f"import sys; from mmspool.persistence import repair; print(flush=True); input(); repair({str(path)!r})"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        with traced([process.pid], "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={nth}"):
            process.stdin.write(b"\n")
            process.stdin.close()
            code_ = process.wait(LIMIT_S)
    tally = check_left(path, source.returned, 1 << 20, STEPS)
    with mmspool.open(path) as recording:
        assert recording.frames_lost == source.lost, f"{recording.frames_lost} lost, {source.lost} without the kill"
    tally.kills = int(code_ != 0)
    return tally


def restarts(producer: Producer) -> int:
    """Return how many new processes the spool says took over: 1, or none if the kill came after the end."""
    count = int(producer.result().get("restarts", -1))
    assert count in (0, 1), producer.result()
    return count


def at_end(producer: Producer) -> bool:
    """Return whether the producer has nothing more to put."""
    return producer.process.poll() is not None or producer[Slot.PHASE] == Phase.ENDED


def random_plan(rng: random.Random, path: Path) -> Plan:
    """Choose what is recorded, and how."""
    plan = rng.choice(RANDOM)
    options = {"direct": rng.random() < 0.6, "checksum": rng.random() < 0.8, "sync_interval_s": rng.choice([0.02, 1.0])}
    return replace(plan, path=str(path), options={**plan.options, **options})


def wait_for_instant(rng: random.Random, producer: Producer) -> None:
    """Wait for a random number of frames and then a moment; in one of six cases until all are put."""
    done = producer[Slot.RETURNED]
    left = producer.plan.frames - done
    goal = done + (left if rng.random() < 1 / 6 else rng.randint(0, left // 3))
    producer.wait_for(
        lambda: producer[Slot.RETURNED] >= goal or producer[Slot.PHASE] >= Phase.ALL_PUT, f"{goal} frames are put"
    )
    time.sleep(rng.random() * rng.choice([0.0, 0.003, 0.03, 0.1]))  # the instant is what is tested


# Which cases there are.


def count_steps(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Record once undisturbed; yield how often the writer's threads make which call."""
    path = folder / "count.h5"
    with Producer(replace(STEPS, path=str(path))) as producer:
        producer.wait_for_phase(Phase.READY)
        writer = producer.writer
        with traced([writer], "-f", "-e", f"trace={','.join(CALLS)}") as log:
            producer.order()
            producer.wait_for_phase(Phase.STOPPED)
            producer.order()
            assert check_writer(path, producer, 0).frames == STEPS.frames
            wait_until(lambda: ended(writer), "the writer process ends")
            wait_until(lambda: "+++ exited" in log.read_text(), "strace ends")
            lines = [line.split(None, 1) for line in log.read_text().splitlines()]
    for role in ("main", "housekeeping"):
        of_role = [what for thread, what in lines if (int(thread) == writer) == (role == "main")]
        for call in CALLS:
            yield role, call, sum(what.startswith(f"{call}(") for what in of_role)
    path.unlink()


def room(path: Path) -> int:
    """Return how many frames a file has room for; 0 if it cannot be opened just now."""
    try:
        with h5py.File(path, "r") as file:
            return int(file["data"].shape[0])
    except OSError:
        return 0


def make_killed_files(folder: Path) -> list[Killed]:
    """Make files whose writer was killed with a ring to be lost: as it comes, and where the file knows of the ring.

    There is no room for the last growth, so that the older one of the journal's records is of a file with fewer frames
    than are counted.
    """
    path = folder / "killed.h5"
    with Producer(replace(STEPS, path=str(path), frames=38, hold=True)) as producer:
        producer.wait_for_phase(Phase.READY)
        producer.order()
        producer.wait_for_phase(Phase.STOPPED)
        growing = other_threads(producer.writer)
        wait_until(lambda: room(path) == 2 * STEPS.options["grow_frames"], "the second increment is there")
        with traced(growing, "-e", "trace=fallocate", "-e", "inject=fallocate:error=ENOSPC"):
            producer.order()
            producer.wait_for_phase(Phase.ALL_PUT)
            producer.kill_all()
        producer.process.wait(LIMIT_S)
        returned = producer[Slot.RETURNED]
    assert room(path) == 2 * STEPS.options["grow_frames"]
    knowing = Path(shutil.copy(path, folder / "knowing.h5"))
    with h5py.File(knowing, "r") as file:
        place = file[LEDGER]["frames_put"].id.get_offset()
    with knowing.open("r+b") as raw:
        raw.seek(place)
        raw.write(returned.to_bytes(8, "little"))
    killed = []
    for source in (path, knowing):
        repaired = shutil.copy(source, folder / "repaired.h5")
        repair(repaired)
        with mmspool.open(repaired) as recording:
            killed.append(Killed(source, returned, recording.frames_lost))
    return killed


def all_cases(folder: Path, seed: int, kills: int) -> list[Case]:
    """Return cases for so many kills: the steps, evenly if not all fit, and random instants."""
    steps = [
        Case(victim, f"{victim} at {role} {call} {nth}", partial(kill_at_step, victim, role, call, nth))
        for role, call, count in count_steps(folder)
        for nth in range(1, count + 1)
        for victim in ("writer", "both")
    ]
    killed = make_killed_files(folder)
    for call, count in (("pwrite64", 45), ("fdatasync", 6), ("ftruncate", 4)):
        steps += [
            Case("repair", f"repair at {call} {nth}", partial(kill_repair, killed, call, nth))
            for nth in range(1, count + 1)
        ]
    for call, count in (("write", 20), ("mmap", 4), ("futex", 40)):
        steps += [
            Case("producer", f"producer at {call} {nth}", partial(kill_producer_at_step, call, nth))
            for nth in range(1, count + 1)
        ]
    wanted = min(len(steps), kills // 2)
    rng = random.Random(seed)
    cases = [steps[(index * len(steps) + rng.randrange(len(steps))) // wanted % len(steps)] for index in range(wanted)]
    if wanted == len(steps):
        cases = steps
    missing = kills - len(cases)
    for index in range(missing):
        if missing <= 0:
            break
        name = f"{seed}-{index}"
        if index % 12 == 0 and missing > TAKEOVERS:
            cases.append(Case("writers", f"writers {name}", partial(kill_again_and_again, name), TAKEOVERS))
            missing -= TAKEOVERS
        else:
            victim = ("both", "producer", "both", "writer", "takeover")[index % 5]
            cases.append(Case(victim, f"{victim} at random {name}", partial(kill_at_random, victim, name)))
            missing -= 1
    rng.shuffle(cases)
    return cases


def run(cases: list[Case], folder: Path, jobs: int) -> tuple[dict[str, Tally], list[str]]:
    """Run the cases; return what came out by victim, and what went wrong."""
    tallies: dict[str, Tally] = collections.defaultdict(Tally)
    failures: list[str] = []
    # Not threads: a process that one starts has, for a moment, the locked files that another has open.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        places = [folder / str(number) for number in range(len(cases))]
        for case, (result, failure) in zip(cases, pool.map(run_one, cases, places), strict=True):
            add(tallies[case.victim], result)
            if failure:
                failures.append(failure)
                print(f"FAILED: {failure}", flush=True)
    return tallies, failures


def run_one(case: Case, place: Path) -> tuple[Tally, str]:
    """Run a case in a folder of its own; return what came out, and what went wrong, if anything."""
    place.mkdir()
    try:
        result = case.run(place)
    except Exception:  # noqa: BLE001 - each is reported
        return Tally(), f"{case.name} ({place}):\n{traceback.format_exc()}"
    shutil.rmtree(place)
    return result, ""


def add(total: Tally, one: Tally) -> None:
    """Add up."""
    for name, value in vars(one).items():
        setattr(total, name, getattr(total, name) + value)


def report(tallies: dict[str, Tally]) -> str:
    """Return the figures as a table."""
    total = Tally()
    titles = ("victim", "kills", "frames checked", "lost", "said", "needed repair", "before")
    lines = ["{:10} {:>6} {:>15} {:>7} {:>7} {:>14} {:>7}".format(*titles)]
    for victim, tally in [*sorted(tallies.items()), ("all", total)]:
        lines.append(
            f"{victim:10} {tally.kills:6,} {tally.frames:15,} {tally.lost:7,} {tally.said:7,} {tally.between:14,} "
            f"{tally.empty:7,}"
        )
        add(total, tally)
    took = sorted(total.takeover_s)
    if took:
        lines.append(f"take-over: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s ({len(took)})")
    lines.append(
        "lost: frames of the ring that died with it (victim both). said: those that repair entered as lost.\n"
        "needed repair: killed between writes that belong together; all counted frames are there.\n"
        "before: killed before the file was made."
    )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the matrix; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Kill recordings and look what is left.")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    parser.add_argument("--folder", type=Path, default=None, help="where to record (a temporary folder)")
    options = parser.parse_args(arguments)
    need_strace()
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="mmspool-kills-", dir=options.folder))
    cases = [case for case in all_cases(folder, options.seed, options.kills) if options.only in case.name]
    tallies, failures = run(cases, folder, options.jobs)
    print(report(tallies))
    print(f"{len(cases)} recordings, {len(failures)} with a broken promise, {time.monotonic() - started:.0f} s")
    if failures:
        print(f"the files are in {folder}")
    else:
        shutil.rmtree(folder)
    return bool(failures)
