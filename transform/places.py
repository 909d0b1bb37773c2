"""Where in a body a figure stands, as the keys that lead to it: so that it can be read again by anybody."""

from typing import Any

from transform.model import Witness

Place = tuple[str, ...]
"""The keys from the top of a JSON body, such as `("tungsura", "chart", "1000023")`."""


def cells(content: Any, unit_code: str, witness: Witness) -> Place:
    """The place of a unit's votes: its own chart, or its row in its parent's table; nested or flat as in `wire`."""
    nest = ("tungsura",) if content.get("tungsura") is not None else ()
    return (*nest, "chart") if witness == "self" else (*nest, "table", unit_code)


def progress(content: Any, unit_code: str, witness: Witness) -> Place | None:
    """The place of a unit's progress in stations; None where the body gives none."""
    beside_votes = (*cells(content, unit_code, witness), "progres")
    own: Place = ("progres",) if witness == "self" else beside_votes
    return next((place for place in (beside_votes, own) if isinstance(value_at(content, place), dict)), None)


def value_at(content: Any, place: Place) -> Any:
    """What stands at a place; None where there is nothing."""
    for key in place:
        content = content.get(key) if isinstance(content, dict) else None
    return content
