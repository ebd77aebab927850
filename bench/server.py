"""The server beside a Flask, gunicorn and OpenCV twin of the service behind the preset neo (bench/peers/neo_twin.py): POST /predict_file with
photographs of 1280 × 720, in turns on the same cores, then both at one offered load; /healthz on one core; idle sockets.

    bench/server.py BUILD PHOTOS [SECONDS]      SECONDS of each measurement, 6 by default
"""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD, PHOTOS = Path(sys.argv[1]), Path(sys.argv[2])
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 6
NAMES = ("faceapi_sample1.jpg", "faceapi_sample2.jpg", "faceapi_sample5.jpg", "human_group-2.jpg", "dlib_2008_007676.jpg",
         "compreface_008_B.jpg", "astronaut.png", "coral_face.jpg")
ROUNDS = 3


def make_photographs(folder):
    """Each photograph fills 1280 × 720; what stands over is cut off, from below first: faces are mostly above."""
    import cv2
    made = []
    for name in NAMES:
        picture = cv2.imread(str(PHOTOS / name))
        if picture is None:
            continue
        height, width = picture.shape[:2]
        scale = max(1280 / width, 720 / height)
        picture = cv2.resize(picture, (max(1280, round(width * scale)), max(720, round(height * scale))), interpolation=cv2.INTER_AREA)
        left, top = (picture.shape[1] - 1280) // 2, (picture.shape[0] - 720) // 4
        file = f"{folder}/{Path(name).stem}.jpg"
        cv2.imwrite(file, picture[top:top + 720, left:left + 1280], [cv2.IMWRITE_JPEG_QUALITY, 90])
        made.append(file)
    return made


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, command, port, check, environment=None):
        self.port = port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/tmp",
                                        env={**os.environ, **(environment or {})})
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{check}", timeout=5).read()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} does not start: {self.process.stderr.read().decode()[-500:]}")
                time.sleep(0.1)

    def memory(self):
        """MB of this process and its children; what several share is counted once."""
        listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        total = 0
        for pid in [self.process.pid, *map(int, listing.split())]:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        return total / 1024

    def processor(self):
        """Seconds of processor time so far, children included: what a measurement on a busy machine can still tell."""
        listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        ticks = 0
        for pid in [self.process.pid, *map(int, listing.split())]:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def load(self, path, seconds, *arguments):
        done = subprocess.run([BUILD / "bench/bench_load", str(self.port), path, "--seconds", str(seconds), *map(str, arguments)],
                              capture_output=True, text=True, check=True)
        return dict(zip(("rate", "failed", "p50", "p90", "p99", "longest"), map(float, done.stdout.split())))

    def faces(self, file):
        done = subprocess.run(["curl", "-sf", "-F", f"file=@{file}", f"http://127.0.0.1:{self.port}/predict_file"],
                              capture_output=True, check=True)
        return sorted(tuple(f["coordinates"][key] for key in ("x", "y", "width", "height")) for f in json.loads(done.stdout)["faces"])

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def start_mien(*flags, before=()):
    port = free_port()
    return Server([*before, str(BUILD / "mien"), "serve", "--port", str(port), "--log-level", "error", "--cache-size", "0", *flags], port, "/healthz")


def start_twin():
    port = free_port()
    return Server([sys.executable, "-m", "gunicorn", "--chdir", str(ROOT / "bench/peers"), "--workers", "2", "--bind",
                   f"127.0.0.1:{port}", "--log-level", "error", "neo_twin:app"], port, "/health", {"MODEL": str(ROOT / "models/emotion.onnx")})


def compare(photographs):
    ours, twin = start_mien("--workers", "2"), start_twin()
    same = sum(ours.faces(file) == twin.faces(file) for file in photographs)
    print(f"{len(photographs)} photographs of 1280 × 720; the same faces in {same}")
    rates, spent = {ours: [], twin: []}, {ours: [], twin: []}
    for _ in range(ROUNDS):
        for server in (ours, twin):
            before = server.processor()
            result = server.load("/predict_file", SECONDS, "--connections", 4, *photographs)
            rates[server].append(result["rate"])
            spent[server].append((server.processor() - before) * 1e3 / max(1, result["rate"] * SECONDS))
            if result["failed"]:
                raise SystemExit(f"{result['failed']:.0f} requests failed")
    ratios = [a / b for a, b in zip(rates[ours], rates[twin])]
    print(f"{'':34} {'mien':>9} {'twin':>9} {'ratio':>7}")
    print(f"{'requests/s, 4 at a time, best':34} {max(rates[ours]):9.1f} {max(rates[twin]):9.1f} {max(rates[ours]) / max(rates[twin]):7.2f}")
    print(f"{'requests/s, 4 at a time, median':34} {statistics.median(rates[ours]):9.1f} {statistics.median(rates[twin]):9.1f} {statistics.median(ratios):7.2f}")
    print(f"{'processor ms a request, best':34} {min(spent[ours]):9.1f} {min(spent[twin]):9.1f} {min(spent[twin]) / min(spent[ours]):7.2f}")
    offered = 0.7 * statistics.median(rates[twin])
    waits = {server: server.load("/predict_file", SECONDS * 1.5, "--connections", 16, "--rate", offered, *photographs) for server in (ours, twin)}
    for name in ("p50", "p99"):
        print(f"{f'{name} in ms at {offered:.1f} requests/s':34} {waits[ours][name]:9.1f} {waits[twin][name]:9.1f} {waits[twin][name] / waits[ours][name]:7.2f}")
    print(f"{'memory in MB':34} {ours.memory():9.1f} {twin.memory():9.1f} {twin.memory() / ours.memory():7.2f}")
    ours.stop()
    twin.stop()


def healthz():
    pinned = ("taskset", "-c", "0") if shutil.which("taskset") and os.cpu_count() > 1 else ()
    server, rates, spent = start_mien(before=pinned), [], []
    for _ in range(3):
        before = server.processor()
        if shutil.which("wrk"):
            done = subprocess.run(["wrk", "-t1", "-c32", "-d2s", f"http://127.0.0.1:{server.port}/healthz"], capture_output=True, text=True, check=True)
            rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]))
        else:
            rates.append(server.load("/healthz", 2, "--connections", 32)["rate"])
        spent.append((server.processor() - before) * 1e6 / (2 * rates[-1]))
    print(f"/healthz, the server on one core: best {max(rates):.0f}, median {statistics.median(rates):.0f} requests/s; "
          f"{min(spent):.1f} µs of processor a request")
    server.stop()


def idle():
    for kind, path, flags in (("keep-alive", "/healthz", ()), ("/ws", "/ws", ("--upgrade",))):
        server = start_mien()
        server.load("/healthz", 0.5)
        before = server.memory()
        held = subprocess.Popen([BUILD / "bench/bench_load", str(server.port), path, "--idle", "1000", *flags],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if "1000 open" not in held.stdout.readline():
            raise SystemExit("idle sockets were refused")
        print(f"1,000 idle sockets, {kind}: {server.memory() - before:.1f} MB more")
        held.stdin.close()
        held.wait()
        server.stop()


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            import cv2, flask, gunicorn
        except ImportError as missing:
            print(f"{missing.name} is not installed: no peer (scripts/setup bench)", file=sys.stderr)
        else:
            compare(make_photographs(folder))
    healthz()
    idle()


main()
