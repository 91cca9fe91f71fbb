"""Lists of every kind, the names that their lines get, and what is wrong with a line."""

import pytest
from PIL import Image

from meshwright.runtime import InputError
from meshwright.runtime.batch import Line, read_lines


def listed(folder, name, text):
    (folder / name).write_text(text, "utf-8")
    return folder / name


def test_text(tmp_path):
    path = listed(tmp_path, "props.txt", "\ufeffa red chair\n\n# a comment\n  Un café, blanc!  \r\na red chair\n椅子\n")
    assert read_lines(path, seed=5) == [
        Line("a-red-chair", 1, "a red chair", {"seed": 5}), Line("un-cafe-blanc", 4, "Un café, blanc!", {"seed": 5}),
        Line("a-red-chair_2", 5, "a red chair", {"seed": 5}), Line("object", 6, "椅子", {"seed": 5})]


def test_csv(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "old mug.png")
    path = listed(tmp_path, "props.csv",
                  'prompt,image,name,seed,count,guidance\n"a chair, red",,,3,2,1.5\n,old mug.png,,,,\n\na lamp,,light,,,\n')
    assert read_lines(path) == [
        Line("a-chair-red", 2, "a chair, red", {"seed": 3, "guidance": 1.5}),
        Line("a-chair-red_2", 2, "a chair, red", {"seed": 4, "guidance": 1.5}),
        Line("old-mug", 3, "", {"seed": 0, "image": str(tmp_path / "old mug.png")}), Line("light", 5, "a lamp", {"seed": 0})]


def test_json_lines(tmp_path):
    path = listed(tmp_path, "p.jsonl", '{"prompt": "a chair", "steps": 3, "sampler": null}\n\n{"prompt": "a lamp", "name": "a-chair"}\n')
    # The name that is given comes before the one that is made.
    assert read_lines(path, count=2) == [
        Line("a-chair_2", 1, "a chair", {"seed": 0, "steps": 3}), Line("a-chair_3", 1, "a chair", {"seed": 1, "steps": 3}),
        Line("a-chair", 3, "a lamp", {"seed": 0}), Line("a-chair_4", 3, "a lamp", {"seed": 1})]


def test_a_folder_of_pictures(tmp_path):
    for name in ("b.PNG", "a.png", "a.jpg"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [(line.name, line.number, line.options["image"]) for line in read_lines(tmp_path)] == [
        ("a", 1, str(tmp_path / "a.jpg")), ("a_2", 2, str(tmp_path / "a.png")), ("b", 3, str(tmp_path / "b.PNG"))]


def test_a_line_at_the_end_renames_no_other(tmp_path):
    before = read_lines(listed(tmp_path, "l.txt", "a chair\na chair\n"))
    assert read_lines(listed(tmp_path, "l.txt", "a chair\na chair\na chair 2\na chair\n"))[:2] == before


@pytest.mark.parametrize(("name", "text", "message"), [
    ("l.txt", "\n# nothing\n", "l.txt is empty"), ("l.txt", "a chair\na\x07chair\n", "l.txt, line 2: "),
    ("l.jsonl", '{"prompt": "a"}\n{"prompt": \n', "l.jsonl, line 2 is not JSON"), ("l.jsonl", "[1]", "line 1 is no object"),
    ("l.jsonl", '{"prompt": 3}', "l.jsonl, line 1: "), ("l.jsonl", '{"prompt": "a", "seed": "1"}', "line 1: seed is out of range"),
    ("l.jsonl", '{"prompt": "a", "count": 0}', "line 1: count is out of range"), ("l.jsonl", '{"image": 3}', "line 1: image, matte or"),
    ("l.csv", "prompt,sead\na,3\n", "l.csv, line 2: unknown field; received sead"), ("l.csv", "prompt,seed\na,x\n", "seed is not a number"),
    ("l.csv", "prompt\na,b\n", "line 2 has more cells than the header"), ("l.csv", "prompt\na\nb\n\n,\n", "line 5 has more cells"),
    ("l.csv", "image\nno.png\n", "line 2: there is no such picture; received no.png"),
    ("l.csv", "prompt,matte\na,alpha\n", "line 2: route and matte need a picture"),
    ("l.csv", "prompt,name\na,../up\n", "line 2: the name cannot be one of a file"),
    ("l.csv", "prompt,name\na,Up\nb,up\n", "line 3: two lines have the same name"),
    ("l.csv", "prompt,steps\na,0\n", "line 2: steps is out"),
    ("missing.txt", None, "the list"),
])
def test_what_is_wrong_says_where(tmp_path, name, text, message):
    if text is not None:
        listed(tmp_path, name, text)
    with pytest.raises(InputError, match="(?s)" + message.replace("(", r"\(").replace(".", r"\.")):
        read_lines(tmp_path / name)


def test_a_list_that_is_no_text(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not text"):
        read_lines(tmp_path / "l.txt")
