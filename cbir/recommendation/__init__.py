"""Similar products: for one image of a gallery, or for all of them.

>>> from cbir.recommendation import Rules, recommend
>>> rules = Rules(k=12, same=("category",), different=("brand",), diversity=0.3)
>>> recommend(gallery, 812, rules)[0].image.name  # doctest: +SKIP
'mugs/blue-014.jpg'
"""

from cbir.recommendation.everything import Block, Recommender, recommend_all
from cbir.recommendation.export import Export, export_recommendations
from cbir.recommendation.one import recommend
from cbir.recommendation.rules import Recommendation, Rules

__all__ = [
    "Block",
    "Export",
    "Recommendation",
    "Recommender",
    "Rules",
    "export_recommendations",
    "recommend",
    "recommend_all",
]
