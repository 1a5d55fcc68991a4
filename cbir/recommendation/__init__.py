"""Recommendations of similar images, for one image of a gallery or for all of them.

>>> from cbir.recommendation import Rules, recommend
>>> rules = Rules(k=12, same=("category",), different=("brand",), diversity=0.3)
>>> recommend(gallery, 812, rules)[0].image.name  # doctest: +SKIP
'mugs/blue-014.jpg'
"""

from cbir.recommendation.all_items import BatchRecommender, RecommendationBlock, recommend_all
from cbir.recommendation.export import ExportReport, export_recommendations
from cbir.recommendation.one_item import recommend
from cbir.recommendation.rules import Recommendation, Rules

__all__ = [
    "BatchRecommender",
    "ExportReport",
    "Recommendation",
    "RecommendationBlock",
    "Rules",
    "export_recommendations",
    "recommend",
    "recommend_all",
]
