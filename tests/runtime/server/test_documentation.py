"""The lines for curl and the program on the page of the server work, as they stand there."""

import re
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs/server.md").read_text("utf-8")
BLOCKS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_curl(server, tmp_path):
    lines = next(block for block in BLOCKS if block.startswith("curl")).strip().splitlines()
    id = "ID"
    for line, expected in zip(lines, ('"state":"PENDING"', "event: end", "", '"state":"SUCCEEDED"'), strict=True):
        command = line.replace("http://127.0.0.1:8188", server.address).replace("/ID/", f"/{id}/")
        done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, timeout=120)
        assert done.returncode == 0 and expected in done.stdout
        if found := re.match(r'{"id":"([0-9a-f]{32})"', done.stdout):
            id = found.group(1)
    assert (tmp_path / "chair.glb").read_bytes()[:4] == b"glTF"


@pytest.mark.slow
def test_the_program(server, tmp_path, monkeypatch, capsys):
    program = next(block for block in BLOCKS if block.startswith("from meshwright.client"))
    monkeypatch.chdir(tmp_path)
    exec(compile(program.replace("Client()", f"Client({server.address!r})"), "server.md", "exec"), {})
    assert "end {'state': 'SUCCEEDED'" in capsys.readouterr().out
    assert (tmp_path / "chair.glb").read_bytes()[:4] == b"glTF"
