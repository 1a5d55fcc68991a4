"""An evaluation ends the threads that it has started."""

import threading
from pathlib import Path

from conftest import save_gradients
from terminal import cbir

from cbir import Gallery, index_images


def test_a_reranked_evaluation_leaves_no_thread(tmp_path: Path, gallery: Gallery) -> None:
    save_gradients(tmp_path / "photos")
    rows = [
        f"{file.name},{place // 2}"
        for place, file in enumerate(sorted((tmp_path / "photos").iterdir()))
    ]
    labels = tmp_path / "photos" / "labels.csv"
    labels.write_text("\n".join(["path,label", *rows]))
    index_images(labels, gallery)
    before = set(threading.enumerate())
    run = cbir("evaluate", "-g", gallery.path, "--label", "label", "--rerank", "ssim", "-k", "1")
    assert run.code == 0, run.err
    left = {thread.name for thread in threading.enumerate()} - {thread.name for thread in before}
    assert [name for name in left if name.startswith("cbir-rerank")] == []
