"""Two plots as inline SVG: bars per system and variant, and the sorted gain of each query.

Colors come from the page's style sheet, which knows a dark mode. Each mark has a ``<title>``
for tooltips and screen readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH = 900.0
_LEFT = 46.0


def bars(values: Mapping[str, Mapping[str, float]], label: str) -> str:
    """Return grouped bars of ``values[group][series]``, such as a variant and a system.

    Values are from 0 to 1; the axis ends at the next tenth above the highest.
    """
    height, bottom, top = 260.0, 34.0, 12.0
    highest = max((v for group in values.values() for v in group.values()), default=0.0)
    ceiling = max(0.1, min(1.0, int(highest * 10 + 0.999) / 10))
    area = height - bottom - top
    series = list(dict.fromkeys(name for group in values.values() for name in group))
    room = (_WIDTH - _LEFT) / max(1, len(values))
    thick = min(28.0, room * 0.84 / max(1, len(series)))
    marks = []
    for step in range(int(ceiling * 10 + 0.5) + 1):
        y = top + area - area * (step / 10) / ceiling
        marks.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{step / 10:.1f}</text>"
        )
    for place, (group, by_series) in enumerate(values.items()):
        start = _LEFT + room * place + (room - thick * len(series)) / 2
        for index, name in enumerate(series):
            if name not in by_series:
                continue
            tall = area * by_series[name] / ceiling
            marks.append(
                f'<rect class="s{index % 8}" x="{start + thick * index + 1:.1f}" '
                f'y="{top + area - tall:.1f}" width="{thick - 2:.1f}" height="{tall:.1f}">'
                f"<title>{escape(group)}, {escape(name)}: {by_series[name]:.3f}</title></rect>"
            )
        marks.append(
            f'<text class="tick" x="{_LEFT + room * (place + 0.5):.1f}" y="{height - 12}" '
            f'text-anchor="middle">{escape(group)}</text>'
        )
    legend = "".join(
        f'<li><span class="key s{index % 8}"></span>{escape(name)}</li>'
        for index, name in enumerate(series)
    )
    return f'{_svg(height, label, marks)}<ul class="legend">{legend}</ul>'


def gains(values: Sequence[tuple[float, str]], label: str) -> str:
    """Return a bar for each query's gain, largest first; each is a number and its words."""
    height, middle = 180.0, 86.0
    ordered = sorted(values, key=lambda value: -value[0])
    highest = max((abs(gain) for gain, _ in ordered), default=0.0) or 1.0
    wide = (_WIDTH - _LEFT) / max(1, len(ordered))
    marks = []
    for sign in (1, 0, -1):
        y = middle - sign * 76
        marks.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y}" y2="{y}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">'
            f"{sign * highest:+.2f}</text>"
        )
    for index, (gain, words) in enumerate(ordered):
        if not gain:
            continue
        tall = max(1.0, 76 * abs(gain) / highest)
        marks.append(
            f'<rect class="{"won" if gain > 0 else "lost"}" x="{_LEFT + wide * index:.2f}" '
            f'y="{middle - tall if gain > 0 else middle:.1f}" width="{max(wide - 0.4, 0.6):.2f}" '
            f'height="{tall:.1f}"><title>{gain:+.3f} {escape(words)}</title></rect>'
        )
    return _svg(height, label, marks)


def _svg(height: float, label: str, marks: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {_WIDTH:.0f} {height:.0f}">'
        f"{''.join(marks)}</svg>"
    )
