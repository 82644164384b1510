"""A core in a real Java process behind pyjavaz's protocol: compiled from tests/java/stubs, with a real BeanShell."""

import os
import shutil
import socket
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 60.0
JSON_JAR = Path("/usr/share/java/com.android.json.jar")
ADVICE = "install it with: apt-get install openjdk-17-jdk-headless libbsh-java libandroid-json-java"
LAUNCHER = "org.micromanager.remote.HeadlessLauncher"

_STUBS = Path(__file__).parents[1] / "java" / "stubs"


class MissingJavaError(Exception):
    """A part of Java is not installed; the message says which."""


def shells() -> dict[str, Path]:
    """Return the BeanShells: 2.0b4 of Debian, and 2.0b6, which Micro-Manager carries, where this machine has it."""
    found = {"bsh-2.0b4": Path("/usr/share/java/bsh.jar")}
    for jar in Path.home().glob(".m2/repository/org/apache-extras/beanshell/bsh/2.0b6/bsh-2.0b6.jar"):
        found["bsh-2.0b6"] = jar
    return found


def system_java() -> Path:
    """Return the system's Java."""
    if (java := shutil.which("java")) is None:
        raise MissingJavaError(f"no java; {ADVICE}")
    return Path(java)


def compile_stubs(folder: Path) -> Path:
    """Compile the stub core, server and launcher into a jar in ``folder``, and return it."""
    missing = [str(path) for path in (JSON_JAR, *shells().values()) if not path.exists()]
    missing += [] if shutil.which("javac") else ["javac"]
    if missing:
        raise MissingJavaError(f"{', '.join(missing)} is missing; {ADVICE}")
    command = ["javac", "--release", "11", "-cp", JSON_JAR, "-d", folder / "classes"]
    subprocess.run([*command, *_STUBS.rglob("*.java")], check=True)
    jar = folder / "stubs.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in (folder / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(folder / "classes"))
    return jar


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@dataclass
class JavaServer:
    """A Micro-Manager in Java, as far as mmspool can tell."""

    process: subprocess.Popen[str]
    port: int

    @classmethod
    def start(cls, java: Path, jars: list[Path], *options: str) -> "JavaServer":
        """Start it, and wait until it listens."""
        port = free_port()
        command = [java, *options, "-cp", os.pathsep.join(map(str, jars)), LAUNCHER, str(port), "", "64", ""]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        server = cls(process, port)
        assert process.stdout is not None
        for line in process.stdout:
            if line == "LISTENING\n":
                return server
        server.close()
        raise RuntimeError("the Java process ended while it started")

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
