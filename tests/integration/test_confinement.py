"""What confines the running daemons, and what happens where a layer cannot be had."""
import os
import pathlib
import re
import sys
import unittest

import postern
import smtp_client
import smtp_sink
from postern import kernel_layers
from test_master import processes, tool

WITHOUT = str(pathlib.Path(__file__).resolve().parent / "without.py")
MESSAGE = b"From: <sender@example.net>\r\nSubject: confined\r\n\r\ntext\r\n"
KINDS = ("user", "mnt", "ipc", "uts", "pid", "net")
KEEP_NETWORK = ("smtpc", "resolvd")
ROLES = ("bounced", "locald", "policyd", "qmgr", "resolvd", "smtpc", "smtpd")
NEEDS_NAMESPACES = unittest.skipIf("namespaces" in kernel_layers.missing(),
                                   f"no namespaces here: {kernel_layers.missing().get('namespaces')}")


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def role_of(name):
    return name.split(".")[0]


class WithServers(unittest.TestCase):
    def server(self, **options):
        server = postern.Instance(**options)
        self.addCleanup(server.close)
        return server

    def deliver_one(self, server):
        client = smtp_client.Client(server.smtp_port)
        self.addCleanup(client.close)
        client.hello()
        client.mail("a@example.net", ["alice@example.org"], MESSAGE)
        return server.wait_for_message("alice", b"Subject: confined")

    def daemons(self, server):
        return {name: one for name, one in processes(server).items() if name != "master"}


class Running(WithServers):
    quick = True

    def check_all(self, server):
        """What anybody can see of a process, of each daemon."""
        daemons = self.daemons(server)
        self.assertEqual(sorted(role_of(name) for name in daemons), sorted(ROLES))
        for name, one in daemons.items():
            with self.subTest(name):
                status = status_of(one["pid"])
                self.assertEqual((status["Seccomp"], status["NoNewPrivs"]), ("2", "1"))
                for held in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
                    self.assertEqual(int(status[held], 16), 0, held)
                if "namespaces" in kernel_layers.missing():
                    self.assertRegex(one["layers"], r"missing:\S*namespaces")
                    continue
                self.assertEqual(int(status["CapBnd"], 16), 0)
                self.assertEqual(status["NSpid"].split()[-1], "1", "process 1 of its own")
                count = 5 if role_of(name) in KEEP_NETWORK else 6
                self.assertRegex(one["layers"], rf"^namespaces:{count} ")

    def test_every_daemon_is_confined(self):
        server = self.server().start()
        self.check_all(server)
        self.deliver_one(server)

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to give it up")
    def test_every_daemon_is_confined_without_root(self):
        server = self.server()
        os.chown(server.directory, 64999, 64999)
        server.wrapper = ["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups"]
        server.start()
        self.check_all(server)
        self.deliver_one(server)
        listed = tool(server, "queue", "list")
        self.assertEqual((listed.returncode, listed.stderr), (0, ""), "root is an operator here, too")

    @NEEDS_NAMESPACES
    @unittest.skipUnless(os.geteuid() == 0, "needs root, to look at namespaces of others")
    def test_no_namespace_is_shared_but_the_network_of_those_who_need_it(self):
        server = self.server().start()
        seen = {kind: {os.readlink(f"/proc/{server.pid()}/ns/{kind}")} for kind in KINDS}
        for name, one in self.daemons(server).items():
            for kind in KINDS:
                link = os.readlink(f"/proc/{one['pid']}/ns/{kind}")
                if kind == "net" and role_of(name) in KEEP_NETWORK:
                    self.assertEqual(link, os.readlink(f"/proc/{server.pid()}/ns/net"), name)
                    continue
                self.assertNotIn(link, seen[kind], f"{name} shares its {kind} namespace")
                seen[kind].add(link)

    @NEEDS_NAMESPACES
    @unittest.skipUnless(os.geteuid() == 0, "needs root, to look at roots of others")
    def test_the_root_holds_what_is_shown_and_nothing_else(self):
        server = self.server().start()
        spool = server.directory / "spool" / "postern"
        for name, one in self.daemons(server).items():
            root = pathlib.Path(f"/proc/{one['pid']}/root")
            mounts = [line.split() for line in pathlib.Path(f"/proc/{one['pid']}/mountinfo").read_text().splitlines()]
            points = {fields[4]: fields[5].split(",") for fields in mounts}
            shown = {"/", str(spool)} if role_of(name) == "qmgr" else {"/"}
            self.assertEqual(set(points), shown, name)
            self.assertIn("ro", points["/"], name)
            for point, flags in points.items():
                self.assertLessEqual({"nosuid", "nodev", "noexec"}, set(flags), f"{name}: {point}")
            if role_of(name) != "qmgr":
                self.assertEqual(os.listdir(root), [], name)
                continue
            self.assertTrue((root / str(spool).lstrip("/") / "lock").exists())
            for directory in spool.parents:
                self.assertEqual(len(os.listdir(root / str(directory).lstrip("/"))), 1, directory)

    def test_an_lmtp_server_behind_a_socket_is_reached_in_a_directory_made_later(self):
        server = self.server(retry=1, relay_for=["127.0.0.0/8"])
        sockets = server.directory / "sockets"
        sockets.mkdir()
        sockets.chmod(0o755)
        server.arguments += ["--set", f"outbound.routes=example.com=lmtp:{sockets}/later/lmtp"]
        server.start()
        client = smtp_client.Client(server.smtp_port)
        self.addCleanup(client.close)
        client.hello()
        client.mail("a@example.net", ["carol@example.com"], MESSAGE)
        postern.until(lambda: server.log_lines("message.deferred", "carol@example.com"), 30, "a first try")
        (sockets / "later").mkdir()
        (sockets / "later").chmod(0o755)
        sink = smtp_sink.Sink(lmtp=True, path=sockets / "later" / "lmtp")
        self.addCleanup(sink.close)
        postern.until(lambda: sink.messages, 60, f"the message; log: {server.log()[-2000:]}")

    def test_a_layer_that_is_there_is_used_though_it_may_be_missing(self):
        server = self.server(settings={"master.allow_missing": "namespaces,mdwe,landlock,landlock-network,landlock-scopes"})
        server.start()
        for name, one in self.daemons(server).items():
            said = re.search(r"missing:(\S+)", one["layers"])
            self.assertEqual(said.group(1).split(",") if said else [], list(kernel_layers.missing()), name)


class Lacking(WithServers):
    """As in a container whose profile forbids what the layers need."""

    quick = True

    def start(self, *what, allowed=()):
        allowed = dict.fromkeys([*kernel_layers.missing(), *allowed])
        server = self.server(io="auto", settings={"master.allow_missing": ",".join(allowed)})
        server.wrapper = [sys.executable, WITHOUT, *what, "--"]
        return server

    def assert_refused(self, server, *words):
        with self.assertRaises(AssertionError):
            server.start()
        self.assertNotEqual(server.process.wait(30), 0)
        for word in words:
            self.assertIn(word, server.output())

    def check_missing(self, server, layers):
        """Started: `layers` are shown and logged, of each daemon, and mail is taken and delivered."""
        found = self.daemons(server)
        for name, one in found.items():
            said = re.search(r"missing:(\S+)", one["layers"])
            self.assertLessEqual(set(layers), set(said.group(1).split(",")) if said else set(), name)
            self.assertRegex(one["layers"], r"seccomp:\d+", name)
            for layer in layers:
                self.assertTrue(server.log_lines(f" {role_of(name)}/0[", "sandbox.missing", f"layer={layer} "),
                                f"{name}: {layer}")
        self.deliver_one(server)
        return found

    def test_without_namespaces_it_says_so_and_does_not_start(self):
        self.assert_refused(self.start("namespaces"), "are missing: namespaces;", "clone: Operation not permitted",
                            "user.max_user_namespaces", "--security-opt seccomp=", "master.allow_missing = [")

    def test_without_namespaces_it_starts_when_told_to(self):
        server = self.start("namespaces", allowed=["namespaces"]).start()
        self.check_missing(server, ["namespaces"])
        self.assertIn("missing:", tool(server, "ps").stdout)

    @NEEDS_NAMESPACES
    def test_namespaces_that_may_mount_nothing_are_none(self):
        self.assert_refused(self.start("mounts"), "are missing: namespaces;", "mounts private: Operation not permitted")
        server = self.start("mounts", allowed=["namespaces"]).start()
        for name, one in self.check_missing(server, ["namespaces"]).items():
            self.assertEqual(len(status_of(one["pid"])["NSpid"].split()), len(status_of(server.pid())["NSpid"].split()), name)

    @unittest.skipIf("landlock" in kernel_layers.missing(), f"no Landlock here: {kernel_layers.missing().get('landlock')}")
    def test_without_landlock_it_says_so_and_starts_when_told_to(self):
        self.assert_refused(self.start("landlock"), "are missing: landlock;", "Linux 5.13", "master.allow_missing = [")
        self.check_missing(self.start("landlock", allowed=["landlock"]).start(), ["landlock"])

    def test_all_that_is_missing_is_named_at_once(self):
        server = self.start("namespaces", "landlock", "io_uring", allowed=["mdwe"])
        self.assert_refused(server, "are missing: namespaces, landlock;")

    def test_without_io_uring_it_serves_by_epoll_and_says_what_would_give_it(self):
        server = self.start("io_uring").start()
        self.assertEqual({one["io"] for one in self.daemons(server).values()}, {"epoll"})
        self.assertTrue(server.log_lines("sandbox.missing", "layer=io_uring", "kernel.io_uring_disabled=0"))
        self.deliver_one(server)

    def test_in_a_container_that_gives_none_of_it(self):
        server = self.start("namespaces", "landlock", "io_uring", allowed=["namespaces", "landlock"]).start()
        found = self.check_missing(server, ["namespaces", "landlock"])
        self.assertEqual({one["io"] for one in found.values()}, {"epoll"})
