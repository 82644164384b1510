"""A disk that may forget: what a power cut may leave of a file, by the rules and nothing but the rules.

What was complete when a sync began is there once that sync has ended. Everything later is there or is not, each page
or sector by itself, whatever the order of the calls, direct I/O no different. A page or sector that was written
several times since has any of these contents. The file has any of the sizes that it had since.
"""

import random
from dataclasses import dataclass, field

from powercut.traced_run import Op

PAGE = 4096
SECTOR = 512

STRATEGIES = ("nothing", "everything", "pages", "sectors", "all but one", "one alone", "by write")


@dataclass(slots=True)
class _Page:
    """A page that is not what the disk certainly has: the operations since, with the content after each."""

    versions: list[tuple[Op, bytes]] = field(default_factory=list)


class Disk:
    """A file on a disk, as operations come in: `apply` them, then take any number of `image`."""

    def __init__(self, content: bytes = b"") -> None:
        self._base = bytearray(content)
        self._size = len(content)
        self._sizes: list[tuple[Op, int]] = []
        self._pages: dict[int, _Page] = {}
        self._covered: dict[int, set[int]] = {}
        self._complete: set[int] = set()

    def apply(self, op: Op, ends: bool) -> None:
        """Take note that an operation begins or ends."""
        if op.kind == "sync":
            if not ends:
                self._covered[id(op)] = set(self._complete)
            else:
                self._settle(self._covered.pop(id(op)))
        elif ends:
            self._complete.add(id(op))
        elif op.kind == "write":
            self._write(op, op.offset, op.data)
        else:
            self._resize(op)

    def image(self, chance: random.Random, strategy: str) -> bytes:
        """Return what a power cut may leave at this moment."""
        size = self._size
        if self._sizes:
            choices = [size, *(later for _, later in self._sizes)]
            size = {"nothing": choices[0], "everything": choices[-1]}.get(strategy) or chance.choice(choices)
            if strategy in ("all but one", "one alone") and chance.random() < 0.5:
                size = choices[-1]
        image = bytearray(max(size, len(self._base)))
        image[: len(self._base)] = self._base
        special = chance.choice(sorted(self._pages)) if self._pages else None
        kept = self._kept_writes(chance) if strategy == "by write" else set()
        for number, page in self._pages.items():
            place = number * PAGE
            if place >= size:
                continue
            contents = [self._durable(number), *(content for _, content in page.versions)]
            if strategy == "by write":
                chosen = contents[max((i for i, (op, _) in enumerate(page.versions, 1) if id(op) in kept), default=0)]
            else:
                chosen = _choose(contents, chance, strategy, number == special)
            if len(image) < place + PAGE:
                image.extend(bytes(place + PAGE - len(image)))
            image[place : place + PAGE] = chosen
        return bytes(image[:size].ljust(size, b"\0"))

    def _kept_writes(self, chance: random.Random) -> set[int]:
        """Choose whole operations: those of one kind of page may be ahead of the others by any amount."""
        share = chance.choice((0.1, 0.5, 0.9))
        ops = {id(op) for page in self._pages.values() for op, _ in page.versions}
        return {op for op in sorted(ops) if chance.random() < share}

    def _durable(self, number: int) -> bytes:
        return bytes(self._base[number * PAGE : (number + 1) * PAGE]).ljust(PAGE, b"\0")

    def _latest(self, number: int) -> bytes:
        page = self._pages.get(number)
        return page.versions[-1][1] if page else self._durable(number)

    def _write(self, op: Op, offset: int, data: bytes) -> None:
        end = offset + len(data)
        for number in range(offset // PAGE, -(-end // PAGE)):
            low, high = max(offset, number * PAGE), min(end, (number + 1) * PAGE)
            content = bytearray(self._latest(number))
            content[low - number * PAGE : high - number * PAGE] = data[low - offset : high - offset]
            self._pages.setdefault(number, _Page()).versions.append((op, bytes(content)))
        if end > self.size:
            self._sizes.append((op, end))

    def _resize(self, op: Op) -> None:
        if op.size > self.size or (op.size < self.size and not op.grows):
            if op.size < self.size:
                for number in range(op.size // PAGE, -(-self.size // PAGE)):
                    kept = self._latest(number)[: max(0, op.size - number * PAGE)]
                    self._pages.setdefault(number, _Page()).versions.append((op, kept.ljust(PAGE, b"\0")))
            self._sizes.append((op, op.size))

    @property
    def size(self) -> int:
        """The size that programs see."""
        return self._sizes[-1][1] if self._sizes else self._size

    def _settle(self, covered: set[int]) -> None:
        """Have on the device what was complete when the sync began."""
        known = [index for index, (op, _) in enumerate(self._sizes) if id(op) in covered]
        if known:
            self._size = self._sizes[known[-1]][1]
            del self._sizes[: known[-1] + 1]
        for number, page in list(self._pages.items()):
            known = [index for index, (op, _) in enumerate(page.versions) if id(op) in covered]
            if known:
                end = (number + 1) * PAGE
                if len(self._base) < end:
                    self._base.extend(bytes(end - len(self._base)))
                self._base[number * PAGE : end] = page.versions[known[-1]][1]
                del page.versions[: known[-1] + 1]
                if not page.versions:
                    del self._pages[number]
        self._complete -= covered


def _choose(contents: list[bytes], chance: random.Random, strategy: str, special: bool) -> bytes:
    if strategy == "nothing":
        return contents[0]
    if strategy == "everything":
        return contents[-1]
    if strategy == "all but one":
        return contents[0 if special else -1]
    if strategy == "one alone":
        return contents[-1 if special else 0]
    if strategy == "pages":
        return chance.choice(contents)
    return b"".join(chance.choice(contents)[place : place + SECTOR] for place in range(0, PAGE, SECTOR))
