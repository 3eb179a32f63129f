"""The bench runs and prints; what it measures is nobody's assertion."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BENCH = pathlib.Path(__file__).resolve().parent.parent / "bench" / "bench.py"


class Bench(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("Postfix starts as root only")
        if not shutil.which("smtp-source"):
            self.skipTest("postfix is not installed")

    def test_a_short_run_prints_ratios_and_writes_chart_and_json(self):
        with tempfile.TemporaryDirectory() as directory:
            chart, told = pathlib.Path(directory, "chart.svg"), pathlib.Path(directory, "told.json")
            run = subprocess.run(
                [sys.executable, BENCH, "--pairs", "1", "--scale", "0.02", "--only", "100 connections, kept",
                 "--chart", chart, "--json", told], capture_output=True, text=True)
            self.assertEqual(run.returncode, 0, run.stderr)
            for words in ("times the messages", "of the limit model's messages/s", "device flushes a message"):
                self.assertIn(words, run.stdout)
            xml.etree.ElementTree.parse(chart)
            medians = json.loads(told.read_text())["accept, 100 connections, kept"]
            self.assertEqual(set(medians), {"postfix", "postern", "limit"})
            for server, figures in medians.items():
                self.assertGreater(figures["rate"], 0, server)
                self.assertGreater(figures["pss"], 0, server)

    def test_an_unknown_scenario_is_said(self):
        run = subprocess.run([sys.executable, BENCH, "--only", "no such scenario"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("accept, 100 connections, kept", run.stderr)


if __name__ == "__main__":
    unittest.main()
