"""Bars and spans in SVG that keep their text readable at any width.

Places along the width are percentages and heights are pixels, so that a chart is as wide as the page lets it be while
letters stay as large as they are. Colours come from the page's style sheet, by class (`s0` … `s16` for series).
Every mark has a title, which browsers show on hovering and read aloud.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from logwatch.telling.report.markup import Markup, tag

COLOURS = 20  # series that the style sheet tells apart
_TOP, _FOOT = 16, 20  # pixels above and below the plot
_LABELS = 5  # along an axis of time; three of them on a phone


class Axis(NamedTuple):
    """A stretch of time, and how a moment of it is written below a chart."""

    begin: float
    end: float
    label: Callable[[float], str]

    def along(self, moment: float) -> float:
        """Where a moment lies on it, from 0 to 1."""
        return min(max((moment - self.begin) / ((self.end - self.begin) or 1.0), 0.0), 1.0)


class Stack(NamedTuple):
    """One bar: where it begins on the axis of time, and the parts it is made of, from the bottom up."""

    begin: float
    title: str
    parts: Sequence[tuple[int, float]]  # (which series, how much)


def bars(stacks: Sequence[Stack], axis: Axis, width: float, name: str, height: int = 180) -> Markup:
    """Bars over time, each `width` seconds wide, and stacked."""
    top = nice(max((sum(amount for _, amount in stack.parts) for stack in stacks), default=0.0))
    marks = [_stack(stack, axis, width, top, height) for stack in stacks]
    return _svg(name, height + _TOP + _FOOT, _grid(height), marks, _levels(top, height), _times(axis, height))


class Strip(NamedTuple):
    """A stretch of time: its class and what it is."""

    begin: float
    end: float
    kind: str
    title: str


def strips(found: Sequence[Strip], axis: Axis, name: str) -> Markup:
    """Stretches of time in one thin row."""
    marks = [
        tag("rect", x=_percent(left), width=_percent(max(right - left, 0.004)), y=2, height=12, rx=2, class_=strip.kind)
        for strip in found
        for left, right in [(axis.along(strip.begin), axis.along(strip.end))]
    ]
    rail = tag("line", x1="0", x2="100%", y1=8, y2=8, class_="grid")
    titled = [tag("g", tag("title", strip.title), mark) for strip, mark in zip(found, marks, strict=True)]
    return _svg(name, 16, rail, titled)


def ruler(axis: Axis) -> Markup:
    """The axis of time alone, to stand below strips."""
    return _svg("axis of time", _FOOT, _times(axis, -_TOP))


def spark(values: Sequence[float], name: str) -> Markup:
    """A row of small bars without an axis."""
    top = max(values, default=0.0) or 1.0
    step = 100 / max(len(values), 1)
    marks = [
        tag("rect", x=_of_hundred(i * step), width=_of_hundred(step * 0.8), y=24 - tall, height=tall, class_="s0")
        for i, value in enumerate(values)
        if value
        for tall in [max(round(22 * value / top, 1), 1.0)]
    ]
    return _svg(name, 24, marks, class_="spark")


def share(value: float, name: str) -> Markup:
    """A part of a whole (0 to 1), as a bar in a trough."""
    trough = tag("rect", x="0", y=2, width="100%", height=8, rx=4, class_="trough")
    return _svg(name, 12, trough, tag("rect", x="0", y=2, width=_percent(value), height=8, rx=4, class_="s0"))


def legend(names: Sequence[str]) -> Markup:
    """Which colour is which series."""
    return tag(
        "ul", [tag("li", tag("i", class_=f"s{i % COLOURS}"), name) for i, name in enumerate(names)], class_="legend"
    )


def nice(most: float) -> float:
    """The end of an axis that holds 0 to `most`: 1, 2, 4, 6 or 8 times a power of ten, so that its half is round."""
    if most <= 2:
        return 2.0
    power = 10.0 ** (len(str(int(most))) - 1)
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= most)


def _stack(stack: Stack, axis: Axis, width: float, top: float, height: int) -> Markup:
    left = axis.along(stack.begin)
    wide = axis.along(stack.begin + width) - left
    levels = [0.0]
    for _, amount in stack.parts:
        levels.append(levels[-1] + amount)
    rects = [
        tag(
            "rect",
            x=_percent(left + 0.06 * wide),
            width=_percent(0.88 * wide),
            y=round(_TOP + height * (1 - upper / top), 1),
            height=round(height * (upper - lower) / top, 1),
            class_=f"s{series % COLOURS}",
        )
        for (series, _), (lower, upper) in zip(stack.parts, pairwise(levels), strict=True)
        if upper > lower
    ]
    return tag("g", tag("title", stack.title), rects)


def _grid(height: int) -> list[Markup]:
    places = [_TOP + height * (1 - part) for part in (0.0, *_MARKED)]
    return [tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid") for y in places]


def _levels(top: float, height: int) -> list[Markup]:
    """How much the lines of the grid stand for; drawn last, so that no bar hides it."""
    places = [(top * part, _TOP + height * (1 - part)) for part in _MARKED]
    return [tag("text", f"{level:,.10g}", x="0", y=y - 4, class_="level") for level, y in places]


_MARKED = (0.5, 1.0)  # of an axis' height


def _times(axis: Axis, height: int) -> list[Markup]:
    moments = [axis.begin + (axis.end - axis.begin) * i / (_LABELS - 1) for i in range(_LABELS)]
    anchors = ["start", *["middle"] * (_LABELS - 2), "end"]
    return [
        tag(
            "text",
            axis.label(moment),
            x=_percent(axis.along(moment)),
            y=_TOP + height + 15,
            text_anchor=anchor,
            class_="between" if place % 2 else None,  # left out where there is no room
        )
        for place, (moment, anchor) in enumerate(zip(moments, anchors, strict=True))
    ]


def _percent(part: float) -> str:
    return f"{100 * part:.3f}%"


def _of_hundred(part: float) -> str:
    return f"{part:.3f}%"


def _svg(name: str, height: int, *children: object, class_: str | None = None) -> Markup:
    return tag("svg", children, role="img", aria_label=name, width="100%", height=height, class_=class_)
