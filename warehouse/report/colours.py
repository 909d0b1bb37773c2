"""Colours for pairs: KPU's own hue where it can be read and told apart, in a shade for light paper and one for dark.

KPU's colours follow the ballot number and are pastels: on white most have a contrast below 2, and two browns are hard
to tell apart. Shades are chosen in Oklab, where equal distances look equal (Ottosson 2020).
"""

import re
from collections.abc import Sequence
from functools import cache
from math import atan2, cos, dist, hypot, sin
from typing import NamedTuple

_SPARE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#7B4FA3", "#6B6B6B", "#A50F15")
"""Hues to fall back on; the first five are Okabe and Ito's, made for eyes that miss a primary colour."""

_APART = 0.11  # in Oklab; what KPU's brown and sand are not
_FAINTEST = 0.075  # chroma; below it a hue looks grey on thin lines
_LIGHT_PAPER, _DARK_PAPER = (1.0, 1.0, 1.0), (0.012, 0.014, 0.017)  # linear RGB of the page's backgrounds
_CONTRAST = 4.5  # the least that WCAG 2.2 asks of text

_Lab = tuple[float, float, float]
_Rgb = tuple[float, float, float]


class Paint(NamedTuple):
    """A pair's colour as #RRGGBB: for light paper, where white text stands on it, and for dark, where black does."""

    light: str
    dark: str


def paints(colours: Sequence[str | None]) -> list[Paint]:
    """A paint for each pair of a contest, in the order of the ballot; the same colours always give the same paints."""
    return list(_paints(tuple(colours)))


@cache
def _paints(colours: tuple[str | None, ...]) -> tuple[Paint, ...]:
    taken: list[_Lab] = []
    for colour in colours:
        own = [_strengthened(_lab(colour))] if colour and re.fullmatch(r"#[0-9A-Fa-f]{6}", colour) else []
        spare = [_strengthened(_lab(other)) for other in _SPARE]
        if not own or _nearest(own[0], taken) < _APART:
            own = [max(spare, key=lambda lab: _nearest(lab, taken))]
        taken += own
    return tuple(Paint(_readable(lab, _LIGHT_PAPER), _readable(lab, _DARK_PAPER)) for lab in taken)


def _nearest(lab: _Lab, others: Sequence[_Lab]) -> float:
    return min((dist(lab, other) for other in others), default=1.0)


def _strengthened(lab: _Lab) -> _Lab:
    """The hue at the lightness and strength it will have as a line on white."""
    hue, chroma = atan2(lab[2], lab[1]), max(hypot(lab[1], lab[2]), _FAINTEST)
    return (min(max(lab[0], 0.45), 0.58), chroma * cos(hue), chroma * sin(hue))


def _readable(lab: _Lab, paper: _Rgb) -> str:
    """Darker on light paper, lighter on dark, until it can be read there."""
    step = -0.01 if paper is _LIGHT_PAPER else 0.01
    lightness, a, b = lab
    while 0.0 < lightness < 1.0 and _contrast(_rgb((lightness, a, b)), paper) < _CONTRAST:
        lightness += step
    return "#" + "".join(f"{round(255 * _encoded(part)):02x}" for part in _rgb((lightness, a, b)))


def _contrast(one: _Rgb, other: _Rgb) -> float:
    """WCAG's ratio of two linear colours."""
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, other))
    return (high + 0.05) / (low + 0.05)


def _lab(colour: str) -> _Lab:
    r, g, b = (_decoded(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    medium = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _rgb(lab: _Lab) -> _Rgb:
    """Linear RGB, cut to what a screen can show."""
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _cut(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
        _cut(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _cut(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
    )


def _cut(part: float) -> float:
    return min(max(part, 0.0), 1.0)


def _decoded(part: float) -> float:
    """sRGB to linear."""
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _encoded(part: float) -> float:
    """Linear to sRGB."""
    return 12.92 * part if part <= 0.0031308 else float(1.055 * part ** (1 / 2.4) - 0.055)
