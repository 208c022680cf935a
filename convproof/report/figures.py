"""Pictures as inline SVG that follows the page's text colour; no script, no outside reference."""

from __future__ import annotations

from html import escape

from convproof.report.model import Bars, Windows


def bars_svg(chart: Bars) -> str:
    """Horizontal bars with their label and value."""
    step, left, width = 18, 150, 420
    largest = max((value for _, value in chart.bars), default=1) or 1
    parts = []
    for row, (label, value) in enumerate(chart.bars):
        y, length = row * step, width * value / largest
        parts.append(
            f'<text x="{left - 6}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="bar" x="{left}" y="{y + 3}" width="{length:.1f}" height="12"/>'
            f'<text x="{left + length + 6:.1f}" y="{y + 13}">{_short(value)}{escape(chart.unit)}</text>'
        )
    return _svg(left + width + 110, step * len(chart.bars) + 4, chart.caption, parts)


def windows_svg(picture: Windows) -> str:
    """The input as a row of cells, padding dashed, and under it one line for every window with a dot at each tap."""
    cell, top = 30, 34
    before, after = picture.padding
    parts = []
    for place in range(-before, picture.size + after):
        inside = 0 <= place < picture.size
        x = (place + before) * cell
        parts.append(f'<rect class="{"cell" if inside else "pad"}" x="{x + 1}" y="1" width="{cell - 2}" height="22"/>')
        parts.append(f'<text x="{x + cell / 2}" y="16" text-anchor="middle">{place if inside else 0}</text>')
    for row, window in enumerate(picture.windows):
        y = top + 14 * row
        xs = [(place + before) * cell + cell / 2 for place in window]
        parts.append(f'<line class="span" x1="{xs[0]}" y1="{y}" x2="{xs[-1]}" y2="{y}"/>')
        parts.extend(f'<circle class="tap" cx="{x}" cy="{y}" r="4"/>' for x in xs)
    return _svg((picture.size + before + after) * cell, top + 14 * len(picture.windows), picture.caption, parts)


def _svg(width: float, height: float, label: str, parts: list[str]) -> str:
    body = "".join(parts)
    box = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
    return f'<svg {box} role="img" aria-label="{escape(label)}">{body}</svg>'


def _short(value: float) -> str:
    """A number to three digits, with K, M or G."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:.3g} {letter}"
    return f"{value:g} "
