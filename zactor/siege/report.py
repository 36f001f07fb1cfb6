"""The report of a siege: one page of HTML, with its plots drawn as SVG and nothing loaded.

Pure.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zactor.siege.audit import SHOWN, Audit

_WIDTH, _HEIGHT, _LEFT = 960, 160, 60
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
_STYLE = (
    "body{font:14px/1.5 sans-serif;max-width:1060px;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:left;"
    "border-bottom:1px solid #d0d7de}td.n{text-align:right}.bad{color:#d1242f}.good{color:#1a7f37}"
    "svg{display:block;margin:.3em 0 1.2em}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A curve for each name over s since the beginning."""

    title: str
    unit: str
    curves: Mapping[str, Sequence[tuple[float, float]]]
    is_stepped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBar:
    """A fault that stood, in s since the beginning."""

    begin_s: float
    end_s: float
    text: str


def median(values: Sequence[float]) -> float:
    """Return the middle one; 0 of none."""
    return sorted(values)[len(values) // 2] if values else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how much a curve grows each hour, by least squares; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    over = sum((x - middle_x) ** 2 for x, _ in points)
    return 3600 * sum((x - middle_x) * (y - middle_y) for x, y in points) / over if over else 0.0


def slope_of_lives(points: Sequence[tuple[float, int, float]]) -> float:
    """Return how much a value grows each hour of a life, by least squares; 0 for too few points.

    Each life has a level of its own: who begins again begins small, which says nothing of growth.

    Args:
        points: (s, life, value).
    """
    lives: dict[int, list[tuple[float, float]]] = {}
    for x, life, y in points:
        lives.setdefault(life, []).append((x, y))
    above = below = 0.0
    for each in lives.values():
        middle_x = sum(x for x, _ in each) / len(each)
        middle_y = sum(y for _, y in each) / len(each)
        above += sum((x - middle_x) * (y - middle_y) for x, y in each)
        below += sum((x - middle_x) ** 2 for x, _ in each)
    return 3600 * above / below if below else 0.0


def grown_up(
    points: Sequence[tuple[float, int, float]], from_s: float, age_s: float
) -> list[tuple[float, int, float]]:
    """Leave out what was before `from_s`, and of each life the first `age_s`."""
    born: dict[int, float] = {}
    for x, life, _ in points:
        born[life] = min(x, born.get(life, x))
    return [(x, life, y) for x, life, y in points if x >= from_s and x >= born[life] + age_s]


def _path(plot: Plot, points: Sequence[tuple[float, float]], end_s: float, top: float) -> str:
    steps: list[str] = []
    before = None
    for x, y in points:
        at = (_LEFT + x / end_s * (_WIDTH - _LEFT), _HEIGHT - 20 - y / top * (_HEIGHT - 40))
        if plot.is_stepped and before is not None:
            steps.append(f"L{at[0]:.1f} {before:.1f}")
        steps.append(f"{'L' if steps else 'M'}{at[0]:.1f} {at[1]:.1f}")
        before = at[1]
    return " ".join(steps)


def _svg(plot: Plot, faults: Sequence[FaultBar], end_s: float) -> str:
    top = max((y for points in plot.curves.values() for _, y in points), default=1.0) * 1.1 or 1.0
    scale = (_WIDTH - _LEFT) / end_s
    parts = [
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img"'
        f' aria-label="{html.escape(plot.title)}">'
    ]
    for bar in faults:
        width = max(1.0, (bar.end_s - bar.begin_s) * scale)
        parts.append(
            f'<rect x="{_LEFT + bar.begin_s * scale:.1f}" y="20" width="{width:.1f}"'
            f' height="{_HEIGHT - 40}" fill="#d1242f" opacity=".08">'
            f"<title>{html.escape(bar.text)}</title></rect>"
        )
    for label, y in ((f"{top:.4g} {plot.unit}", 15), ("0", _HEIGHT - 20)):
        parts.append(f'<text x="0" y="{y}" font-size="11">{html.escape(label)}</text>')
    parts.append(f'<text x="{_WIDTH - 60}" y="{_HEIGHT - 4}" font-size="11">{end_s:.0f} s</text>')
    for number, (name, points) in enumerate(plot.curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = _path(plot, points, end_s, top)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(
            f'<text x="{_LEFT + 90 * number}" y="14" font-size="11" fill="{colour}">'
            f"{html.escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])


def _rows(rows: Mapping[str, object]) -> str:
    return "".join(
        f'<tr><td>{html.escape(name)}</td><td class="n">{html.escape(str(value))}</td></tr>'
        for name, value in rows.items()
    )


def page(
    title: str,
    found: Audit,
    figures: Mapping[str, object],
    plots: Sequence[Plot],
    faults: Sequence[FaultBar],
    end_s: float,
) -> str:
    """Return the whole page."""
    count = sum(map(len, found.complaints.values()))
    verdict = (
        f'<p class="bad"><b>{count} violations</b></p>'
        if count
        else '<p class="good"><b>no violation</b></p>'
    )
    complaints = "".join(
        f"<h3>{html.escape(name)}: {len(wrong)}</h3><ul>"
        + "".join(f"<li>{html.escape(text)}</li>" for text in wrong[:SHOWN])
        + "</ul>"
        for name, wrong in found.complaints.items()
    )
    drawn = "".join(
        f"<h3>{html.escape(plot.title)}</h3>{_svg(plot, faults, end_s)}" for plot in plots
    )
    stood = "".join(
        f"<tr><td class=n>{bar.begin_s:.1f}</td><td class=n>{bar.end_s - bar.begin_s:.1f}</td>"
        f"<td>{html.escape(bar.text)}</td></tr>"
        for bar in faults
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>{verdict}{complaints}"
        f"<table>{_rows({**figures, **found.counts})}</table>{drawn}"
        f"<h3>Faults</h3><table><tr><th>s</th><th>for s</th><th>what</th></tr>"
        f"{stood}</table></html>\n"
    )
