"""Reads notices with Python's email package, as a mail program would: argument 1 prints them."""
import email
import email.policy
import subprocess
import sys

CASES = {
    "failure": ("failed", "5.1.1", "delivery-status", "message/rfc822"),
    "delay": ("delayed", "4.4.1", "delivery-status", "text/rfc822-headers"),
    "success": ("relayed", "2.0.0", "delivery-status", "text/rfc822-headers"),
    "utf8": ("failed", "5.1.1", "global-delivery-status", "message/global"),
}


def equal(what, got, expected):
    if got != expected:
        sys.exit(f"{what}: got {got!r}, expected {expected!r}")


def groups_of(part):
    """The field groups of the report; Python knows message/delivery-status by name only."""
    if part.get_content_type() == "message/delivery-status":
        return part.get_payload()
    payload = part.get_payload()
    text = payload[0].as_string() if isinstance(payload, list) else payload
    return [email.message_from_string(group) for group in text.strip().split("\n\n")]


def check(case, raw):
    action, status, report_type, returned = CASES[case]
    notice = email.message_from_bytes(raw)
    equal(case + " defects", notice.defects, [])
    equal(case + " type", notice.get_content_type(), "multipart/report")
    equal(case + " report-type", notice.get_param("report-type"), report_type)
    equal(case + " to", notice["To"], "<a@example.net>")
    equal(case + " auto", notice["Auto-Submitted"], "auto-replied")
    words, report, message = notice.get_payload()
    equal(case + " words", words.get_content_type(), "text/plain")
    equal(case + " report", report.get_content_type(), "message/" + report_type)
    equal(case + " returned", message.get_content_type(), returned)
    groups = groups_of(report)
    equal(case + " groups", len(groups), 3)
    equal(case + " mta", groups[0]["Reporting-MTA"], "dns; mx.example.net")
    equal(case + " envid", groups[0]["Original-Envelope-Id"], "envelope 7")
    for group in groups[1:]:
        equal(case + " action", group.get_all("Action"), [action])
        equal(case + " status", group["Status"], status)
    equal(case + " ends", groups[2]["Final-Recipient"], "rfc822;c@example.org")


for name in CASES:
    check(name, subprocess.run([sys.argv[1], name], stdout=subprocess.PIPE, check=True).stdout)
print(len(CASES), "notices read")
