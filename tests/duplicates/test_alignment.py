"""A copy is moved, turned and scaled alike in all directions; what is stretched is none."""

import io

import pytest
from duplicates.copies import photograph
from PIL import Image

from cbir.duplicates.alignment import Alignable, align, is_copy
from cbir.duplicates.verifier import alignable

SIDE = 400


def descriptors(image: Image.Image) -> Alignable:
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return alignable(encoded.getvalue())


@pytest.mark.parametrize(
    ("width", "height", "degrees", "copy"),
    [
        (SIDE, SIDE, 0, True),
        (SIDE, SIDE, 5, True),
        (SIDE * 3 // 4, SIDE * 3 // 4, 0, True),
        (SIDE + 4, SIDE, 0, False),
        (SIDE, SIDE + 12, 0, False),
    ],
)
def test_what_is_stretched_is_no_copy(width: int, height: int, degrees: int, copy: bool) -> None:
    image = photograph("astronaut").resize((SIDE, SIDE)).convert("RGB")
    turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    scale = turned.width / SIDE
    other = turned.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    found = align(descriptors(image), descriptors(other))
    assert found.inliers > 50
    assert 0 < found.shared <= 1
    assert is_copy(found) == copy
