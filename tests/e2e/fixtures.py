# SPDX-License-Identifier: MIT
"""A little data of each kind that documents speak of: fixtures.py FOLDER

FOLDER/cifar-10-batches-bin and FOLDER/mnist hold a few images, FOLDER/files what a reader is to have at hand: a
photo, the measures of some flowers.
"""
import os
import random
import struct
import sys
import zlib

random.seed(1)
folder = sys.argv[1]


def write(name, content):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def image(size, label):  # brighter for a higher label
    return bytes(min(255, 20 * label + random.randrange(40)) for _ in range(size))


for name in ["data_batch_%d.bin" % i for i in range(1, 6)] + ["test_batch.bin"]:
    write("cifar-10-batches-bin/" + name, b"".join(bytes([i % 10]) + image(3072, i % 10) for i in range(20)))

for part, count in (("train", 100), ("t10k", 20)):
    labels = [i % 10 for i in range(count)]
    write("mnist/%s-labels-idx1-ubyte" % part, struct.pack(">II", 0x801, count) + bytes(labels))
    write("mnist/%s-images-idx3-ubyte" % part,
          struct.pack(">IIII", 0x803, count, 28, 28) + b"".join(image(784, label) for label in labels))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


rows = b"".join(b"\0" + image(3 * 32, row % 10) for row in range(32))
write("files/photo.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
      chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

heads = "sepal length,sepal width,petal length,petal width"
flower = [("setosa", (5.0, 3.4, 1.5, 0.2)), ("versicolor", (5.9, 2.8, 4.3, 1.3)), ("virginica", (6.6, 3.0, 5.6, 2.0))]
lines = []
for i in range(120):
    species, means = flower[i % 3]
    lines.append(",".join("%.1f" % (m + random.uniform(-0.4, 0.4) * m ** 0.3) for m in means) + "," + species)
write("files/iris.csv", "\n".join([heads + ",species"] + lines + [""]).encode())
write("files/more.csv", "\n".join([heads] + [line.rsplit(",", 1)[0] for line in lines[:3]] + [""]).encode())
