"""Situations of the field, each with its right outcome, as data; `situation_runner` tries them.

A situation is a script, or a command line, in an empty folder. It records numbered frames to ``run.h5`` while something
happens to it. What must be there afterwards: the state, how many frames at least, each of them right.
"""

from dataclasses import dataclass

RECORDED = "complete"
SAVED = "interrupted"


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Something that happens to a recording, and what must come of it.

    Parameters
    ----------
    name
        What happens, in words.
    script
        Python source after `PREAMBLE`, or with ``shell`` a line for bash, in which ``{python}`` is the interpreter.
    shell
        Whether it is a command line.
    state
        The state that the file must have; None if there must be no file.
    frames
        How many frames the file must have, the first ones; with ``at_least`` it may have more.
    at_least
        See ``frames``.
    codes
        The exit codes that are right.
    says
        What the output must contain.
    needs
        A program, library or other means without which it cannot be tried.
    root
        Whether only root can try it.
    """

    name: str
    script: str
    shell: bool = False
    state: str | None = RECORDED
    frames: int = 200
    at_least: bool = False
    codes: tuple[int, ...] = (0,)
    says: str = ""
    needs: str = ""
    root: bool = False


PREAMBLE = """
import ctypes, gc, os, resource, signal, sys, threading, time
import numpy as np
import psutil
import mmspool
from mmspool import Spool
from support.frames import frame
from support.waiting import wait_until

def make(name="run.h5", **options):
    return Spool(name, **{"buffer_bytes": 8 << 20, "shape": (24, 32), "dtype": "<u2"} | options)

def put(spool, first, count):
    for index in range(first, first + count):
        spool.put(frame(index))

def writer(spool):
    return psutil.Process(spool._client.writer.pid)
"""

RECORD = "{python} -m mmspool record run.h5 --mock --roi 0,0,128,64 --exposure 1 --buffer-mb 16"
STRACED = "strace -qq -f -o /dev/null -e trace={call} -e inject={call}:error={error} {python} script.py"


def _signal(name: str) -> Situation:
    return Situation(
        name=f"{name} reaches the writer process alone",
        script=f"""
with make() as spool:
    put(spool, 0, 100)
    os.kill(writer(spool).pid, signal.{name})
    put(spool, 100, 100)
""",
    )


def _dies(name: str, how: str, *codes: int) -> Situation:
    return Situation(name=name, script=f"spool = make()\nput(spool, 0, 200)\n{how}", state=SAVED, codes=codes)


def _limited(name: str, before: str) -> Situation:
    return Situation(
        name=name, script=f"spool = make()\nput(spool, 0, 100)\n{before}\nput(spool, 100, 100)\nspool.close()"
    )


def _takes_over(name: str, between: str) -> Situation:
    return Situation(
        name=f"{name}, and then the writer is killed",
        script=f"""
spool = make()
put(spool, 0, 100)
{between}
writer(spool).kill()
put(spool, 100, 100)
result = spool.close()
assert result.stats.writer_restarts == 1, result
""",
    )


def _refused(call: str, error: str, words: str) -> Situation:
    return Situation(
        name=f"the kernel refuses {call} with {error}: {words}",
        script=f"cat > script.py <<'END'\n{PREAMBLE}\nwith make() as spool:\n    put(spool, 0, 200)\nEND\n"
        + STRACED.replace("{call}", call).replace("{error}", error),
        shell=True,
        needs="strace",
    )


SITUATIONS = (
    *(_signal(name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGQUIT", "SIGALRM", "SIGPIPE")),
    Situation(
        name="the writer is stopped (SIGSTOP) for a second and continued",
        script="""
with make() as spool:
    put(spool, 0, 100)
    writer(spool).suspend()
    put(spool, 100, 100)
    time.sleep(1)
    writer(spool).resume()
""",
    ),
    Situation(
        name="the script is stopped (SIGSTOP) for a second and continued",
        script="""
with make() as spool:
    put(spool, 0, 100)
    if os.fork() == 0:
        time.sleep(1)
        os.kill(os.getppid(), signal.SIGCONT)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGSTOP)
    put(spool, 100, 100)
    os.wait()
""",
    ),
    Situation(
        name="one of two spools of a script loses its writer",
        script="""
with make() as spool, make("other.h5") as other:
    put(spool, 0, 100)
    put(other, 0, 100)
    writer(other).kill()
    put(spool, 100, 100)
    put(other, 100, 100)
assert mmspool.open("other.h5").shape[0] == 200
""",
    ),
    _dies("the script calls os._exit with an open spool", "os._exit(3)", 3),
    _dies("the script aborts, with a core dump", "os.abort()", -6),
    _dies("the script dies of a segmentation fault", "ctypes.string_at(0)", -11),
    _dies("the script ends with sys.exit and an open spool", "sys.exit(5)", 5),
    _dies("the script is replaced by another program (exec)", 'os.execv("/bin/true", ["true"])', 0),
    _dies(
        "the script reaches its limit of processor time (SIGXCPU)",
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass",
        -24,
        -9,
    ),
    Situation(
        name="the interpreter ends while a daemon thread puts frames",
        script="""
spool = make()
put(spool, 0, 200)
def more():
    index = 200
    while True:
        spool.put(frame(index))
        index += 1
threading.Thread(target=more, daemon=True).start()
time.sleep(0.2)
""",
        state=SAVED,
        at_least=True,
    ),
    Situation(
        name="an exception ends a thread that records, and the main thread goes on",
        script="""
def record():
    with make() as spool:
        put(spool, 0, 200)
        raise LookupError("in the thread")
thread = threading.Thread(target=record)
thread.start()
thread.join()
""",
        state=SAVED,
        says="in the thread",
    ),
    Situation(
        name="ten threads put frames into one spool",
        script="""
lock, index = threading.Lock(), 0
with make() as spool:
    def record():
        global index
        for _ in range(20):
            with lock:
                spool.put(frame(index))
                index += 1
    threads = [threading.Thread(target=record) for _ in range(10)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
""",
    ),
    Situation(
        name="a timer's signal handler asks for stats and puts frames",
        script="""
index = 0
def handler(*_):
    spool.stats
signal.signal(signal.SIGALRM, handler)
with make() as spool:
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    put(spool, 0, 200)
    time.sleep(0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
""",
    ),
    Situation(
        name="frames are put from an executor of asyncio",
        script="""
import asyncio
async def main():
    with make() as spool:
        for index in range(200):
            await asyncio.to_thread(spool.put, frame(index))
asyncio.run(main())
""",
    ),
    _limited("garbage collection is off, threads switch each microsecond", "gc.disable()\nsys.setswitchinterval(1e-6)"),
    _limited("no further file can be opened", "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))"),
    _limited("no further memory can be mapped in the script", "resource.setrlimit(resource.RLIMIT_AS, (1, -1))"),
    _limited(
        "the script's clock is set back by an hour", "now = time.time_ns\ntime.time_ns = lambda: now() - 3600 * 10**9"
    ),
    _limited("the time zone changes", 'os.environ["TZ"] = "Pacific/Kiritimati"\ntime.tzset()'),
    _limited("the process becomes nice 19 and bound to one core", "os.nice(19)\nos.sched_setaffinity(0, {0})"),
    _takes_over("the environment is emptied", "os.environ.clear()"),
    _takes_over("the import path is emptied", "sys.path.clear()"),
    _takes_over(
        "the current folder is removed",
        'os.mkdir("gone")\nos.chdir("gone")\nos.rmdir(os.getcwd())',
    ),
    _takes_over(
        "standard input, output and error are closed", "sys.stdout.flush()\n[os.close(fd) for fd in (0, 1, 2)]"
    ),
    _takes_over(
        "sys.stdout and sys.stderr are None, as in a program without console", "sys.stdout = sys.stderr = None"
    ),
    Situation(
        name="the file is renamed while it is recorded",
        script="""
spool = make("first.h5")
put(spool, 0, 100)
wait_until(lambda: spool.stats.frames_written == 100)
os.rename("first.h5", "run.h5")
put(spool, 100, 100)
try:
    print(spool.close())
except mmspool.MmspoolError as error:
    print("MmspoolError", error)
""",
        state="",
    ),
    Situation(
        name="the path goes through a symbolic link to a folder that is changed meanwhile",
        script="""
os.mkdir("one"); os.mkdir("two"); os.symlink("one", "link")
with make("link/run.h5") as spool:
    put(spool, 0, 100)
    os.unlink("link"); os.symlink("two", "link")
    put(spool, 100, 100)
os.rename("one/run.h5", "run.h5")
""",
    ),
    Situation(
        name="two processes record to one path: the second is refused",
        script="""
import subprocess
with make() as spool:
    put(spool, 0, 100)
    code = "from mmspool import Spool; Spool('run.h5', overwrite=True)"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert second.returncode == 1 and "in use" in second.stderr, second.stderr
    put(spool, 100, 100)
""",
    ),
    Situation(
        name="a name with a new line, quotes, a leading dash and an emoji",
        script="""
name = "-a\\n'b\\" 🔬.h5"
with make(name) as spool:
    put(spool, 0, 200)
os.rename(name, "run.h5")
""",
    ),
    Situation(name="Python is optimised (-OO)", script="PYTHONOPTIMIZE=2 " + RECORD + " -n 50", shell=True, frames=50),
    Situation(
        name="Python runs in development mode with errors for warnings",
        script="PYTHONDEVMODE=1 PYTHONWARNINGS=error,ignore::DeprecationWarning:importlib " + RECORD + " -n 50",
        shell=True,
        frames=50,
    ),
    Situation(
        name="the allocator is another one that fills freed memory",
        script="MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=1 PYTHONMALLOC=malloc_debug " + RECORD + " -n 50",
        shell=True,
        frames=50,
    ),
    Situation(
        name="the command's output goes to a full device",
        script=RECORD + " -n 50 > /dev/full",
        shell=True,
        frames=50,
    ),
    Situation(
        name="what is asked of a recording goes to a full device",
        script=RECORD + " -n 50; {python} -m mmspool info run.h5 > /dev/full",
        shell=True,
        frames=50,
        codes=(1,),
        says="Cannot write the output: No space left on device",
    ),
    Situation(
        name="the reader of the command's output ends at once",
        script=RECORD + " -n 50 | true",
        shell=True,
        frames=50,
    ),
    Situation(
        name="the command starts with all three standard streams closed",
        script=RECORD + " -n 50 <&- >&- 2>&-",
        shell=True,
        frames=50,
        codes=(0, 1),
    ),
    Situation(
        name="the command runs under nohup, in a session of its own",
        script="setsid --wait nohup " + RECORD + " -n 50",
        shell=True,
        frames=50,
    ),
    Situation(
        name="a batch system or systemd ends the command with SIGTERM",
        script=RECORD
        + """ -n 1000000 &
pid=$!
until {python} -c "import mmspool; assert len(mmspool.open('run.h5')) > 5" 2>/dev/null; do sleep 0.1; done
kill -TERM $pid
wait $pid
""",
        shell=True,
        state=SAVED,
        frames=1,
        at_least=True,
        codes=(130, 143),
    ),
    Situation(
        name="/proc is not mounted",
        script='unshare -m sh -c \'umount -l /proc; cd "$PWD"; ' + RECORD + " -n 50'",
        shell=True,
        frames=50,
        needs="unshare",
        root=True,
    ),
    Situation(
        name="/dev/shm is not mounted",
        script="unshare -m sh -c 'umount -l /dev/shm; rmdir /dev/shm 2>/dev/null; " + RECORD + " -n 50'",
        shell=True,
        frames=50,
        needs="unshare",
        root=True,
    ),
    Situation(
        name="the network is not there",
        script="unshare -n " + RECORD + " -n 50",
        shell=True,
        frames=50,
        needs="unshare",
        root=True,
    ),
    _refused("memfd_create", "EPERM", "a strict seccomp profile"),
    _refused("madvise", "EINVAL", "a kernel without huge pages"),
    _refused("fallocate", "EOPNOTSUPP", "a file system without it"),
    _refused("statx", "ENOSYS", "an old kernel"),
    _refused("pidfd_open", "ENOSYS", "an old kernel"),
    _refused("prctl", "EPERM", "a strict seccomp profile"),
    _refused("sched_setaffinity", "EPERM", "a container"),
    _refused("setpriority", "EACCES", "a container"),
    _refused("ioctl", "ENOTTY", "a container"),
    _refused("rename,renameat,renameat2", "EPERM", "a file system without it"),
    _refused("flock", "ENOLCK", "a network drive without locks"),
)
