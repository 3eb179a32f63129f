"""What the compiler and the linker were told to harden, looked for in the programs as built."""
import functools
import json
import platform
import re
import shutil
import subprocess
import unittest

import postern

DAEMONS = ("master", "smtpd", "policyd", "resolvd", "qmgr", "smtpc", "locald", "deliver", "bounced")
TOOLS = ("postern", "postern-instance", "sendmail")


def program(name):
    return postern.BUILD / ("daemons/" + name + "/" + name if name in DAEMONS else "tools/" + name)


def build_option(name):
    options = json.loads((postern.BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    return next(option["value"] for option in options if option["name"] == name)


def for_each_program(check):
    """The test made of `check(self, path)` for each program."""
    @functools.wraps(check)
    def run(self):
        for name in DAEMONS + TOOLS:
            with self.subTest(program=name):
                self.assertTrue(program(name).is_file(), f"{program(name)} was not built")
                check(self, program(name))
    return run


class Binaries(unittest.TestCase):
    quick = True

    @classmethod
    def setUpClass(cls):
        cls.readelf = shutil.which("llvm-readelf-19")
        cls.objdump = shutil.which("llvm-objdump-19")
        if not cls.readelf or not cls.objdump:
            raise unittest.SkipTest("llvm-19 is not installed")

    def read(self, option, path):
        return subprocess.run([self.readelf, option, str(path)], check=True, text=True,
                              capture_output=True).stdout

    def segments(self, path):
        """[(type, flags)] as the program header says."""
        return re.findall(r"^ +([A-Z_]+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ]) ",
                          self.read("--program-headers", path), re.M)

    @for_each_program
    def test_each_is_position_independent_and_bound_at_start(self, path):
        dynamic = self.read("--dynamic-table", path)
        self.assertIn("DYN", self.read("--file-header", path))
        self.assertRegex(dynamic, r"FLAGS_1.*\bPIE\b")
        self.assertRegex(dynamic, r"FLAGS_1.*\bNOW\b")
        self.assertIn("GNU_RELRO", dict(self.segments(path)))

    @for_each_program
    def test_no_segment_is_writable_and_executable_nor_is_the_stack(self, path):
        segments = self.segments(path)
        self.assertGreater(len(segments), 5, "the program header was not understood")
        self.assertEqual(dict(segments)["GNU_STACK"], "RW ")
        self.assertEqual([one for one in segments if "W" in one[1] and "E" in one[1]], [])

    @for_each_program
    def test_none_looks_for_libraries_where_it_was_built_or_rewrites_its_code(self, path):
        dynamic = self.read("--dynamic-table", path)
        self.assertIn("NEEDED", dynamic)
        for tag in ("RPATH", "RUNPATH", "TEXTREL"):
            self.assertNotIn(f"({tag})", dynamic)

    @for_each_program
    def test_stacks_and_containers_are_checked_at_run_time(self, path):
        symbols = self.read("--dyn-syms", path)
        self.assertIn("__stack_chk_fail", symbols)
        self.assertIn("__glibcxx_assert_fail", symbols)

    @unittest.skipIf(build_option("optimization") in ("0", "plain"),
                     "FORTIFY needs an optimised build")
    @for_each_program
    def test_copies_are_bounded_where_the_compiler_knows_the_size(self, path):
        self.assertRegex(self.read("--dyn-syms", path), r"\b__\w+_chk@")

    @unittest.skipIf(platform.machine() != "x86_64", "CET is for x86-64")
    @for_each_program
    def test_indirect_jumps_land_where_they_may(self, path):
        code = subprocess.run([self.objdump, "--disassemble-symbols=main", "--no-show-raw-insn",
                               str(path)], check=True, text=True, capture_output=True).stdout
        self.assertTrue(re.search(r"<main>:\n\s+[0-9a-f]+:\s+endbr64\n", code), "no landing pad")

    def test_every_source_is_compiled_with_the_flags(self):
        commands = json.loads((postern.BUILD / "compile_commands.json").read_text())
        ours = [command["command"] for command in commands
                if re.search(r"(^|/)(common|daemons|sandbox|tools)/", command["file"])
                and "/tests/" not in command["file"]]
        self.assertGreater(len(ours), 100)
        wanted = ["-fstack-protector-strong", "-fstack-clash-protection",
                  "-ftrivial-auto-var-init=zero", "-D_GLIBCXX_ASSERTIONS"]
        if platform.machine() == "x86_64":
            wanted.append("-fcf-protection=full")
        if build_option("optimization") not in ("0", "plain"):
            wanted.append("-D_FORTIFY_SOURCE=3")
        for flag in wanted:
            self.assertFalse([command for command in ours if flag not in command][:1], flag)


if __name__ == "__main__":
    unittest.main()
