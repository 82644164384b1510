"""One file with the code of the modules that most processes import, from which `sitecustomize.py` loads them.

Under Wine it takes milliseconds to find a module and to read it, and a writer process imports hundreds: from one file
it starts in a third of the time.

The file holds the modules' code one after the other, then an index as `marshal` writes it, then the index's length in
eight bytes. The index has for each module's name its file, its folder if it is a package, and where its code begins and
ends; an extension module has none.
"""

import marshal
import shutil
from collections.abc import Iterator
from pathlib import Path

from environment import HERE, Windows, windows_path

NAME = "modules.bundle"

PACKAGES = ["numpy", "h5py", "psutil", "xxhash"]
"""What is bundled beside Python's own library and mmspool."""

_HEADER_BYTES = 16  # of a compiled module, before its code
_MARSHAL_VERSION = 4  # of Python 3.11's


def write(windows: Windows, site: Path) -> None:
    """Write the bundle into ``site``, in which mmspool is installed, and put what loads modules from it beside it."""
    modules: dict[str, tuple[str, str, int, int]] = {}
    with (site / NAME).open("wb") as bundle:
        for folder, file in _compiled(windows, site):
            name, kind = file.name.partition(".")[0], file.suffix
            package = file.parent.parent if file.parent.name == "__pycache__" else file.parent
            source = package / f"{name}.py" if package != file.parent else file
            parts = [*package.relative_to(folder).parts, *([] if name == "__init__" else [name])]
            start = bundle.tell()
            if kind == ".pyc":
                bundle.write(file.read_bytes()[_HEADER_BYTES:])
            place = windows_path(package) if name == "__init__" else ""
            modules[".".join(parts)] = (windows_path(source), place, start, bundle.tell())
        index = marshal.dumps(modules, _MARSHAL_VERSION)
        bundle.write(index + len(index).to_bytes(8, "little"))
    shutil.copy(HERE / "sitecustomize.py", site)


def _compiled(windows: Windows, site: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each compiled module and extension module, and before it the folder in which its top package lies."""
    library, packages = windows.packages.parent, windows.packages
    own = [entry for entry in library.iterdir() if entry != packages]
    for top in (*own, *(packages / name for name in PACKAGES), site / "mmspool"):
        for file in [top] if top.is_file() else top.rglob("*.py[cd]"):
            yield top.parent, file
