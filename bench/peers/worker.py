# SPDX-License-Identifier: MIT
"""One peer as a process, told what to do as nnc_steps is (steps.c):  worker.py PEER [NET VARIANT OPTIMIZER THREADS FOLDER]

Without a network it prints its name and the variants of each network, if it is installed."""
import importlib
import json
import sys
import time


class Start:
    """The parameters and the batch that nnc_steps wrote."""

    def __init__(self, folder):
        import numpy
        self.values = {}
        with open(f"{folder}/start.json") as listing:
            for entry in json.load(listing):
                kind = numpy.int32 if entry["kind"] == "target" else numpy.float32
                value = numpy.fromfile(f"{folder}/{entry['name']}.bin", kind).reshape(entry["shape"])
                if entry["kind"] == "parameter":
                    self.values[entry["name"]] = value
                else:
                    setattr(self, entry["kind"], value)

    def parameters(self):
        return list(self.values.items())

    def __getitem__(self, name):
        return self.values[name]


def main():
    try:
        peer = importlib.import_module("peer_" + sys.argv[1])
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    if len(sys.argv) == 2:
        print(json.dumps({"name": peer.NAME, "variants": {net: peer.variants(net) for net in ("cnn", "mlp")}}))
        return
    net, variant, optimizer, threads, folder = sys.argv[2:]
    trainer = peer.Trainer(Start(folder), net, variant, optimizer, int(threads))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        begin = time.monotonic()
        loss = trainer.step(int(line))
        print(json.dumps({"seconds": time.monotonic() - begin, "loss": loss}), flush=True)


main()
