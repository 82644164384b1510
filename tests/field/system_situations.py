"""Situations that the system makes: limits, kernels that refuse, allocators, clocks, file systems; see `situations`."""

from field.situations import PREAMBLE, RECORD, SAVED, Situation

_GROUPS = """
from pathlib import Path
from support import control_groups
from support.control_groups import group, join, limit
from support.processes import ended
"""

# The script that lives in a group of its own; the one around it removes the group.
_IN_GROUP = """
import subprocess
with group("{controller}") as place:
    limit(place, "memory", {bytes})
    child = subprocess.run([sys.executable, "-c", {source!r}, str(place)])
print("ended with", child.returncode, flush=True)
sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)
"""
_MEMORY = 512 << 20


def _in_memory_group(name: str, source: str, **expected: object) -> Situation:
    inner = f"{PREAMBLE}\n{_GROUPS}\njoin(Path(sys.argv[1]))\n{source}"
    outer = _IN_GROUP.replace("{controller}", "memory").replace("{bytes}", str(_MEMORY))
    return Situation(
        name=name,
        script=_GROUPS + outer.replace("{source!r}", repr(inner)),
        needs="memory group",
        **expected,  # type: ignore[arg-type]
    )


def _limited_threads(name: str, then: str) -> Situation:
    return Situation(
        name=name,
        script=f"""{_GROUPS}
with group("pids") as place:
    join(place)
    spool = make()
    put(spool, 0, 100)
    wait_until(lambda: spool.stats.frames_durable == 100)
    limit(place, "pids", int((place / "pids.current").read_text()))
    try:
        threading.Thread(target=print).start()
    except RuntimeError as error:
        print("refused:", error)
    {then}
    put(spool, 100, 100)
    spool.close()
""",
        says="refused: can't start new thread",
        needs="pids group",
    )


def _refused_all(name: str, profile: str) -> Situation:
    return Situation(
        name=name,
        script=f"""
from support import seccomp
seccomp.refuse(seccomp.{profile})
spool = make()
put(spool, 0, 100)
wait_until(lambda: spool.stats.frames_written == 100)
writer(spool).kill()
put(spool, 100, 100)
assert spool.close().stats.writer_restarts == 1
""",
        needs="seccomp",
    )


def _preloaded(library: str) -> Situation:
    return Situation(
        name=f"another allocator is preloaded: {library}",
        script=f"LD_PRELOAD=$(echo /usr/lib/*/{library}) {RECORD} -n 50 --compression fast",
        shell=True,
        frames=50,
        needs=library,
    )


SYSTEM_SITUATIONS = (
    _in_memory_group(
        "the script takes all memory of its control group: the kernel's OOM killer kills it",
        "spool = make()\nput(spool, 0, 200)\nhog = []\nwhile True: hog.append(np.ones(1 << 19))",
        state=SAVED,
        codes=(137,),
        says="ended with -9",
    ),
    _in_memory_group(
        "the OOM killer chooses the writer (its oom_score_adj is the highest)",
        """
spool = make()
put(spool, 0, 100)
victim = writer(spool).pid
Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
# Another process takes all memory: after the writer, it is the largest.
import subprocess
hog = subprocess.run([sys.executable, "-c", "b'x' * (2 << 30)"])
assert hog.returncode == -signal.SIGKILL
wait_until(lambda: ended(victim))
put(spool, 100, 100)
assert spool.close().stats.writer_restarts >= 1
""",
    ),
    _limited_threads("no further thread or process can be started (a limit of the control group)", "pass"),
    _limited_threads(
        "no further thread or process can be started, and then the writer is killed", "writer(spool).kill()"
    ),
    Situation(
        name="no thread can be started from the beginning: the spool is refused",
        script=f"""{_GROUPS}
with group("pids") as place:
    join(place)
    limit(place, "pids", int((place / "pids.current").read_text()))
    try:
        make()
    except mmspool.StorageError as error:
        print("StorageError:", error)
""",
        state=None,
        says="could not be started: ",
        needs="pids group",
    ),
    Situation(
        name="the writer is stopped, the script is killed, and the writer is continued",
        script="""
spool = make()
put(spool, 0, 100)
stopped = writer(spool)
stopped.suspend()
put(spool, 100, 100)
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent: time.sleep(0.01)
    stopped.resume()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
""",
        state=SAVED,
        codes=(-9,),
    ),
    Situation(
        name="the script aborts, and its core of 200 MB is dumped while the writer empties the ring",
        script="""
most = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
big = np.ones(25 << 20)
spool = make()
put(spool, 0, 200)
os.abort()
""",
        state=SAVED,
        codes=(-6,),
    ),
    Situation(
        name="the computer sleeps for eight hours in the middle (imitated: the boot and wall clocks jump)",
        script="""
booted, wall = time.clock_gettime_ns, time.time_ns
asleep = 8 * 3600 * 10**9
with make() as spool:
    put(spool, 0, 100)
    time.clock_gettime_ns = lambda clock: booted(clock) + asleep * (clock == time.CLOCK_BOOTTIME)
    time.time_ns = lambda: wall() + asleep
    put(spool, 100, 100)
with mmspool.open("run.h5") as run:
    times = run.frame_table()["time"]
    assert 8 * 3600 <= times[100] - times[99] < 8 * 3600 + 60, times[98:102]
    assert times[99] - times[0] < 60 and times[199] - times[100] < 60
assert not [note for note in mmspool.verify("run.h5").notes if "clock" in note]
""",
    ),
    Situation(
        name="the computer slept for eleven days before: the boot and monotonic clocks differ (a time namespace)",
        script="unshare -T --boottime 1000000 --monotonic 5000 --fork " + RECORD + " -n 50",
        shell=True,
        frames=50,
        needs="unshare",
        root=True,
    ),
    _preloaded("libjemalloc.so.2"),
    _preloaded("libtcmalloc_minimal.so.4"),
    _refused_all("Docker's default seccomp profile, and the writer is killed", "DOCKER"),
    _refused_all(
        "the same profile without memfd_create, madvise, fallocate and io_*, and the writer is killed", "STRICT"
    ),
    _refused_all(
        "a kernel in user space, like gVisor (imitated by 16 refused calls), and the writer is killed", "GVISOR"
    ),
    Situation(
        name="Python was built without _posixshmem",
        script="""
echo 'import sys; sys.modules["_posixshmem"] = None' > sitecustomize.py
PYTHONPATH="$PWD:$PYTHONPATH" """
        + RECORD
        + " -n 50",
        shell=True,
        frames=50,
    ),
)
