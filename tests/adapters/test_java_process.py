"""What must work on every system though no Java runs: a process that ends with its parent, a file that both map."""

import os
import subprocess
import sys
import textwrap

import pytest
from support.paths import environment
from support.processes import ended
from support.waiting import wait_until

from mmspool.adapters.java_pump.mapped_file import Field, Layout, MappedFile

LIMIT_S = 60.0


@pytest.mark.usefixtures("processes")
def test_a_kept_process_ends_with_a_parent_that_is_killed():
    """Without a chance to clean up in the parent, the system or a helper ends the child."""
    code = """
        import subprocess, sys, time
        from mmspool.adapters.java_process import _Keeper

        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        keeper = _Keeper(child)
        print(child.pid, flush=True)
        time.sleep(600)
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, env=environment()
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: ended(child), "the child has ended")


@pytest.mark.usefixtures("processes")
def test_a_kept_process_goes_on_while_its_parent_lives():
    """A keeper that is closed lets go of the process, or ends it, and leaves nothing behind."""
    from mmspool.adapters.java_process import _Keeper

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        keeper = _Keeper(child)
        assert child.poll() is None
        keeper.close()
        if os.name == "nt":
            child.wait(LIMIT_S)
        else:
            assert child.poll() is None
            child.kill()


def test_a_mapped_file_goes_when_it_is_closed():
    """It has the size of its layout and a key in its header, and no name after its close."""
    file = MappedFile(Layout.for_frames(10_000))
    assert file.path.stat().st_size == file.layout.size
    assert (file.header[Field.KEY_HIGH], file.header[Field.KEY_LOW]) == file.key_numbers
    file.close()
    assert not file.path.exists()
