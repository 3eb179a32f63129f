"""nsd with zones of the test's own, some of them signed."""
import os
import pathlib
import shutil
import subprocess
import unittest

import postern

APEX = "$TTL 60\n@ SOA ns admin 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"


def need(*programs):
    """Skips the test by the name of what is missing; the paths otherwise."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    found = [shutil.which(program, path=path) for program in programs]
    for program, where in zip(programs, found):
        if not where:
            raise unittest.SkipTest(f"{program} is not installed")
    return found


class NameServer:
    """Serves `zones` ({name: lines of records below APEX}) from construction to close().

    Zones in `signed` are signed; in `broken`, signed and then changed. `anchors` is the file with
    the keys of both.
    """

    def __init__(self, directory, zones, signed=(), broken=()):
        program, = need("nsd")
        self.directory = pathlib.Path(directory)
        self.port = postern.free_port()
        self.anchors = self.directory / "anchors"
        keys = []
        for name, records in zones.items():
            file = self.directory / f"{name}.zone"
            file.write_text(f"$ORIGIN {name}.\n{APEX}{records}")
            if name in signed or name in broken:
                keys.append(self._sign(name, file, spoil=name in broken))
        self.anchors.write_text("".join(keys))
        (self.directory / "nsd.conf").write_text(
            f"server:\n ip-address: 127.0.0.1@{self.port}\n do-ip6: no\n username: \"\"\n"
            f" chroot: \"\"\n zonesdir: \"{self.directory}\"\n database: \"\"\n"
            f" pidfile: \"{self.directory}/nsd.pid\"\n xfrdfile: \"{self.directory}/xfrd.state\"\n"
            f" zonelistfile: \"{self.directory}/zone.list\"\n logfile: \"{self.directory}/nsd.log\"\n"
            " server-count: 1\nremote-control:\n control-enable: no\n" +
            "".join(f"zone:\n name: {name}\n zonefile: {name}.zone\n" for name in zones))
        self.process = subprocess.Popen(
            [program, "-d", "-c", str(self.directory / "nsd.conf")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        postern.until(self._answers, what="nsd answers")

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError("nsd ended: " + (self.directory / "nsd.log").read_text())
        return postern.somebody_listens(self.port)

    def _sign(self, name, file, spoil):
        keygen, sign = need("ldns-keygen", "ldns-signzone")
        key = subprocess.run([keygen, "-k", "-a", "ECDSAP256SHA256", name], cwd=self.directory,
                             check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([sign, "-f", str(file), str(file), key], cwd=self.directory, check=True)
        if spoil:
            text = file.read_text()
            file.write_text(text.replace("127.0.1.", "127.0.2."))
            if text == file.read_text():
                raise AssertionError(f"nothing to spoil in {name}")
        return (self.directory / f"{key}.key").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait()
