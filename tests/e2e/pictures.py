# SPDX-License-Identifier: MIT
"""Is a picture of nnc graph readable? pictures.py FILE.svg..

No arrow runs through a box, no text lies on a box that is not its own or on another text, nothing leaves the page.
pictures.py --texts FILE.svg: of any picture, that no text leaves the page.
"""
import re
import sys
import xml.dom.minidom


def numbers(text):
    return [float(n) for n in re.findall(r"-?[0-9.]+", text)]


def curve(path):  # 33 points of each cubic
    values = numbers(path)
    x, y, values = values[0], values[1], values[2:]
    for i in range(0, len(values), 6):
        ax, ay, bx, by, cx, cy = values[i : i + 6]
        for k in range(33):
            t = k / 32
            s = 1 - t
            yield (s**3 * x + 3 * s * s * t * ax + 3 * s * t * t * bx + t**3 * cx,
                   s**3 * y + 3 * s * s * t * ay + 3 * s * t * t * by + t**3 * cy)
        x, y = cx, cy


def inside(point, box, by):
    return box[0] + by < point[0] < box[2] - by and box[1] + by < point[1] < box[3] - by


def overlap(a, b):
    return min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 1


def texts_leave(page, width, height):
    for node in page.getElementsByTagName("text"):
        if node.getAttribute("transform") or not node.firstChild:
            continue
        x, y = float(node.getAttribute("x")), float(node.getAttribute("y"))
        length = 7 * len(node.firstChild.data)
        left = x - {"middle": length / 2, "end": length}.get(node.getAttribute("text-anchor"), 0)
        if left < 0 or left + length > width or not 0 < y < height:
            yield "%s leaves the page" % node.firstChild.data


if sys.argv[1] == "--texts":
    page = xml.dom.minidom.parse(sys.argv[2]).documentElement
    found = list(texts_leave(page, *numbers(page.getAttribute("viewBox"))[2:]))
    print("\n".join(found))
    sys.exit(len(found) > 0)

faults = 0
for name in sys.argv[1:]:
    page = xml.dom.minidom.parse(name).documentElement
    width, height = numbers(page.getAttribute("viewBox"))[2:]
    drawing = page.getElementsByTagName("g")[0]
    height -= numbers(drawing.getAttribute("transform"))[1]
    boxes, labels, found = [], [], []
    for node in drawing.getElementsByTagName("rect"):
        x, y, w, h = (float(node.getAttribute(a)) for a in ("x", "y", "width", "height"))
        boxes.append((x, y, x + w, y + h))
    for node in drawing.getElementsByTagName("text"):
        if not node.getAttribute("stroke"):
            continue  # of a box
        text, x, y = node.firstChild.data, float(node.getAttribute("x")), float(node.getAttribute("y"))
        labels.append((x, y - 8, x + 11 * sum(0.36 if c in " ,.[]()" else 0.6 for c in text), y + 1, text))
    assert len(boxes) >= 3 and len(labels) >= 2, name
    for box in boxes + labels:
        if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
            found.append("%s leaves the page" % (box,))
    for i, label in enumerate(labels):
        found += ["%s lies on a box" % label[4] for box in boxes if overlap(label, box)]
        found += ["%s lies on %s" % (label[4], other[4]) for other in labels[:i] if overlap(label, other)]
    for node in drawing.getElementsByTagName("path"):
        points = list(curve(node.getAttribute("d")))
        for box in boxes:
            if any(inside(point, box, 1) for point in points):
                found.append("the arrow %s runs through the box at %s" % (node.getAttribute("d"), box[:2]))
    for fault in found:
        print(name + ": " + fault)
    faults += len(found)
sys.exit(faults > 0)
