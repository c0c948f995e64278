"""A picture of a video that has none here: colour and motif by its first tag, composition by its id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

WIDTH, HEIGHT = 90, 160
"""Of the picture, in units of its own: upright, as the screen it stands for."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#f0e442", "#7a7a7a")
"""Okabe and Ito's palette, whose colours people of every colour vision tell apart; grey in place of its black."""

SHAPES = 6


@dataclass(frozen=True)
class Thumbnail:
    """`ground` is a colour; `shapes` are SVG paths in WIDTH × HEIGHT, each with an ink and an opacity."""

    ground: str
    shapes: tuple[tuple[str, str, float], ...]


def thumbnail(video_id: int, tags: Sequence[int]) -> Thumbnail:
    """Returns the picture of a video, always the same; videos of one first tag look alike, videos without one are
    grey."""
    colour, motif = (tags[0] % (len(COLOURS) - 1), tags[0] // (len(COLOURS) - 1)) if tags else (-1, 0)
    draw = MOTIFS[motif % len(MOTIFS)]
    noise = blake2b(str(video_id).encode(), digest_size=4 * SHAPES).digest()
    shapes = []
    for across, down, size, ink in (noise[at : at + 4] for at in range(0, len(noise), 4)):
        path = draw(across * WIDTH // 255, down * HEIGHT // 255, 8 + size * 26 // 255)
        shapes.append((path, "#ffffff" if ink % 2 else "#10243a", 0.18 + 0.3 * (ink / 255)))
    return Thumbnail(COLOURS[colour], tuple(shapes))


def _disc(x: int, y: int, r: int) -> str:
    return f"M{x - r} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"


def _square(x: int, y: int, r: int) -> str:
    return f"M{x - r} {y - r}h{2 * r}v{2 * r}h{-2 * r}z"


def _triangle(x: int, y: int, r: int) -> str:
    return f"M{x} {y - r}l{r} {2 * r}h{-2 * r}z"


def _stripe(x: int, y: int, r: int) -> str:
    return f"M{x - WIDTH} {y}l{2 * WIDTH} {-WIDTH}v{r}l{-2 * WIDTH} {WIDTH}z"


def _diamond(x: int, y: int, r: int) -> str:
    return f"M{x} {y - r}l{r} {r}l{-r} {r}l{-r} {-r}z"


MOTIFS = (_disc, _stripe, _triangle, _square, _diamond)
