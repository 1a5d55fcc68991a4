"""What a command imports decides how long it takes to start: counted, not timed."""

import subprocess
import sys
from pathlib import Path

import pytest
from factories import encode, picture

from cbir import Gallery, index_images, resolve_spec

HEAVY = {"torch", "torchvision", "faiss", "cv2", "openvino", "sqlalchemy", "numpy", "PIL", "rich"}

PROGRAM = """
import sys
sys.argv = ["cbir", *sys.argv[1:]]
from cbir.cli import main
try:
    main()
finally:
    print("MODULES", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def modules_of(*arguments: str | Path) -> set[str]:
    """Top-level modules that a command has imported when it ends."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return set(run.stderr.rpartition("MODULES")[2].split())


def test_help_imports_nothing_heavy() -> None:
    assert modules_of("--help") & HEAVY == set()


def test_the_package_imports_nothing_heavy() -> None:
    code = "import sys, cbir; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) & HEAVY == set()


def test_models_needs_no_network_library() -> None:
    assert modules_of("models") & {"torch", "torchvision", "openvino", "faiss"} == set()


@pytest.fixture
def lite_gallery(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(encode(picture(300, 260, seed=number), "JPEG"))
    with Gallery.create(tmp_path / "lite", resolve_spec()[0]) as gallery:
        index_images(folder, gallery)
    return tmp_path / "lite"


def test_search_imports_no_torch(lite_gallery: Path, tmp_path: Path) -> None:
    imported = modules_of(
        "search", tmp_path / "photos" / "1.jpg", "-g", lite_gallery, "--device", "cpu"
    )
    assert imported & {"torch", "torchvision", "cv2", "scipy", "pydantic"} == set()
    assert {"openvino", "faiss", "sqlalchemy"} <= imported


def test_search_by_id_imports_no_runtime_at_all(lite_gallery: Path) -> None:
    imported = modules_of("search", "id:1", "-g", lite_gallery)
    assert imported & {"torch", "torchvision", "cv2", "openvino"} == set()


def test_index_of_an_unchanged_folder_imports_no_runtime(
    lite_gallery: Path, tmp_path: Path
) -> None:
    imported = modules_of("index", tmp_path / "photos", "-g", lite_gallery)
    assert imported & {"torch", "torchvision", "cv2", "openvino", "faiss"} == set()
    assert imported & {"httpx", "fsspec", "s3fs", "pyarrow", "pillow_heif"} == set()
