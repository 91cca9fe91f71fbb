"""Published JSON, with the slip that one of the published files has."""

import pytest

from meshwright.engines.errors import CheckpointError
from meshwright.export.published.json_file import read_json, read_object


@pytest.fixture
def write(tmp_path):
    def file(text, encoding="utf-8"):
        path = tmp_path / "config.json"
        path.write_text(text, encoding)
        return path
    return file


def test_what_is_json_comes_back_without_notices(write):
    assert read_json(write('{"a": [1, 2.5], "b": "x,]"}')) == ({"a": [1, 2.5], "b": "x,]"}, ())


def test_a_byte_order_mark_is_no_part_of_it(write):
    assert read_object(write('{"a": 1}', "utf-8-sig")) == ({"a": 1}, ())


def test_trailing_commas_are_let_pass_and_named(write):
    path = write('{"a": [1, 2,\n ], "b": {"c": 3,},\n}\n')
    document, notices = read_json(path)
    assert document == {"a": [1, 2], "b": {"c": 3}}
    assert notices == (f"{path}: 3 commas before a closing bracket, which JSON does not allow; read as if not there",)


def test_commas_inside_texts_stay(write):
    document, notices = read_json(write(r'{"a": "one, ]", "b\",}": ",}", "c": 1,}'))
    assert document == {"a": "one, ]", 'b",}': ",}", "c": 1}
    assert notices[0].partition(": ")[2].startswith("a comma before")


@pytest.mark.parametrize("text", ["", "{", '{"a": 1 "b": 2}', '{"a": ,}', "{,}x", "[1,,]"])
def test_other_slips_are_errors_that_name_the_file(write, text):
    path = write(text)
    with pytest.raises(CheckpointError, match="config.json is not JSON; received .*; download the file again"):
        read_json(path)


def test_a_list_is_no_configuration(write):
    with pytest.raises(CheckpointError, match="received list; expected a JSON object"):
        read_object(write("[1]"))


def test_a_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"none.json does not exist; .*as it was published"):
        read_json(tmp_path / "none.json")


def test_a_folder_or_bytes_that_are_no_text(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    for name in ("", "bytes.json"):
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_json(tmp_path / name)


def test_a_pointer_of_git_lfs(write):
    path = write("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(CheckpointError, match="pointer of Git LFS .*git lfs pull"):
        read_json(path)
