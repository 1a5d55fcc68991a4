"""The result of `cbir search` as a table, as JSON and as a contact sheet."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.cli.console import out, print_columns, printable, similarity_bar

if TYPE_CHECKING:
    from cbir.retrieval import Retriever, SearchRequest
    from cbir.types import Hit, SearchResult

__all__ = ["echo_options", "print_result", "result_as_json", "write_sheet"]

NOT_ECHOED = ("queries", "k", "exact", "rerank", "depth")
"""Parts of a request that its JSON result does not repeat."""


def echo_options(request: SearchRequest, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a request that are not at their defaults, for its JSON result."""
    several = len(request.queries) > 1
    echo: dict[str, Any] = {"images": given["images"]} if several else {}
    matters = {"combine": several, "max_per_group": request.group_by is not None}
    for option in fields(request):
        value = getattr(request, option.name)
        if option.name not in NOT_ECHOED and matters.get(option.name, value != option.default):
            as_given = option.name in ("unwanted", "where")
            name = "not" if option.name == "unwanted" else option.name
            echo[name] = given[option.name] if as_given else value
    return echo


def result_as_json(result: SearchResult, echo: dict[str, Any]) -> dict[str, Any]:
    """A result, with the options of its request beside the query."""
    return {
        "query": result.query,
        **echo,
        "matched": result.matched,
        "hits": [
            {
                "rank": hit.rank,
                "id": hit.image.id,
                "key": hit.image.key,
                "uri": hit.image.uri,
                "similarity": round(hit.similarity, 6),
                "confidence": _confidence_as_json(hit),
                "metadata": dict(hit.image.metadata),
                **({} if hit.region is None else {"region": hit.region}),
                **_rerank_as_json(hit),
            }
            for hit in result.hits
        ],
        "notes": list(result.notes),
        "timings_ms": {stage: round(ms, 3) for stage, ms in result.timings_ms.items()},
    }


def _confidence_as_json(hit: Hit) -> dict[str, Any] | None:
    """The confidence of a hit, rounded to four digits."""
    if (confidence := hit.confidence) is None:
        return None
    chance = {"p_value": confidence.p_value, "expected_unrelated": confidence.expected}
    rounded = {name: float(f"{value:.4g}") for name, value in chance.items()}
    return rounded | {"word": confidence.word}


def _rerank_as_json(hit: Hit) -> dict[str, Any]:
    """The reranking score of a hit; empty if it was not reranked."""
    if (score := hit.rerank) is None:
        return {}
    shown = {"method": score.method, "score": round(score.score, 6), "inliers": score.inliers}
    return {"rerank": shown | ({"note": score.note} if score.note else {})}


def print_result(result: SearchResult, count: int, request: SearchRequest) -> None:
    """Print the hits; `count` is the number of images that were searched."""
    from cbir.reranking import find_reranker
    from cbir.types import NO_MATCH

    rerank, offset = request.rerank, request.offset
    verified = isinstance(rerank, str) and find_reranker(rerank).counts_inliers
    if result.hits:
        confidence = [] if result.matched is None else ["confidence"]
        if result.matched is False:
            out().print(NO_MATCH)
        evidence = [] if rerank is None else ["inliers" if verified else "score"]
        print_columns(
            ("#", "similarity", "", *confidence, *evidence, "id", "image"),
            [
                (
                    str(hit.rank),
                    f"{hit.similarity:.3f}",
                    similarity_bar(hit.similarity),
                    *(hit.confidence.word if hit.confidence else "–" for _ in confidence),
                    *(_evidence(hit, verified=verified) for _ in evidence),
                    str(hit.image.id),
                    printable(hit.image.name),
                )
                for hit in result.hits
            ],
            align=">><" + "<" * len(confidence) + ">" * len(evidence) + "><",
        )
    elif request.matches_only and count and not offset:
        out().print("no confident match; without --matches-only the most similar images are shown")
    else:
        beyond = f" beyond the first {offset:,}" if offset else ""
        out().print(f"nothing found{beyond}: no other image of the gallery fits the conditions")
    for hit in result.hits:
        if hit.rerank is not None and hit.rerank.note:
            note = printable(f"{hit.image.name} was not reranked: {hit.rerank.note}")
            out().print(note, style="dim")
    for note in result.notes:
        out().print(printable(note), style="dim")
    ms = result.timings_ms
    line = f"embedded {ms['embed']:.0f} ms · searched {count:,} in {ms['search']:.1f} ms"
    if rerank is not None:
        what = "verified" if verified else "reranked"
        line += f" · {what} {result.reranked} in {ms['rerank']:.0f} ms"
    out().print(line, style="dim")


def _evidence(hit: Hit, *, verified: bool) -> str:
    """The table cell of a hit's inliers or score; a dash where there are none."""
    if hit.rerank is None or hit.rerank.note:
        return "–"
    return str(hit.rerank.inliers or "–") if verified else f"{hit.rerank.score:.3f}"


def write_sheet(
    path: Path, result: SearchResult, retriever: Retriever, request: SearchRequest
) -> None:
    """Write a contact sheet of a result, with all images of its request. Raises OSError."""
    from cbir.pages.contact_sheet import Sheet, write_contact_sheet

    title = f"{result.query}: the {len(result.hits)} most similar images"
    first, *further = (retriever.query_image(query, crop=request.crop) for query in request.queries)
    unwanted = (retriever.query_image(query) for query in request.unwanted)
    sheet = Sheet(
        result,
        first,
        further_images=tuple(image for image in further if image is not None),
        unwanted_images=tuple(image for image in unwanted if image is not None),
    )
    write_contact_sheet(path, [sheet], title=title)
