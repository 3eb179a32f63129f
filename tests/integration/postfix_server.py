"""Debian's Postfix with a configuration, queue and port of its own, below a directory."""
import os
import pathlib
import re
import shutil
import subprocess

import postern

PATH = os.environ.get("PATH", "") + ":/usr/sbin"
SERVICES = pathlib.Path("/usr/share/postfix/master.cf.dist")
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def missing():
    """Why it cannot be started here; "" if it can."""
    if not shutil.which("postfix", path=PATH):
        return "postfix is not installed"
    return "" if os.geteuid() == 0 else "Postfix starts as root only"


class Postfix:
    """Runs from start() to stop(); `settings` are lines of main.cf that come last and so win."""

    def __init__(self, directory, settings=""):
        self.directory, self.port = pathlib.Path(directory), postern.free_port()
        self.program = shutil.which("postfix", path=PATH)
        self.config = self.directory / "etc"
        queue, data = self.directory / "queue", self.directory / "data"
        for path in (self.config, queue, data):
            path.mkdir()
        shutil.chown(data, "postfix", "postfix")
        (self.config / "main.cf").write_text(
            f"compatibility_level = 3.6\nmyhostname = postfix.example\nqueue_directory = {queue}\n"
            f"data_directory = {data}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
            "mynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\n"
            f"maillog_file = {self.directory}/postfix.log\nmaillog_file_prefixes = {self.directory}\n"
            "mydestination =\n" + settings)
        services = SERVICES.read_text("utf-8")
        services = re.sub(r"^smtp      inet  n       -       y",
                          f"127.0.0.1:{self.port} inet  n       -       n", services, flags=re.M)
        services = re.sub(r"^(\S+\s+\S+\s+\S+\s+\S+\s+)y", r"\1n", services, flags=re.M)
        (self.config / "master.cf").write_text(
            services + "postlog   unix-dgram n  -       n       -       1       postlogd\n")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        subprocess.run([self.program, "-c", self.config, "start"], check=True, **QUIET)
        postern.until(lambda: postern.somebody_listens(self.port), what=f"Postfix listens on {self.port}")

    def stop(self):
        subprocess.run([self.program, "-c", self.config, "stop"], check=False, **QUIET)
