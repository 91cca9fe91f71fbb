"""Batches on real Ray clusters on this machine: one of two nodes, of which one is killed, and one that the command starts itself."""

import importlib.util
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from meshwright.runtime.batch import BatchSettings
from meshwright.runtime.batch.ray_actors import CORES, NO_STATISTICS, files_of, needed, own_cluster
from tests.runtime.batch.test_batch import QUICK, agrees

RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'meshwright[ray]'")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
# A cluster of several nodes, which Ray allows at loopback addresses only where there is no other.
OWN = {**NO_STATISTICS, **own_cluster(), "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}
# A node gives up where the machine is too busy to start it in half a minute.
SECONDS, TRIES = 500, 3


def test_what_a_worker_needs():
    small, large, card = {"CPU": 2.0}, {"CPU": 32.0}, {"CPU": 16.0, "GPU": 2.0}
    assert needed(BatchSettings(), [small, large]) == {"CPU": 2} and needed(BatchSettings(), [large]) == {"CPU": CORES}
    assert needed(BatchSettings(), [{"CPU": 0.0}, large, card]) == {"CPU": 1, "GPU": 1}
    assert needed(BatchSettings(engine={"threads": 3}), [small, card]) == {"CPU": 3, "GPU": 1}
    assert needed(BatchSettings(engine={"providers": ("CPUExecutionProvider",)}), [card]) == {"CPU": CORES}


def test_the_files_that_go_with_a_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    assert files_of({"image": str(tmp_path / "a.png"), "matte": "auto", "control": str(tmp_path / "none.png"), "seed": 3}) == {
        "image": ("a.png", b"picture")}


def test_without_ray_it_is_said_what_to_install(main, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "list.txt").write_text("a chair\n")
    ended = main("batch", tmp_path / "list.txt", "-o", tmp_path / "out", *QUICK, "--ray", "local")
    assert ended.returncode == 2 and "pip install 'meshwright[ray]'" in ended.stderr


class Node:
    """A node of one core, a process with others below it. address : of the cluster; head : whether it begins one"""

    def __init__(self, folder: Path, tiny: Path, address: str, head: bool) -> None:
        begin = ["--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false", f"--temp-dir={folder}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1", "--num-gpus=0",
                   "--object-store-memory=100000000", *(begin if head else [f"--address={address}"])]
        self.process = subprocess.Popen(command, env={**os.environ, **OWN, "MESHWRIGHT_PACKS": str(tiny)}, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def wait(self) -> str:
        """Until it has started: "", or what it has said of why not."""
        said = ""
        while "--block" not in said:
            line = self.process.stdout.readline()
            if not line:
                return said
            said += line
        return ""

    def processes(self) -> list[int]:
        """Everything that runs on it."""
        found = [self.process.pid]
        for pid in found:
            with suppress(OSError):
                found += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found

    def works(self) -> bool:
        """Whether a worker of the batch is making a mesh on it."""
        for pid in self.processes():
            with suppress(OSError):
                if b"ray::Actor.make" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return True
        return False

    def kill(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def cluster(tiny):
    """The address, and two nodes."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
    # Sockets have short names only: not in pytest's folder.
    folder, nodes = Path("/tmp") / f"mw-test-ray-{os.getpid()}", []
    try:
        for head in (True, False):
            for _ in range(TRIES):
                nodes.append(Node(folder, tiny, address, head))
                if not (said := nodes[-1].wait()):
                    break
                nodes.pop().kill()
            assert not said, said
        yield address, nodes
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def start(tiny, prompts, out, *options):
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "batch", str(prompts), "-o", str(out), *QUICK, *options]
    own = {} if "local" in options else OWN
    return subprocess.Popen(command, env={**os.environ, **own, "MESHWRIGHT_PACKS": str(tiny)}, text=True, stderr=subprocess.PIPE,
                            stdout=subprocess.PIPE)


@RAY
@LINUX
@pytest.mark.slow
def test_a_node_that_is_killed_loses_no_line_and_doubles_none(tiny, cluster, tmp_path):
    address, nodes = cluster
    (tmp_path / "list.txt").write_text("a red chair\na blue table\n")
    with start(tiny, tmp_path / "list.txt", tmp_path / "out", "--count", "10", "--json", "--ray", address) as process:
        ends = time.monotonic() + SECONDS
        while not (nodes[0].works() and nodes[1].works()):
            assert process.poll() is None and time.monotonic() < ends
            time.sleep(0.02)
        nodes[1].kill()
        said, rest = process.communicate(timeout=SECONDS)
    assert process.returncode == 0 and len(json.loads(said)["made"]) == 20, rest
    entries = agrees(tmp_path / "out")
    assert len(entries) == 20 and {entry["state"] for entry in entries.values()} == {"made"}
    assert sorted(entry["seed"] for entry in entries.values()) == sorted([*range(10)] * 2)


@RAY
@LINUX
@pytest.mark.slow
def test_a_cluster_of_its_own_is_heard_by_this_machine_alone_and_leaves_nothing(tiny, tmp_path):
    (tmp_path / "list.txt").write_text("a red chair\na blue table\n")
    before = set(Path("/tmp").glob("meshwright-ray-*"))
    with start(tiny, tmp_path / "list.txt", tmp_path / "out", "--ray", "local") as process:
        process.stderr.readline()
        heard = listening(process.pid)
        _, rest = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, rest
    assert len(agrees(tmp_path / "out")) == 2
    assert heard and all(address.startswith(("127.", "::1", "::ffff:127.")) for address in heard), heard
    assert set(Path("/tmp").glob("meshwright-ray-*")) <= before


def listening(pid):
    """The addresses at which a process and all below it listen."""
    family, sockets = [pid], set()
    for each in family:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                family += [int(child) for child in (task / "children").read_text().split()]
            for file in Path(f"/proc/{each}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(os.readlink(file))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.append(written(fields[1].partition(":")[0]))
    return found


def written(hexadecimal):
    """0100007F -> 127.0.0.1: words of four bytes, each turned round."""
    data = b"".join(bytes.fromhex(hexadecimal[k:k + 8])[::-1] for k in range(0, len(hexadecimal), 8))
    value = ipaddress.ip_address(data)
    mapped = getattr(value, "ipv4_mapped", None)
    return str(mapped or value)
