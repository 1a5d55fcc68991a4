"""Classic measures of the similarity of two images, without a network.

`compare` computes all of them. Pixel by pixel: `mse`, `ssim`. By colour: `intersection` and
`chi_square` of `rgb_histogram` or `hsv_histogram`. By local features: `extract`, then `match` and
`verify`, which also take stored features. By embedding: `cosine`. Importing this package does not
load OpenCV; it is loaded by the first measure that needs it.
"""

from cbir.arrays import Pixels
from cbir.similarity.arrays import to_common_size, to_grey
from cbir.similarity.comparison import Comparison, Embed, Measure, Picture, compare
from cbir.similarity.cosine import cosine
from cbir.similarity.histogram import chi_square, hsv_histogram, intersection, rgb_histogram
from cbir.similarity.keypoints import LocalFeatures, Method, extract
from cbir.similarity.matching import Matches, match
from cbir.similarity.pixel import mse, ssim
from cbir.similarity.plot import draw_matches, save_plot
from cbir.similarity.verification import Verification, places_of, verify

__all__ = [
    "Comparison",
    "Embed",
    "LocalFeatures",
    "Matches",
    "Measure",
    "Method",
    "Picture",
    "Pixels",
    "Verification",
    "chi_square",
    "compare",
    "cosine",
    "draw_matches",
    "extract",
    "hsv_histogram",
    "intersection",
    "match",
    "mse",
    "places_of",
    "rgb_histogram",
    "save_plot",
    "ssim",
    "to_common_size",
    "to_grey",
    "verify",
]
