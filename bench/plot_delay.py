#!/usr/bin/env python3
# Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.
"""Draws what reprise_delay_bench has measured.

Usage: plot_delay.py MEASURED.json PICTURE.svg, after reprise_delay_bench --json MEASURED.json
"""
import json
import sys
from html import escape

WIDTH = 800
LEFT = 250  # of the bars
RIGHT = 110  # kept for the numbers behind the longest
TOP = 74
BAR = 11
GROUP_GAP = 12
TICK_MS = 40
COLOURS = ("a", "b")  # classes, one per distance

STYLE = """
  .paper { fill: #ffffff; }
  text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 12px; fill: #1f2328; }
  .heading { font-size: 16px; font-weight: 600; }
  .small { font-size: 11px; fill: #59636e; }
  .number { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .a { fill: #54aeff; }
  .b { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; }
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .number { stroke: #0d1117; }
    .grid { stroke: #3d444d; }
    .a { fill: #79c0ff; }
    .b { fill: #1f6feb; }
  }
"""


def text(x, y, content, css="", anchor="start"):
    css = f' class="{css}"' if css else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{css} text-anchor="{anchor}">{escape(content, quote=False)}</text>'


def legend(distances):
    x = LEFT
    for css, distance in zip(COLOURS, distances):
        yield f'<rect class="{css}" x="{x}" y="42" width="{BAR}" height="{BAR}" rx="2"/>'
        yield text(x + BAR + 6, 52, f'{distance["one_way_ms"]} ms each way')
        x += 130


def grid(longest_ms, scale, bottom):
    for ms in range(0, int(longest_ms) + 1, TICK_MS):
        x = LEFT + ms * scale
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}"/>'
        yield text(x, bottom + 14, f"{ms} ms" if ms == 0 else str(ms), "small", "middle")


def bars(distances, scale):
    y = TOP
    for rows in zip(*(d["ways"] for d in distances)):
        yield text(LEFT - 10, y + BAR * len(rows) / 2 + 4, rows[0]["name"], anchor="end")
        for css, row in zip(COLOURS, rows):
            width = row["median_ms"] * scale
            yield f'<rect class="{css}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 1}" rx="2"/>'
            number = f'{row["median_ms"]:.0f} ms, {row["median_round_trips"]:.1f} RTT'
            yield text(LEFT + width + 6, y + BAR - 2, number, "small number")
            y += BAR
        y += GROUP_GAP


def caption(measured, distances):
    counts = " and ".join(f'{d["rounds"]} with {d["one_way_ms"]} ms' for d in distances)
    openssl = " ".join(measured["openssl"].split()[:2])
    yield (
        "Time from the start of connecting to the first byte of the answer to a request of "
        f'{measured["request_bytes"]} bytes.'
    )
    yield f"Medians of connections, {counts}, each way of connecting in turn. RTT: round trips, that of TCP included."
    yield "Client and server on one machine; a proxy delays each direction and adds the round trip of TCP's handshake."
    yield f"No loss. {openssl}, X25519, a P-256 certificate that is verified."
    if measured["fast_open"] != "measured":
        yield "TCP Fast Open was not measured."


def picture(measured):
    distances = [d for d in measured["distances"] if d["one_way_ms"] > 0]
    if len(distances) != len(COLOURS):
        raise SystemExit(f"{len(distances)} distances, and {len(COLOURS)} colours")
    longest_ms = max(row["median_ms"] for d in distances for row in d["ways"])
    scale = (WIDTH - LEFT - RIGHT) / longest_ms
    bottom = TOP + len(distances[0]["ways"]) * (BAR * len(distances) + GROUP_GAP) - GROUP_GAP + 6
    lines = list(caption(measured, distances))
    height = bottom + 36 + 16 * len(lines)
    heading = "What a returning client waits for its first answer"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(heading)}">'
    )
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
    yield text(20, 26, heading, "heading")
    yield from legend(distances)
    yield from grid(longest_ms, scale, bottom)
    yield from bars(distances, scale)
    for i, line in enumerate(lines):
        yield text(20, bottom + 38 + 16 * i, line, "small")
    yield "</svg>"


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        measured = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(picture(measured)) + "\n")


main()
