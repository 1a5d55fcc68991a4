"""A dry run says what a run would do, and leaves everything as it is."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from factories import picture
from terminal import cbir

from cbir import Gallery, index_images, plan_images
from cbir.types import IndexPlan


@pytest.fixture
def changed(folder: Path, gallery: Gallery) -> Path:
    """The folder of six, indexed, with one change of each kind since."""
    manifest = folder / "feed.csv"
    rows = {f"{'odd' if n % 2 else 'even'}/{n}.png": f"label {n}" for n in range(6)}
    manifest.write_text("path,label\n" + "".join(f"{p},{v}\n" for p, v in rows.items()))
    index_images(manifest, gallery)
    picture(seed=50).save(folder / "even" / "0.png")
    rows["odd/1.png"] = "another label"
    (folder / "even" / "2.png").rename(folder / "moved.png")
    rows["moved.png"] = rows.pop("even/2.png")
    del rows["odd/3.png"]
    (folder / "even" / "4.png").unlink()
    picture(seed=51).save(folder / "new.png")
    rows["new.png"] = "new"
    (folder / "text.png").write_text("this is text")
    rows["text.png"] = "text"
    manifest.write_text("path,label\n" + "".join(f"{p},{v}\n" for p, v in rows.items()))
    return manifest


def contents(path: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(file): (file.read_bytes(), file.stat().st_mtime_ns)
        for file in path.rglob("*")
        if file.is_file()
    }


def test_every_kind_of_change_is_foretold(changed: Path, gallery: Gallery) -> None:
    plan = plan_images(changed, gallery, prune=True)
    assert replace(plan, fail=(), seconds=0.0) == IndexPlan(
        add=("new.png",),
        update=("even/0.png",),
        touch=("odd/1.png",),
        move=(("even/2.png", "moved.png"),),
        remove=("odd/3.png",),
        unchanged=1,
    )
    assert [failure.uri for failure in plan.fail] == [
        str(changed.parent / "even" / "4.png"),
        str(changed.parent / "text.png"),
    ]
    report = index_images(changed, gallery, prune=True)
    assert report.added == len(plan.add)
    assert report.updated == len(plan.update) + len(plan.touch)
    assert (report.moved, report.removed) == (len(plan.move), len(plan.remove))
    assert {failure.uri for failure in report.failed} == {failure.uri for failure in plan.fail}
    after = plan_images(changed, gallery, prune=True)
    assert replace(after, fail=(), seconds=0.0) == IndexPlan(unchanged=5)


def test_nothing_is_written(changed: Path, gallery: Gallery, statements: list[str]) -> None:
    gallery.close()  # what SQLite keeps beside the file goes away with the last connection
    before = contents(gallery.path)
    with Gallery.open(gallery.path) as again:
        statements.clear()
        plan_images(changed, again, prune=True)
        assert not [s for s in statements if s.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert contents(gallery.path) == before


def test_only_what_may_have_changed_is_read(
    folder: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_images(folder, gallery)
    os.utime(folder / "even" / "0.png", ns=(1, 1))
    picture(seed=51).save(folder / "new.png")
    read: list[str] = []

    def note(path: str) -> bytes:
        read.append(Path(path).name)
        return Path(path).read_bytes()

    monkeypatch.setattr("cbir.sources.reading.read_file", note)
    plan = plan_images(folder, gallery)
    assert sorted(read) == ["0.png", "new.png"]
    assert (plan.add, plan.touch, plan.unchanged) == (("new.png",), (), 6)


def test_without_a_gallery_everything_is_new(folder: Path, tmp_path: Path) -> None:
    assert len(plan_images(folder, None, prune=True).add) == 6
    run = cbir("index", folder, "-g", tmp_path / "none", "--dry-run", "--prune")
    assert run.code == 0
    assert (
        run.out.splitlines()[0] == "would add     6  even/0.png, even/2.png, even/4.png and 3 more"
    )
    assert not (tmp_path / "none").exists()


def test_the_command_prints_the_plan(changed: Path, gallery: Gallery) -> None:
    run = cbir("index", changed, "-g", gallery.path, "--prune", "--dry-run")
    assert run.code == 3
    lines = run.out.splitlines()
    assert lines[:5] == [
        "would add     1  new.png",
        "would update  1  even/0.png",
        "would touch   1  odd/1.png",
        "would move    1  even/2.png → moved.png",
        "would remove  1  odd/3.png",
    ]
    assert lines[5].startswith("would fail    2  ")
    assert lines[6].startswith("unchanged 1   in ")
    assert lines[7] == "nothing was written; run it without --dry-run to do it"


def test_a_refusal_is_foretold(folder: Path, gallery: Gallery) -> None:
    index_images(folder, gallery)
    for path in (folder / "even").iterdir():
        path.unlink()
    (folder / "odd" / "1.png").unlink()
    plan = plan_images(folder, gallery, prune=True)
    assert "only 2 of the 6" in plan.refusal
    run = cbir("index", folder, "-g", gallery.path, "--prune", "--dry-run")
    assert run.code == 1
    assert "would end with an error: " in run.out
    forced = plan_images(folder, gallery, prune=True, force=True)
    assert (len(forced.remove), forced.refusal) == (4, "")
    assert gallery.count() == 6
