"""The confinement of every role, tried: `postern selftest confinement` as root and as nobody in
particular, on both backends; and each layer left out, which must show."""
import json
import os
import subprocess
import tempfile
import unittest

import postern

TOOL = postern.BUILD / "tools" / "postern"
PROBE = postern.BUILD / "tools" / "confine-probe"
ROLES = {"smtpd", "policyd", "resolvd", "qmgr", "smtpc", "locald", "deliver", "bounced"}
LEAST_ACTS = 100
NOBODY = 64400  # a user id of nobody


def probe(*arguments, program=(TOOL, "selftest", "confinement"), unprivileged=False):
    """(exit status, standard output, standard error); dropped from root to a free user id, if asked."""
    extra = {}
    if unprivileged and os.geteuid() == 0:
        extra = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run([str(word) for word in (*program, *arguments)], capture_output=True,
                          text=True, timeout=160, cwd="/", **extra)
    return done.returncode, done.stdout, done.stderr


def missing():
    """Why nothing can be tried on this machine, or "": Landlock is the one layer without a substitute."""
    status, out, err = probe("bounced", "--backend", "epoll")
    return err.strip() if status == 1 and "landlock: not offered" in err else ""


def has_ring():
    return "io_uring is refused here" not in probe("bounced")[2]


class ConfinementTest(unittest.TestCase):
    quick = True

    @classmethod
    def setUpClass(cls):
        why = missing()
        if why:
            raise unittest.SkipTest(why)
        cls.backends = {"uring", "epoll"} if has_ring() else {"epoll"}

    def check_nothing_succeeds(self, unprivileged):
        status, out, err = probe("--json", unprivileged=unprivileged)
        told = json.loads(out or "{}")
        self.assertIn("runs", told, err)
        for run in told["runs"]:
            with self.subTest(role=run["role"], backend=run["backend"]):
                done = [(act["act"], act.get("error")) for act in run["acts"]
                        if act["result"] == "succeeded"]
                self.assertEqual(done, [])
                self.assertGreaterEqual(run["tried"], LEAST_ACTS)
        self.assertEqual({(run["role"], run["backend"]) for run in told["runs"]},
                         {(role, backend) for role in ROLES for backend in self.backends})
        self.assertEqual(status, 0, err)

    def test_root_started_roles_can_do_nothing_else(self):
        if os.geteuid() != 0:
            self.skipTest("not started as root")
        self.check_nothing_succeeds(unprivileged=False)

    def test_unprivileged_roles_can_do_nothing_else(self):
        self.check_nothing_succeeds(unprivileged=True)

    def check_layer(self, layer, *arguments, unprivileged=False):
        status, out, err = probe("--without", layer, "--json", *arguments, unprivileged=unprivileged)
        self.assertEqual(status, 0, f"{layer} stops nothing by itself: {err}")
        self.assertGreater(sum(run["succeeded"] for run in json.loads(out)["runs"]), 0)

    def test_each_layer_stops_what_no_other_does(self):
        for layer in ("landlock", "rlimits", "seccomp"):
            with self.subTest(layer=layer):
                self.check_layer(layer, "qmgr")
        # As root the ids hide a process from its like already.
        with self.subTest(layer="hardening"):
            self.check_layer("hardening", "smtpd", unprivileged=True)

    def test_namespaces_stop_what_no_other_layer_does(self):
        if "tried without namespaces" in probe("bounced")[2]:
            self.skipTest("there are no namespaces here")
        # Landlock does not know Unix sockets by their path, which smtpc may connect to.
        self.check_layer("namespaces", "smtpc", "--backend", "epoll")

    def test_ids_stop_what_no_other_layer_does(self):
        if os.geteuid() != 0:
            self.skipTest("not started as root: there are no ids to drop")
        self.check_layer("ids", "qmgr")

    def test_the_ring_stops_what_no_other_layer_does(self):
        if "uring" not in self.backends:
            self.skipTest("io_uring is refused here")
        self.check_layer("ring", "smtpd", "--backend", "uring")

    def test_the_filter_of_service_kills(self):
        status, out, err = probe("smtpd", "--kill", "--json")
        self.assertEqual(status, 0, err)
        for run in json.loads(out)["runs"]:
            killed = [act["act"] for act in run["acts"] if act.get("signal") == "SIGSYS"]
            self.assertGreaterEqual(len(killed), LEAST_ACTS)
            for act in ("open /etc/passwd", "run a program", "fork", "make a TCP socket"):
                self.assertIn(act, killed)

    def test_mistakes_are_wrong_usage(self):
        for arguments in (("master",), ("--without", "walls"), ("--backend", "kqueue")):
            with self.subTest(arguments=arguments):
                status, out, err = probe(*arguments)
                self.assertEqual((status, out), (2, ""), err)
                self.assertNotEqual(err, "")

    def test_nothing_is_left_behind(self):
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run([str(PROBE), "bounced"], capture_output=True, timeout=160,
                                  env={**os.environ, "TMPDIR": scratch})
            self.assertEqual(done.returncode, 0, done)
            self.assertEqual(os.listdir(scratch), [])


if __name__ == "__main__":
    unittest.main()
