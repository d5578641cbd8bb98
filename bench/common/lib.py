"""What the benchmarks share: our server, the peers from Debian's packages, processes and their costs, figures.

Everything listens on 127.0.0.1, keeps its data in a temporary folder and is ended by its process id.
"""

import atexit
import contextlib
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def is_quick():
    return "--quick" in sys.argv[1:]


def say(text=""):
    print(text, flush=True)


def binary():
    """Our program: the release build when there is one. Says which."""
    named = os.environ.get("MAINSTAY_BIN")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for path in [named] if named else [target / "release/mainstay", target / "debug/mainstay"]:
        if pathlib.Path(path).exists():
            if named:
                kind = "named by MAINSTAY_BIN"
            else:
                kind = "release build" if path.parent.name == "release" else "debug build, not optimised"
            say(f"ours: {path} ({kind})")
            return str(path)
    sys.exit("there is no mainstay to measure; run `make release` first")


def conditions():
    with open("/proc/loadavg") as file:
        load = file.read().split()[:3]
    say(f"machine: {os.cpu_count()} processors, load {' '.join(load)} at the start")


def free_port():
    """A port whose neighbour is free too."""
    while True:
        port = random.randrange(21_000, 31_000)
        with contextlib.suppress(OSError):
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
            return port


class Peers:
    """Debian's Prometheus, Alertmanager and node_exporter, unpacked without an installation."""

    PACKAGES = ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"]

    def __init__(self):
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
        self.root = cache / "mainstay-bench"
        for package in self.PACKAGES:
            if shutil.which(package) is None and not (self.root / "usr/bin" / package).exists():
                self.fetch(package)
        self.share()
        versions = []
        for package in self.PACKAGES:
            answer = subprocess.run([self.path(package), "--version"], capture_output=True, text=True, timeout=20)
            words = (answer.stdout + answer.stderr).split()
            versions.append(f"{package} {words[words.index('version') + 1].rstrip(',')}")
        say("peers: " + ", ".join(versions))

    def fetch(self, package):
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True, capture_output=True, timeout=300)
            for archive in pathlib.Path(folder).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(archive), str(self.root)], check=True, timeout=120)

    def share(self):
        """Alertmanager reads its templates from a fixed folder; while we run, what is missing there leads to the unpacked one.

        The folder above it may be there without them: Debian's prometheus keeps its own files beside."""
        place, unpacked = pathlib.Path("/usr/share/prometheus"), self.root / "usr/share/prometheus"
        if not unpacked.exists():
            return
        if place.is_dir() and not place.is_symlink():
            links = {place / entry.name: entry for entry in unpacked.iterdir()}
        else:
            links = {place: unpacked}
        for link, target in links.items():
            if link.is_symlink() and not link.exists():
                link.unlink()
            if link.exists():
                continue
            try:
                link.symlink_to(target)
            except OSError as error:
                sys.exit(f"Alertmanager needs {link}: run this as root, or install prometheus-alertmanager ({error})")
            atexit.register(link.unlink, missing_ok=True)

    def path(self, package):
        return shutil.which(package) or str(self.root / "usr/bin" / package)


class House(contextlib.ExitStack):
    """A temporary folder and the processes in it; both are gone at the end."""

    def __init__(self):
        super().__init__()
        self.dir = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-bench-")))

    def start(self, argv, name, may_end=False):
        """`may_end`: the benchmark ends it itself. Any other process that ends is named by the next `until`."""
        log = open(self.dir / f"{name}.log", "ab")
        child = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir)
        self.callback(stop, child)
        if not may_end:
            watched = (child, name, self.dir / f"{name}.log")
            WATCHED.append(watched)
            self.callback(lambda: watched in WATCHED and WATCHED.remove(watched))
        return child


# Processes that must not end while a benchmark waits for something: child, name, log.
WATCHED = []


def stop_if_one_ended():
    for child, name, log in WATCHED:
        if child.poll() is not None:
            sys.exit(f"{name} ended by itself with status {child.returncode}; its last words:\n"
                     + log.read_text(errors="replace")[-2000:])


def end(child):
    """Ends a process that the benchmark started and does not need any more."""
    WATCHED[:] = [watched for watched in WATCHED if watched[0] is not child]
    stop(child)


def stop(child):
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def get(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read()


def until(what, check, seconds=60, pause=0.02):
    """Asks again until there is an answer that is not None or False; gives it with the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        stop_if_one_ended()
        with contextlib.suppress(OSError, urllib.error.URLError, KeyError, IndexError, ValueError):
            found = check()
            if found is not None and found is not False:
                return found, time.monotonic() - began
        time.sleep(pause)
    raise TimeoutError(f"{what} did not happen within {seconds} s")


class Ours:
    """`mainstay up` on a folder of its own."""

    def __init__(self, house, program, data="data", subcommand="up"):
        self.house, self.program, self.subcommand = house, program, subcommand
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data, self.token_file = house.dir / data, house.dir / f"{data}.token"
        self.child = None

    def start(self):
        """Starts it; gives the seconds until the page was served."""
        began = time.monotonic()
        self.child = self.house.start(
            [self.program, self.subcommand, "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data),
             "--admin-token-file", str(self.token_file)], "mainstay")
        until("our page", lambda: get(self.url + "/"), 60, 0.005)
        took = time.monotonic() - began
        until("our token", lambda: self.token_file.read_text().strip())
        return took

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": "Bearer " + self.token_file.read_text().strip(), "content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def query(self, text):
        import urllib.parse
        answer = self.call("GET", "/prometheus/api/v1/query?query=" + urllib.parse.quote(text))
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    def agent(self):
        """The process id of the agent beside the server."""
        def look():
            for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    text = path.read_text()
                    parent = int(text.rsplit(")", 1)[1].split()[1])
                    if parent == self.child.pid and b"agent" in (path.parent / "cmdline").read_bytes():
                        return int(path.parent.name)
            return None
        return until("our agent", look)[0]


class Sink:
    """Takes webhooks; each arrival is handed on with its time."""

    def __init__(self, house, take):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                at = time.monotonic()
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()
                take(self.path, json.loads(body), at)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        house.callback(server.shutdown)


def cpu_s(pid):
    """Processor seconds of a process and of its ended children."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS


def rss_mb(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * PAGE / 1e6


def percentile(values, share):
    """By the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def number(value):
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def figure(name, ours, peer, target, is_ok):
    """One line a figure; `target` says what was wanted."""
    ratio = None if not peer else ours / peer
    verdict = "ok" if is_ok else "short"
    say(f"figure {name} ours {number(ours)} peer {number(peer)} ratio {number(ratio)} target {target} {verdict}")


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        say("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                      for i, (cell, width) in enumerate(zip(row, widths))))
