"""Files are replaced in one step or not at all."""

import pytest

from equivlib.files import replaced


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("old")
    with replaced(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_error_the_old_file_is_whole_and_alone(tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("old")

    def interrupted():
        with replaced(path) as new:
            new.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_hold_a_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="is a folder"), replaced(tmp_path):
        pass
    with pytest.raises(ValueError, match="does not exist"), replaced(tmp_path / "no" / "file"):
        pass
