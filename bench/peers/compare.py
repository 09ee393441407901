#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training steps a second of compiled networks and of the same networks in PyTorch, JAX and tinygrad.

    ninja -C build bench/nnc_steps && bench/peers/install.sh
    bench/peers/compare.py [--only cnn-16] [--json] [--rounds N]

All start from the parameters that nnc draws, see one batch that lies in memory, run the same optimizer, and have
the same processors to themselves, one after the other. First the losses of some steps are compared: what differs
is not timed. Then they take turns, round by round; the table has medians of steps a second, and the median of
the rounds' ratios, each of two neighbours in time."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ["torch", "jax", "tinygrad"]
CASES = [  # name, model, kind, batch, optimizer
    ("cnn-16", "cnn", "cnn", 16, "adam"),
    ("cnn-128", "cnn", "cnn", 128, "adam"),
    ("simplenet-16", "simplenet", "mlp", 16, "momentum"),
    ("simplenet-128", "simplenet", "mlp", 128, "momentum"),
    ("mlp-256", "mlp", "mlp", 256, "momentum"),
]
COMPARED_STEPS = 5
MOST_DIFFERENCE = 1e-3  # of the losses, relative
TURN = 0.5              # seconds of a turn, about
PAUSE = 0.1             # seconds between turns: the threads of the one before go to sleep


class Worker:
    """A process that steps a network when it is told to."""

    def __init__(self, name, command, environment):
        self.name, self.rates, self.ratios, self.problem = name, [], [], None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            errors = self.process.communicate()[1].strip().splitlines() or ["it ended"]
            raise RuntimeError(errors[-1])
        return json.loads(line)

    def step(self, count):
        try:
            self.process.stdin.write(f"{count}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer is why
        return self.answer()

    def calibrate(self):
        self.step(2)
        self.steps = max(1, int(TURN / self.step(1)["seconds"]))

    def turn(self):
        if self.steps > 1:
            self.step(max(1, self.steps // 5))  # not counted
        rate = self.steps / self.step(self.steps)["seconds"]
        self.rates.append(rate)
        time.sleep(PAUSE)
        return rate

    def close(self):
        self.process.terminate()
        self.process.communicate()


def environment_for(threads):
    cache = os.environ.get("NNC_CACHE") or os.path.join(tempfile.gettempdir(), "nnc-peers-cache")
    return dict(os.environ, OMP_NUM_THREADS=str(threads), NNC_CACHE=cache, CPU_COUNT=str(threads),
                XLA_FLAGS=f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={threads}",
                TF_CPP_MIN_LOG_LEVEL="3")


def installed_peers(python):
    """Of each peer what worker.py says of it."""
    found = {}
    for peer in PEERS:
        answer = None
        if os.path.exists(python):
            done = subprocess.run([python, f"{HERE}/worker.py", peer], capture_output=True, text=True)
            answer = json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None
        if answer and "name" in answer:
            found[peer] = answer
        else:
            print(f"(not installed, left out: {peer}; bench/peers/install.sh installs it)", file=sys.stderr)
    return found


def start_workers(case, options, found, folder):
    _, model, kind, batch, optimizer = case
    environment = environment_for(options.threads)
    command = [options.nnc_steps, f"{HERE}/{model}.nnd", str(batch), str(options.threads), folder]
    workers = [Worker("nnc", command, environment)]
    workers[0].answer()  # it is ready: the folder is written
    for peer, about in found.items():
        for variant in about["variants"][kind]:
            command = [options.python, f"{HERE}/worker.py", peer, kind, variant, optimizer, str(options.threads), folder]
            workers.append(Worker(f"{about['name']}, {variant}", command, environment))
    return workers


def compare_losses(workers):
    """Those that compute what nnc computes; the others' `problem` says why not."""
    wanted, good = [workers[0].step(1)["loss"] for _ in range(COMPARED_STEPS)], [workers[0]]
    for worker in workers[1:]:
        try:
            worker.answer()
            difference = max(abs(worker.step(1)["loss"] - loss) / loss for loss in wanted)
            worker.difference = difference
            if difference <= MOST_DIFFERENCE:
                worker.calibrate()
                good.append(worker)
            else:
                worker.problem = f"its losses differ by {difference:.1e}"
        except RuntimeError as error:
            worker.problem = str(error)[:100]
    workers[0].calibrate()
    return good


def run_case(case, options, found):
    with tempfile.TemporaryDirectory() as folder:
        workers = start_workers(case, options, found, folder)
        try:
            good = compare_losses(workers)
            for _ in range(options.rounds):
                for worker in good[1:]:
                    worker.ratios.append(good[0].turn() / worker.turn())
                if len(good) == 1:
                    good[0].turn()
        finally:
            for worker in workers:
                worker.close()
    return workers


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def print_case(case, workers, options):
    name, _, _, batch, optimizer = case
    print(f"\n{name}: batch {batch}, {optimizer}, {options.threads} threads, {options.rounds} rounds")
    print(f"  {'':32} {'steps/s':>9} {'examples/s':>11}   nnc : peer (quartiles)    losses differ by")
    for worker in workers:
        if worker.problem:
            print(f"  {worker.name:32} left out: {worker.problem}")
            continue
        rate = statistics.median(worker.rates)
        digits = 0 if rate >= 1000 else 1 if rate >= 10 else 2
        row = f"  {worker.name:32} {rate:9.{digits}f} {rate * batch:11.0f}"
        if worker.ratios:
            low, middle, high = quartiles(worker.ratios)
            row += f"   {middle:6.2f} ({low:.2f} .. {high:.2f})".ljust(28) + f"{worker.difference:.0e}"
        print(row, flush=True)


def print_json(case, workers, options):
    result = {"case": case[0], "batch": case[3], "threads": options.threads, "rounds": options.rounds, "peers": []}
    result["nnc_steps_per_second"] = statistics.median(workers[0].rates)
    for worker in workers[1:]:
        about = {"name": worker.name}
        if worker.problem:
            about["problem"] = worker.problem
        else:
            about.update(steps_per_second=statistics.median(worker.rates), loss_difference=worker.difference,
                         ratio=statistics.median(worker.ratios), quartiles=quartiles(worker.ratios)[::2])
        result["peers"].append(about)
    print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="nnc's build folder (default: build)")
    parser.add_argument("--env", help="the virtual environment (default: peers in the build folder)")
    parser.add_argument("--only", action="append", choices=[case[0] for case in CASES], help="this network")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one object a line")
    options = parser.parse_args()
    options.nnc_steps = os.path.join(options.build, "bench", "nnc_steps")
    options.python = os.path.join(options.env or os.path.join(options.build, "peers"), "bin", "python")
    if not os.path.exists(options.nnc_steps):
        sys.exit(f"{options.nnc_steps} is missing: ninja -C {options.build} bench/nnc_steps")
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[:options.threads])  # of all that is started here
    found = installed_peers(options.python)
    for case in CASES:
        if options.only and case[0] not in options.only:
            continue
        workers = run_case(case, options, found)
        (print_json if options.json else print_case)(case, workers, options)


main()
