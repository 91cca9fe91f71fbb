"""The pictures that are damaged: whole, each is read; and the same number is the same damage."""

from random import Random

from benchmarks.hard import pictures
from meshwright.runtime.images.pictures import picture_of, read_picture


def test_undamaged_pictures_of_every_kind_are_read(tmp_path):
    for name, data in pictures.seeds().items():
        (tmp_path / name).write_bytes(data)
        assert pictures.judged(tmp_path / name) == "read", name


def test_the_same_damage_for_the_same_number():
    whole = list(pictures.seeds().values())
    first, again, other = ([pictures.mutated(data, whole[0], Random(f"{seed} {i}")) for i, data in enumerate(whole)] for seed in (3, 3, 4))
    assert first == again != other
    assert sum(damaged == data for damaged, data in zip(first, whole, strict=True)) < 3


def test_profiles_are_converted(tmp_path):
    """Each such seed is read in other colours than the same picture without its profile: its profile is looked at."""
    whole = {name: data for name, data in pictures.seeds().items() if "_profile" in name}
    assert len(whole) == 6
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data)
        picture = read_picture(tmp_path / name)
        assert picture.notices == () and (picture.pixels != picture_of(data, name).pixels).any(), name
