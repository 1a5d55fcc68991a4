"""A user without a home folder and without an entry in the list of users."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from factories import encode, picture
from readonly import only_readable
from terminal import cbir

from cbir.config import cache_dir, weights_dirs
from cbir.errors import OptionError

HOMES = ("HOME", "XDG_CACHE_HOME", "CBIR_CACHE_DIR", "TORCH_HOME", "CBIR_WEIGHTS_DIR")

AS_NOBODY = """
import os, pwd, sys
def unknown(_):
    raise KeyError("uid not found")
pwd.getpwuid = unknown
from cbir.__main__ import run
run()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this user's cache goes without a home."""

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    for name in HOMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path / f"cbir-{os.getuid()}"


def test_the_cache_is_temporary_and_that_is_said_once(
    temporary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert [cache_dir(), cache_dir()] == [temporary, temporary]
    assert caplog.text.count(f"kept in {temporary}; CBIR_CACHE_DIR names another") == 1
    assert temporary.stat().st_mode & 0o777 == 0o700
    assert weights_dirs() == [temporary / "torch" / "hub" / "checkpoints"]
    assert cbir("models").code == 0
    assert not Path("~").exists()


def test_a_home_that_cannot_be_written(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = temporary.with_name("home")
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert cache_dir() == home / ".cache" / "cbir"
    with only_readable(home):
        assert cache_dir() == temporary
    (home / ".cache" / "cbir" / "networks").mkdir(parents=True)
    with only_readable(home):  # filled when the image of a container was built
        assert cache_dir() == home / ".cache" / "cbir"


def test_a_temporary_folder_of_another_user_is_not_used(temporary: Path) -> None:
    temporary.mkdir()
    temporary.chmod(0o777)
    with pytest.raises(OptionError, match="set CBIR_CACHE_DIR"):
        cache_dir()
    temporary.rmdir()
    temporary.symlink_to(temporary.parent)
    with pytest.raises(OptionError, match="set CBIR_CACHE_DIR"):
        cache_dir()


def test_nowhere_to_write_at_all(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    with pytest.raises(OptionError, match="set CBIR_CACHE_DIR"):
        cache_dir()


def test_packaged_weights_work(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        (photos / f"{number}.jpg").write_bytes(encode(picture(300, 260, seed=number), "JPEG"))
    cache = tmp_path / f"cbir-{os.getuid()}"
    cache.mkdir(mode=0o700)
    if (cache_dir() / "networks").is_dir():  # exporting takes a while, and is tested elsewhere
        shutil.copytree(cache_dir() / "networks", cache / "networks")
    environment = {name: value for name, value in os.environ.items() if name not in HOMES}
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "index", "photos", "-g", "g"],
        cwd=tmp_path,
        env=environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "added 3" in run.stdout
    assert not (tmp_path / "~").exists()
