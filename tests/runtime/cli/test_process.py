"""Standard output and error that are closed, full, or read by nobody: the mesh is written, and the exit code says what was not printed."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshwright.runtime import read_mesh
from meshwright.runtime.cli import process

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")]
QUICK = ("--pack", "tiny", "--texture", "64", "--faces", "300", "--threads", "1")
# What becomes of a stream, and what the system says about it.
GONE = {"closed": "it is closed", "full": "No space left on device", "unread": "Broken pipe"}


@pytest.fixture
def shell(tiny, tmp_path):
    """Runs `meshwright` with streams in these states; gives the exit code, and what could still be printed."""

    def run(*arguments, out="kept", error="kept", **environment):
        streams, said = {}, {}
        for name, state in (("stdout", out), ("stderr", error)):
            reader, writer = os.pipe()
            if state == "unread":
                os.close(reader)
            else:
                said[name] = reader
            if state == "full":
                os.close(writer)
                writer = os.open("/dev/full", os.O_WRONLY)
            streams[name] = writer

        def close():
            for number, state in ((1, out), (2, error)):
                if state == "closed":
                    os.close(number)

        process = subprocess.Popen([sys.executable, "-m", "meshwright.runtime.cli.main", *map(str, arguments)],
                                   preexec_fn=close, cwd=tmp_path,
                                   env={**os.environ, "MESHWRIGHT_PACKS": str(tiny), **environment}, **streams)
        for writer in streams.values():
            os.close(writer)
        texts = [_text(said[name]) if name in said else "" for name in ("stdout", "stderr")]
        return process.wait(60), *texts

    return run


def _text(reader):
    with open(reader, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("state", GONE)
@pytest.mark.parametrize("arguments", [("--version",), ("generate", "--help"), ("packs",), ("export", "--help")], ids=" ".join)
def test_a_result_that_cannot_be_printed_is_exit_code_1(shell, arguments, state):
    code, _, said = shell(*arguments, out=state)
    assert (code, said) == (1, f"meshwright: the result could not be printed; received {GONE[state]}\n")


@pytest.mark.parametrize("state", GONE)
def test_nobody_is_left_to_be_told(shell, state):
    assert shell("--version", out=state, error=state) == (1, "", "")


@pytest.mark.parametrize(("arguments", "out", "error"), [
    (("generate",), "closed", "kept"), (("paint",), "full", "full"), (("generate", "", *QUICK, "-o", "c.glb"), "unread", "kept"),
    (("generate", "", *QUICK, "-o", "c.glb"), "closed", "closed"), (("export", "sharp-it"), "kept", "unread")], ids=str)
def test_bad_input_stays_exit_code_2(shell, arguments, out, error):
    code, printed, said = shell(*arguments, out=out, error=error)
    assert code == 2 and printed == "" and (error != "kept" or said.startswith("meshwright") and said.count("\n") == 1)


@pytest.mark.parametrize("state", GONE)
def test_progress_never_ends_the_work(shell, state, tmp_path):
    """Nor does a result that cannot be printed; the mesh is whole either way."""
    code, out, said = shell("generate", "a red chair", *QUICK, "-o", "c.glb", error=state)
    assert code == 0 and out.startswith("c.glb: ") and said == ""
    assert len(read_mesh(tmp_path / "c.glb").mesh.faces) > 100 and os.listdir(tmp_path) == ["c.glb"]


@pytest.mark.parametrize("state", GONE)
def test_a_mesh_is_written_where_nothing_can_be_printed(shell, state, tmp_path):
    code, _, said = shell("generate", "a red chair", *QUICK, "-o", "c.glb", "--json", out=state)
    assert code == 1 and said.splitlines()[-1] == f"meshwright: the result could not be printed; received {GONE[state]}"
    assert len(said.splitlines()) == 9 and len(read_mesh(tmp_path / "c.glb").mesh.faces) > 100


@pytest.mark.parametrize("state", GONE)
def test_without_any_stream(shell, state, tmp_path):
    """Nothing is asked for on standard output: all went well. No file gets the number of a stream that is closed."""
    assert shell("generate", "a red chair", *QUICK, "-o", "c.obj", "--quiet", out=state, error=state) == (0, "", "")
    assert sorted(os.listdir(tmp_path)) == ["c.mtl", "c.obj", "c_color.png"] and len(read_mesh(tmp_path / "c.obj").mesh.faces) > 100


@pytest.mark.parametrize(("encoding", "expected"), [("ascii", "st\\xfchl-\\u6905.glb: "), ("utf-8", "stühl-椅.glb: ")])
def test_a_console_that_knows_few_letters(shell, encoding, expected, tmp_path):
    code, out, said = shell("generate", "a red chair stühl 椅", *QUICK, "-o", "stühl-椅.glb", PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
    assert code == 0 and out.startswith(expected), (out, said)
    assert os.listdir(tmp_path) == ["stühl-椅.glb"]
    code, _, said = shell("generate", "a chair", "-o", "椅.fbx", PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
    assert code == 2 and ("\\u6905.fbx" if encoding == "ascii" else "椅.fbx") in said


@pytest.mark.parametrize("arguments", [("generate", "a", "red", "chair", "-o", "c.glb"), ("generate", "-o", "c.glb", "a", "red", "chair"),
                                       ("generate", "a", "--seed", "7", "red", "chair", "-o", "c.glb"),
                                       ("refine", "block.glb", "a", "red", "chair", "-o", "c.glb")], ids=" ".join)
def test_a_prompt_without_quotes_is_told_so(main, arguments):
    ended = main(*arguments)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert 'the prompt is more than one argument; put it in quotes: "a red chair"' in ended.stderr


@pytest.mark.parametrize("arguments", [("generate", "a", "red", "--chair", "-o", "c.glb"), ("verify", "a", "b")], ids=" ".join)
def test_other_arguments_too_many_are_named(main, arguments):
    ended = main(*arguments)
    assert ended.returncode == 2 and "unrecognized arguments: " in ended.stderr and "quotes" not in ended.stderr


@pytest.mark.parametrize(("known", "accepted", "live"), [(True, True, True), (True, False, False), (False, True, False)],
                         ids=["new console", "old console", "no console"])
def test_a_console_of_windows_is_told_to_heed_escape_codes(monkeypatch, tmp_path, known, accepted, live):
    """Where it cannot, progress comes a line a stage, as into a file."""
    told = []

    def get_mode(handle, mode):
        mode._obj.value = 0x3
        return known

    kernel = SimpleNamespace(GetConsoleMode=get_mode, SetConsoleMode=lambda handle, mode: told.append((handle.value, mode)) or accepted)
    monkeypatch.setattr(process.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(get_osfhandle=lambda number: 1000 + number))
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    with open(tmp_path / "out", "w") as file:
        assert process.erases_lines(file) is live
        assert told == ([(1000 + file.fileno(), 0x3 | 0x5)] if known else [])
