# SPDX-License-Identifier: MIT
"""Runs static analysers over compiler, runtime and frontends, and prints a table.

    analyse.py BUILD [gcc] [clang] [tidy] [cppcheck] [FOLDER/]...      BUILD has a compile_commands.json

What a tool finds is either mended or a line of analyse.known, `tool|check|file|words of the message|why it is none`.
Everything else is printed. Ends with status 0 where nothing is.
"""
import collections
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KNOWN = os.path.join(TOP, "scripts", "analyse.known")
FOLDERS = ("compiler/", "runtime/", "frontends/")

Finding = collections.namedtuple("Finding", "tool check file line text")

# strcpy and the like, whatever their operands; va_list, which this version misreads on x86-64
UNASKED = "security.insecureAPI.strcpy,security.insecureAPI.DeprecatedOrUnsafeBufferHandling,valist.Uninitialized"
COMMANDS = {
    # -fanalyzer wants -O1: with less it sees less, with more its time explodes
    "gcc": ["gcc", "-O1", "-fanalyzer", "-fdiagnostics-plain-output", "-c", "-o", "/dev/null"],
    "clang": ["clang", "--analyze", "--analyzer-output", "text", "-Xclang", "-analyzer-disable-checker=" + UNASKED],
    "tidy": ["clang-tidy", "--quiet"],
    "cppcheck": ["cppcheck", "--quiet", "--std=c11", "--enable=warning,performance,portability",
                 "--template={file}:{line}:{column}: {severity}: {message} [{id}]",
                 "--suppress=missingIncludeSystem", "-D__x86_64__=1", "-DCHAR_BIT=8",
                 "-D_Noreturn=[[noreturn]]"],  # which it does not know from C
}
VERSION = {"gcc": "gcc", "clang": "clang", "tidy": "clang-tidy", "cppcheck": "cppcheck"}
LINE = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error|portability|performance): (.*?) ?\[([^]]*)\]$")


def sources(build):
    """file -> the compiler's arguments that say how it is read; the first command of each."""
    found = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as commands:
        for entry in json.load(commands):
            path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
            name = os.path.relpath(path, TOP)
            words = shlex.split(entry["command"])
            if name.startswith(FOLDERS) and name not in found:
                found[name] = [word if word[:2] != "-I" else
                               "-I" + os.path.realpath(os.path.join(entry["directory"], word[2:]))
                               for word in words if word[:2] in ("-I", "-D") or word[:4] == "-std"]
    return found


def run(tool, name, flags):
    if tool == "tidy":
        command = COMMANDS[tool] + [name, "--"] + flags
    elif tool == "cppcheck":
        command = COMMANDS[tool] + [flag for flag in flags if flag[:4] != "-std"] + [name]
    else:
        command = COMMANDS[tool] + flags + [name]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    findings, wrong = set(), None
    for line in (done.stdout + done.stderr).splitlines():
        match = LINE.match(line)
        if match:
            file = os.path.relpath(os.path.realpath(os.path.join(TOP, match[1])), TOP)
            findings.add(Finding(tool, match[4], file, int(match[2]), match[3]))
        elif " error: " in line:
            wrong = line
    return findings, wrong


def read_known():
    with open(KNOWN, encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("|") for line in lines if line.strip() and line[0] != "#"]
    for row in rows:
        if len(row) != 5 or not row[4]:
            sys.exit(f"analyse.known: {'|'.join(row)}: is to be tool|check|file|text|reason")
    return rows


def justifies(row, finding):
    return (row[0] == finding.tool and row[1] in finding.check and finding.file.endswith(row[2])
            and row[3] in finding.text)


def main(build, asked):
    tools = [word for word in asked if word in COMMANDS] or list(COMMANDS)
    folders = tuple(word for word in asked if word not in COMMANDS) or FOLDERS
    files = {name: flags for name, flags in sources(build).items() if name.startswith(folders)}
    known, used, clean = read_known(), set(), True
    table = []
    for tool in tools:
        findings, failed = set(), []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for some, wrong in pool.map(lambda name: run(tool, name, files[name]), sorted(files)):
                findings |= some
                failed += [wrong] if wrong else []
        rest = []
        for finding in sorted(findings):
            rows = [i for i, row in enumerate(known) if justifies(row, finding)]
            used.update(rows)
            rest += [] if rows else [finding]
        for finding in rest:
            print(f"{tool}: {finding.file}:{finding.line}: {finding.text} [{finding.check}]")
        for line in failed:
            print(f"{tool}: {line}")
        clean = clean and not rest and not failed
        version = subprocess.run([VERSION[tool], "--version"], capture_output=True, text=True, check=False).stdout
        table.append((tool, re.search(r"\d+\.\d+(\.\d+)?", version)[0], len(files), len(findings) - len(rest), len(rest)))
    for i, row in enumerate(known):
        if row[0] in tools and i not in used and folders == FOLDERS:
            print("no longer found:", "|".join(row))
    print(f"{'tool':10} {'version':8} {'files':>6} {'justified':>10} {'open':>6}")
    for row in table:
        print(f"{row[0]:10} {row[1]:8} {row[2]:6} {row[3]:10} {row[4]:6}")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
