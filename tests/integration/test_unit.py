"""The systemd unit: how much it leaves exposed, and that it admits what the server needs."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import postern
import smtp_client
from call_counter import counted

TEMPLATE = pathlib.Path(__file__).resolve().parent.parent.parent / "conf" / "systemd" / "postern.service.in"
MOST_EXPOSURE = 3.5


class Unit(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        self.text = TEMPLATE.read_text()

    def test_it_exposes_little(self):
        with tempfile.TemporaryDirectory() as directory:
            unit = pathlib.Path(directory, "postern.service")
            unit.write_text(self.text.replace("@libexecdir@/master", "/bin/true"))
            told = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                                  capture_output=True, text=True)
        found = re.search(r"Overall exposure level for postern.service: ([\d.]+)", told.stdout)
        if not found:
            self.skipTest(f"systemd-analyze judges no files here: {told.stderr.strip()}")
        self.assertLessEqual(float(found.group(1)), MOST_EXPOSURE, told.stdout)

    def unfold(self, name):
        """The system calls of a set ("@mount"), or the one of that name."""
        if not name.startswith("@"):
            return {name}
        listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True)
        if listed.returncode != 0:
            self.skipTest(f"systemd-analyze lists no sets here: {listed.stderr.strip()}")
        inner = [line.strip() for line in listed.stdout.splitlines()[1:] if line.strip() and "#" not in line]
        return set().union(*(self.unfold(one) for one in inner))

    def admitted(self):
        """The system calls that SystemCallFilter= admits, line by line."""
        told = set()
        for line in self.text.splitlines():
            if not line.startswith("SystemCallFilter="):
                continue
            words = line.partition("=")[2].split()
            if words[0].startswith("~"):
                told -= set().union(*(self.unfold(word.removeprefix("~")) for word in words))
            else:
                told |= set().union(*(self.unfold(word) for word in words))
        return told

    def test_it_admits_every_call_of_a_start_and_a_delivery(self):
        if os.geteuid() != 0 or not shutil.which("strace"):
            self.skipTest("needs root and strace")
        admitted = self.admitted()
        self.assertIn("openat", admitted)
        with tempfile.NamedTemporaryFile("r") as report:
            server = postern.Instance()
            self.addCleanup(server.close)
            server.wrapper = ["strace", "-f", "-c", "-o", report.name]
            with server:
                with smtp_client.Client(server.smtp_port) as client:
                    client.hello()
                    client.mail("sender@example.net", ["alice@example.org"], b"Subject: traced\r\n\r\nx\r\n")
                server.wait_for_message("alice", b"Subject: traced")
                os.kill(server.pid(), signal.SIGTERM)  # strace itself takes no notice of signals
                server.process.wait(60)
            made = set(counted(report.read()))
        for expected in ("io_uring_setup", "seccomp", "landlock_restrict_self", "pivot_root"):
            if expected not in made:
                print(f"{expected} was not called: this machine does not give it")
        self.assertIn("execve", made)
        self.assertEqual(made - admitted, set())


if __name__ == "__main__":
    unittest.main()
