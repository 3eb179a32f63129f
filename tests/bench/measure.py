"""What a server and all its processes use: CPU, memory, device flushes, system calls."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "integration"))
from call_counter import counted  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.2


def tree(root):
    """The process and all below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
        except OSError:
            pass
    found, generation = {root}, {root}
    while generation:
        generation = {pid for pid, parent in parents.items() if parent in generation} - found
        found |= generation
    return found


def name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def cpu_seconds(root):
    """Of the whole tree, and of those of it that ended."""
    ticks = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
        except OSError:
            pass
    return ticks / TICKS


def pss_of(pid):
    """KiB; 0 for a process that is gone."""
    try:
        match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        return int(match.group(1)) if match else 0
    except OSError:
        return 0


def pss_kib(root):
    return sum(pss_of(pid) for pid in tree(root))


class PeakPss:
    """Samples the tree's PSS from construction to stop(), which gives the largest sum in KiB."""

    def __init__(self, root):
        self.root, self.peak, self.ended = root, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            self.peak = max(self.peak, pss_kib(self.root))
            if self.ended.wait(SAMPLE_SECONDS):
                return

    def stop(self):
        self.ended.set()
        self.thread.join()
        return self.peak


def device_flushes(directory):
    """How often the disk below `directory` was told to write back its cache so far; None: unknown."""
    device = os.stat(directory).st_dev
    where = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    if (where / "partition").exists():
        where = where.parent  # flushes are counted for the whole disk
    try:
        fields = (where / "stat").read_text().split()
    except OSError:
        return None  # no block device: tmpfs, overlayfs
    return int(fields[15]) if len(fields) > 15 else None


class CallCount:
    """The system calls of a whole tree, counted by strace from construction to stop()."""

    def __init__(self, root):
        self.report = tempfile.NamedTemporaryFile("r", prefix="postern-calls-")
        pids = tree(root)
        self.process = subprocess.Popen(
            [shutil.which("strace"), "-c", "-f", "-o", self.report.name,
             *(option for pid in pids for option in ("-p", str(pid)))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while not all(self.is_attached(pid) for pid in pids):
            if time.monotonic() > end:
                raise RuntimeError("strace does not attach")
            time.sleep(0.01)

    @staticmethod
    def is_attached(pid):
        try:
            return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return True  # it is gone

    def stop(self):
        """{system call: how often}."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        report = self.report.read()
        self.report.close()
        return counted(report)
