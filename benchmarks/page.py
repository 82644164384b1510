"""A page like docs/performance.md, made of a run's results."""

from collections.abc import Iterator, Mapping
from typing import Any

from peers import PEERS, SPOOL
from report import Summary, by_rate, number

_HEAD = """# Performance

Made by `python benchmarks/run.py --page FILE`; do not edit. The suite, and how to run it, are described in
[benchmarks/README.md](../benchmarks/README.md).
"""

_METHOD = """## How it was measured

- Each measurement is a process of its own in an empty folder. The ways of a case take turns within each round, since a
  disk's rate wanders over minutes; ratios are made within a round. Told are the median over the rounds, and minimum and
  maximum. The median decides about a target.
- The clock starts when everything is open and the first frame is handed over, and stops when everything is closed and
  `syncfs` has returned: all of it is on the device. The same rule for all. What opening took is told apart.
- All ways store the same frames: different ones, 128 MiB of them over and over (more than the processor's caches hold),
  with the offset, read noise and photon noise of an sCMOS camera. Nothing is compressed, except in the case about it.
  Afterwards the number of frames, the first, the last and a random one are compared.
- A way that is slow stores fewer frames: it stops after a given time of putting and writes what it has in hand. Its
  rate is that of the frames that it stored.
- The limit is a bare loop of direct `pwrite`s of blocks of 8 MiB (or a frame) into reserved space, from huge pages that
  are in place, with `fsync`: nothing is copied. *Beside a copy* is the same loop while another process copies as many
  bytes from memory to memory, at the loop's pace and with no other work: once is the least for whoever takes frames
  from a camera, and the copy takes of the bandwidth that the disk's transfers need. *From 4 KiB pages* is the loop with
  the memory that every program gets, of which the disk's driver takes fewer bytes at a time (how many fewer depends on
  how the pages happen to lie).
- CPU is the processor time of all processes of a way, a GB of pixels. What the kernel's own threads use to write back
  the page cache is in nobody's account, and comes on top for every way that goes through the page cache.
- Memory is the most that all processes of a way had at once, less what there was before it was opened; what they
  share counts once. The page cache is not in it.
- Before each measurement the memory that it may need was in use a moment ago. Without that, a virtual machine that
  gives free memory back to its host gets it anew at 0.5 GB/s where this was made, and every way that goes through the
  page cache measures the hypervisor (mmspool, whose ring is there before the first frame, does not care).
"""

_NOT_MEASURED = """## What is not measured

Real cameras, the Java backend, Windows and macOS, network drives and disks other than the one named above; more
than one camera at a time; frames that arrive while another program keeps the disk or the processors busy.
"""


def render(results: Mapping[str, Any], summary: Summary) -> str:
    """Return the page."""
    parts = [_HEAD, _machine(results), _METHOD, "\n".join(_targets(summary))]
    parts += ["\n".join(_case(case, told)) for case, told in summary.items()]
    parts += ["\n".join(_ways()), "\n".join(_problems(summary)), _NOT_MEASURED]
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _machine(results: Mapping[str, Any]) -> str:
    machine = results["machine"]
    packages = ", ".join(
        f"{name} {version}" for name, version in machine["packages"].items() if version != "not installed"
    )
    quick = "\n**Measured with --quick: whether it works, not how fast it is.**\n" if results["quick"] else ""
    return f"""{quick}
{machine["processor"]}, {machine["cores"]} cores, {machine["memory_bytes"] / 2**30:.0f} GiB of memory;
{machine["device"]}, {machine["file_system"]} ({machine["mount_options"]}); {machine["system"]};
Python {machine["python"]}; {packages}.
mmspool at {machine["commit"]}. {results.get("note", "")}
"""


def _targets(summary: Summary) -> Iterator[str]:
    yield "## Targets\n"
    yield "| case | figure | median | min - max | target | |"
    yield "|---|---|---|---|---|---|"
    for case, told in summary.items():
        for name, entry in told["figures"].items():
            if "target" in entry:
                verdict = "met" if entry["met"] else "**missed**"
                value = f"{_median(entry)} {entry['unit']} | {_range(entry)}"
                yield f"| {case} | {name} | {value} | {entry['target']} | {verdict} |"
    yield ""


def _case(case: str, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {case}\n"
    yield f"{told['about']} {told['rounds']} rounds.\n"
    others = {name: entry for name, entry in told["figures"].items() if "target" not in entry}
    if others:
        yield "| figure | median | min - max |"
        yield "|---|---|---|"
        for name, entry in others.items():
            yield f"| {name} | {_median(entry)} {entry['unit']} | {_range(entry)} |"
        yield ""
    if told["columns"] and told["ways"]:
        heads = [name if name == unit else f"{name}, {unit}" for name, unit in told["columns"].items()]
        yield f"| way | {' | '.join(heads)} |"
        yield f"|---|{'---|' * len(heads)}"
        for way, values in by_rate(told):
            yield f"| {_name(way)} | {' | '.join(_cell(values, name) for name in told['columns'])} |"
        yield ""


def _ways() -> Iterator[str]:
    yield "## How each way was used\n"
    for peer in (SPOOL, *PEERS.values()):
        yield f"- **{peer.name}**: {peer.how}"
    yield ""


def _problems(summary: Summary) -> Iterator[str]:
    lines = [
        f"- {case}, {way}: {problem['kind']}: {problem['reason'].splitlines()[-1]}"
        for case, told in summary.items()
        for way, problem in told["problems"].items()
    ]
    if lines:
        yield "## What could not be measured here\n"
        yield from lines


def _cell(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return ""
    entry = values[name]
    return f"{_median(entry)} ({_range(entry)})" if name == "MB/s" else _median(entry)


def _name(way: str) -> str:
    return f"**{way}**" if way.startswith("mmspool") else way


def _median(entry: Mapping[str, Any]) -> str:
    return number(entry["median"])


def _range(entry: Mapping[str, Any]) -> str:
    return f"{number(entry['min'])} - {number(entry['max'])}"
