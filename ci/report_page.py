#!/usr/bin/env python3
"""Looks at a report as a browser drew it: HTML after its scripts, and a picture. For each file, picture, scheme, number
of charts and number of colors: so many charts have lines, points or bars; the background is light or dark; and the
picture has so many colors where the charts are."""
import re
import struct
import sys
import zlib


def pixels(path):
    """Rows of RGB triples of a PNG of 8 bits without interlacing, which is what Chromium writes."""
    data = open(path, "rb").read()
    at, compressed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and color in (2, 6) and not interlaced, (path, depth, color)
        if kind == b"IDAT":
            compressed += body
        at += length + 12
    size = 3 if color == 2 else 4
    raw = zlib.decompress(compressed)
    stride = width * size
    before = bytearray(stride)
    for y in range(height):
        start = y * (stride + 1)
        row = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), before, size)
        yield [tuple(row[x : x + 3]) for x in range(0, stride, size)]
        before = row


def unfiltered(kind, row, before, size):
    for i in range(len(row)):
        left = row[i - size] if i >= size else 0
        up = before[i]
        corner = before[i - size] if i >= size else 0
        if kind == 1:
            row[i] = row[i] + left & 255
        elif kind == 2:
            row[i] = row[i] + up & 255
        elif kind == 3:
            row[i] = row[i] + (left + up) // 2 & 255
        elif kind == 4:
            row[i] = row[i] + min((left, up, corner), key=lambda v: abs(left + up - corner - v)) & 255
    return row


def look(html, picture, scheme, count, colors):
    charts = re.findall(r'<div class="chart" id="chart\d+".*?</svg>', open(html, encoding="utf-8").read(), re.S)
    assert len(charts) == count, f"{html}: {len(charts)} charts are drawn, not {count}"
    for number, chart in enumerate(charts):
        shapes = len(re.findall(r"<(?:path|polyline|circle|rect)\b", chart))
        assert shapes > 8, f"{html}: chart {number} has {shapes} shapes"
    colored, background = {}, None
    for row in pixels(picture):
        background = background or row[0]
        for red, green, blue in row[: len(row) * 3 // 5]:
            if max(red, green, blue) - min(red, green, blue) > 60:
                key = (red // 64, green // 64, blue // 64)
                colored[key] = colored.get(key, 0) + 1
    strong = [seen for seen in colored.values() if seen > 300]
    assert len(strong) >= colors, f"{picture}: {len(strong)} colors where charts are"
    assert (sum(background) > 600) == (scheme == "light"), f"{picture}: the background is {background}, not {scheme}"
    print(f"{html.rsplit('/', 1)[-1]}, {scheme}: {len(charts)} charts, {len(strong)} colors, background {background}")


if __name__ == "__main__":
    for i in range(1, len(sys.argv), 5):
        look(*sys.argv[i : i + 3], *map(int, sys.argv[i + 3 : i + 5]))
