import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from factories import picture
from rows import rounded
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec, verify_gallery
from cbir.config import Whitening
from cbir.embedding.whitening import Projection, fit
from cbir.errors import GalleryError, SpecMismatchError
from cbir.retrieval.confidence import scale_of

COUNT = 60


@pytest.fixture
def many(tmp_path: Path, gallery: Gallery) -> Gallery:
    """A gallery of sixty pictures."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(COUNT):
        picture(32, 32, seed=number).save(folder / f"{number:02d}.png")
    index_images(folder, gallery)
    return gallery


def test_searches_go_on_while_another_process_whitens(many: Gallery) -> None:
    many.search_without_waiting()
    many.update_indexes()
    query, done, searched = many.embedding(7)[None], threading.Event(), []

    def search() -> None:
        while not done.is_set():
            found = many.search(query, 1)
            searched.append((int(found.ids[0, 0]), round(float(found.similarities[0, 0]), 2)))
            assert scale_of(many, query) is not None

    with Gallery.open(many.path) as other, ThreadPoolExecutor(2) as pool:
        searching = [pool.submit(search) for _ in range(2)]
        for dims in [4, None, 9] * 5:
            other.whiten(None if dims is None else Whitening(dims=dims))
            many.update_indexes()
        done.set()
        for one in searching:
            one.result()
    assert set(searched) == {(7, 1.0)}


def vectors(count: int = 200, dim: int = 8) -> np.ndarray:
    """Unit vectors around a common mean, with variances that differ by direction."""
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(count, dim)) * np.linspace(1, 0.1, dim) + 2
    return np.asarray((raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32))


def test_centring_subtracts_the_mean() -> None:
    x = vectors()
    projection = fit(x, Whitening())
    expected = x - x.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(projection.apply(x), expected, atol=1e-6)


def test_full_whitening_makes_all_directions_alike() -> None:
    x = vectors()
    projection = fit(x, Whitening(power=1.0))
    assert projection.directions is not None
    spread = (x - projection.mean) @ projection.directions.T
    np.testing.assert_allclose(np.cov(spread.T, bias=True), np.eye(spread.shape[1]), atol=0.02)


def test_half_power_lies_between() -> None:
    x = vectors()
    half, none = fit(x, Whitening(power=0.5)), fit(x, Whitening(dims=7))
    assert half.directions is not None
    assert none.directions is not None
    spread = np.var((x - half.mean) @ half.directions.T, axis=0)
    plain = np.var((x - none.mean) @ none.directions.T, axis=0)
    np.testing.assert_allclose(spread[:5], np.sqrt(plain[:5]), rtol=0.02)


def test_full_shrinkage_is_no_whitening() -> None:
    x = vectors()
    shrunk, centred = fit(x, Whitening(power=1.0, shrink=1.0)), fit(x, Whitening())
    a, b = shrunk.apply(x), centred.apply(x)
    np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-4)


def test_dims_keeps_the_leading_directions() -> None:
    projection = fit(vectors(), Whitening(dims=3))
    assert projection.dim == 3
    assert projection.apply(vectors(5)).shape == (5, 3)


def test_a_projection_survives_storage() -> None:
    projection = fit(vectors(), Whitening(power=0.5, shrink=0.5, dims=4))
    again = Projection.from_bytes(projection.to_bytes(), 8)
    assert again.digest == projection.digest
    np.testing.assert_array_equal(again.apply(vectors()), projection.apply(vectors()))


@pytest.mark.parametrize("whitening", [Whitening(), Whitening(0.5, 0.5), Whitening(0.5, 0.0, 20)])
def test_a_gallery_compares_projected_embeddings(many: Gallery, whitening: Whitening) -> None:
    raw = np.stack(list(many.catalog.embeddings(range(1, COUNT + 1)).values()))
    expected = fit(raw, whitening).apply(raw)
    before = [hit.similarity for hit in Retriever(many).search(1, k=COUNT).hits]
    many.whiten(whitening)
    result = Retriever(many).search(1, k=COUNT)
    np.testing.assert_allclose(
        [hit.similarity for hit in result.hits],
        np.sort(expected @ expected[0])[-2::-1],
        atol=1e-3,
    )
    assert verify_gallery(many).ok
    with Gallery.open(many.path) as again:
        reopened = Retriever(again).search(1, k=COUNT)
        assert [h.image.id for h in reopened.hits] == [h.image.id for h in result.hits]
    many.whiten(None)
    after = [hit.similarity for hit in Retriever(many).search(1, k=COUNT).hits]
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_an_open_gallery_notices_and_new_images_are_projected_alike(
    many: Gallery, tmp_path: Path
) -> None:
    with Gallery.open(many.path) as other:
        Retriever(other).search(1)
        many.whiten(Whitening(power=0.5, shrink=0.5))
        (tmp_path / "late").mkdir()
        picture(32, 32, seed=900).save(tmp_path / "late" / "a.png")
        index_images(tmp_path / "late", many)
        mine = Retriever(many).search(tmp_path / "late" / "a.png", k=3)
        theirs = Retriever(other).search(tmp_path / "late" / "a.png", k=3)
    assert rounded(mine.hits) == rounded(theirs.hits)
    assert mine.hits[0].similarity == pytest.approx(1, abs=1e-3)


def test_it_can_be_fitted_on_another_gallery(many: Gallery, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for number in range(3):
        picture(32, 32, seed=500 + number).save(small / f"{number}.png")
    with Gallery.create(tmp_path / "few", many.spec) as few:
        index_images(small, few)
        with pytest.raises(GalleryError, match="3 images are too few to fit on; index 50"):
            few.whiten(Whitening())
        few.whiten(Whitening(power=0.5), fit_on=many)
        assert len(Retriever(few).search(1).hits) == 2
    other_spec, _ = resolve_spec("tiny_image", flip=True)
    with (
        Gallery.create(tmp_path / "other", other_spec) as other,
        pytest.raises(SpecMismatchError, match="flip: True against False"),
    ):
        other.whiten(Whitening(), fit_on=many)


def test_the_command(many: Gallery) -> None:
    centred = cbir("whiten", "-g", many.path)
    assert centred.out.startswith("centred\n")
    half = cbir("whiten", "-g", many.path, "--power", "0.5", "--shrink", "0.5", "--dims", "16")
    assert half.out.startswith("whitened: power 0.5, shrink 0.5, 16 dimensions\n")
    assert "whitened: power 0.5" in cbir("info", "-g", many.path).out
    assert cbir("whiten", "-g", many.path, "--power", "2").code == 2
    assert cbir("whiten", "-g", many.path, "--off").out.startswith("plain embeddings\n")
