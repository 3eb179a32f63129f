#include "common/log/encode.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/bytes.h"
#include "common/base/escape.h"

namespace postern::log {
namespace {

constexpr Head kHead = {.time_us = 1'795'510'652'123'456,
                        .timestamp = "2026-11-24T08:57:32.123456Z",
                        .daemon = "smtpd",
                        .index = 2,
                        .pid = 812,
                        .severity = Severity::kWarning,
                        .event = "smtp.reject"};

std::string With(Layout layout, std::string_view value) {
  Encoder encoder;
  encoder.Begin(layout, kHead);
  encoder.Text("reason", value);
  return std::string(encoder.End());
}

constexpr std::string_view kPlainHead =
    "2026-11-24T08:57:32.123456Z smtpd/2[812] warning smtp.reject";
constexpr std::string_view kJsonHead =
    R"({"time":"2026-11-24T08:57:32.123456Z","daemon":"smtpd/2","pid":812,"severity":"warning",)"
    R"("event":"smtp.reject")";

struct Row {
  std::string_view label, value, plain, json;
};

using namespace std::string_view_literals;

constexpr Row kRows[] = {
    {"a bare word", "a@example.org", "a@example.org", R"("a@example.org")"},
    {"nothing", "", R"("")", R"("")"},
    {"a space", "no such user", R"("no such user")", R"("no such user")"},
    {"an equals sign", "a=b", R"("a=b")", R"("a=b")"},
    {"a quote", "a\"b", R"("a\"b")", R"("a\"b")"},
    {"a backslash", "a\\x41", R"("a\\x41")", R"("a\\\\x41")"},
    {"a newline", "a\nb", R"("a\nb")", R"("a\nb")"},
    {"a forged line", "x\r\n2026 smtpd[1] info", R"("x\r\n2026 smtpd[1] info")",
     R"("x\r\n2026 smtpd[1] info")"},
    {"NUL, ESC, DEL", "\0\x1B\x7F"sv, R"("\x00\x1b\x7f")", R"("\u0000\u001b\u007f")"},
    {"a tab", "\t", R"("\t")", R"("\t")"},
    {"umlaut", "gr\xC3\xBC\xC3\x9F", "\"gr\xC3\xBC\xC3\x9F\"", "\"gr\xC3\xBC\xC3\x9F\""},
    {"broken UTF-8", "\xFF\xC3(", R"("\xff\xc3(")", R"("\\xff\\xc3(")"},
    {"an overlong slash", "\xC0\xAF", R"("\xc0\xaf")", R"("\\xc0\\xaf")"},
    {"a surrogate", "\xED\xA0\x80", R"("\xed\xa0\x80")", R"("\\xed\\xa0\\x80")"},
    {"C1: next line", "\xC2\x85", R"("\xc2\x85")", R"("\u0085")"},
    {"first after C1", "\xC2\xA0", "\"\xC2\xA0\"", "\"\xC2\xA0\""},
    {"line separator", "\xE2\x80\xA8", R"("\xe2\x80\xa8")", R"("\u2028")"},
    {"right-to-left override", "\xE2\x80\xAE", R"("\xe2\x80\xae")", R"("\u202e")"},
    {"isolate", "\xE2\x81\xA6", R"("\xe2\x81\xa6")", R"("\u2066")"},
    {"an ordinary dash", "\xE2\x80\x93", "\"\xE2\x80\x93\"", "\"\xE2\x80\x93\""},
    {"four octets", "\xF0\x9F\x93\xAC", "\"\xF0\x9F\x93\xAC\"", "\"\xF0\x9F\x93\xAC\""},
};

TEST(Encoder, EscapesForeignTextInPlainLines) {
  for (const Row& row : kRows) {
    EXPECT_EQ(With(Layout::kPlain, row.value),
              std::string(kPlainHead) + " reason=" + std::string(row.plain) + "\n")
        << row.label;
  }
}

TEST(Encoder, EscapesForeignTextInJson) {
  for (const Row& row : kRows) {
    EXPECT_EQ(With(Layout::kJson, row.value),
              std::string(kJsonHead) + ",\"reason\":" + std::string(row.json) + "}\n")
        << row.label;
  }
}

TEST(Encoder, EveryByteAloneGivesOneLineOfPrintableText) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const Layout layout :
         {Layout::kPlain, Layout::kJson, Layout::kSyslogPlain, Layout::kSyslogJson}) {
      std::string line = With(layout, std::string(1, static_cast<char>(byte)));
      if (line.ends_with('\n')) line.pop_back();
      EXPECT_TRUE(IsValidUtf8(line)) << byte;
      for (const char c : line) EXPECT_TRUE(c >= ' ' && c < '\x7F') << byte;
    }
  }
}

TEST(Encoder, AValueIsCutAtItsLimitAndSaysSo) {
  const std::string fits(kMaxValueOctets, 'a');
  EXPECT_EQ(With(Layout::kPlain, fits), std::string(kPlainHead) + " reason=" + fits + "\n");
  EXPECT_EQ(With(Layout::kPlain, fits + "b"),
            std::string(kPlainHead) + " reason=\"" + fits + "...\"\n");
}

TEST(Encoder, AValueIsNotCutInsideACharacter) {
  const std::string odd = "x" + std::string(kMaxValueOctets - 2, 'a') + "\xC3\xA9";
  const std::string line = With(Layout::kPlain, odd);
  EXPECT_TRUE(line.ends_with("aa...\"\n")) << line.substr(line.size() - 20);
}

TEST(Encoder, FieldsThatWouldPassTheLineLimitAreLeftOut) {
  for (const Layout layout : {Layout::kPlain, Layout::kJson, Layout::kJournal}) {
    Encoder encoder;
    encoder.Begin(layout, kHead);
    for (int i = 0; i < 20; ++i) encoder.Text("reason", std::string(kMaxValueOctets, '\x01'));
    encoder.Text("to", "b@example.org");
    const std::string line(encoder.End());
    EXPECT_LE(line.size(), 2 * kMaxLineOctets);
    if (layout != Layout::kJournal) {
      EXPECT_LE(line.size(), kMaxLineOctets);
    }
    EXPECT_NE(line.find("truncated"), line.npos);
    EXPECT_NE(line.find("b@example.org"), line.npos) << "a small field still fits";
  }
}

TEST(Encoder, NumbersStandBare) {
  for (const Layout layout : {Layout::kPlain, Layout::kJson}) {
    Encoder encoder;
    encoder.Begin(layout, kHead);
    encoder.Id("0123456789ABC");
    encoder.Integer("a", INT64_MIN);
    encoder.Unsigned("b", UINT64_MAX);
    encoder.Boolean("c", true);
    encoder.Number("took", "_ms", "1.500");
    const std::string line(encoder.End());
    if (layout == Layout::kPlain) {
      EXPECT_EQ(line, std::string(kPlainHead) +
                          " id=0123456789ABC a=-9223372036854775808 b=18446744073709551615 c=true "
                          "took_ms=1.500\n");
    } else {
      EXPECT_EQ(line, std::string(kJsonHead) +
                          R"(,"id":"0123456789ABC","a":-9223372036854775808,)"
                          R"("b":18446744073709551615,"c":true,"took_ms":1.500})"
                          "\n");
    }
  }
}

TEST(Encoder, ADaemonWithoutWorkersHasNoIndex) {
  Head head = kHead;
  head.daemon = "qmgr";
  head.index = -1;
  Encoder encoder;
  encoder.Begin(Layout::kPlain, head);
  EXPECT_EQ(encoder.End(), "2026-11-24T08:57:32.123456Z qmgr[812] warning smtp.reject\n");
}

TEST(Encoder, SyslogGetsPriorityStampAndTag) {
  EXPECT_EQ(With(Layout::kSyslogPlain, "no\nway"),
            "<20>Nov 24 08:57:32 postern-smtpd[812]: smtp.reject reason=\"no\\nway\"");
  EXPECT_EQ(With(Layout::kSyslogJson, "no"), "<20>Nov 24 08:57:32 postern-smtpd[812]: " +
                                                 std::string(kJsonHead) + R"(,"reason":"no"})");
  Head early = kHead;
  early.time_us = 0;
  early.timestamp = "1970-01-01T00:00:00.000000Z";
  Encoder encoder;
  encoder.Begin(Layout::kSyslogPlain, early);
  EXPECT_EQ(encoder.End(), "<20>Jan  1 00:00:00 postern-smtpd[812]: smtp.reject");
}

TEST(Encoder, TheJournalGetsFieldsAndForeignNewlinesMakeNone) {
  Encoder encoder;
  encoder.Begin(Layout::kJournal, kHead);
  encoder.Id("0123456789ABC");
  encoder.Text("reason", "a\nPRIORITY=0");
  encoder.Number("took", "_ms", "1.500");
  std::string expected =
      "PRIORITY=4\nSYSLOG_FACILITY=2\nSYSLOG_IDENTIFIER=postern-smtpd\n"
      "POSTERN_TIME=2026-11-24T08:57:32.123456Z\nPOSTERN_DAEMON=smtpd/2\n"
      "POSTERN_EVENT=smtp.reject\nPOSTERN_ID=0123456789ABC\nPOSTERN_REASON\n";
  AppendLittleEndian(expected, uint64_t{12});
  expected +=
      "a\nPRIORITY=0\nPOSTERN_TOOK_MS=1.500\n"
      "MESSAGE=smtp.reject id=0123456789ABC reason=\"a\\nPRIORITY=0\" took_ms=1.500\n";
  EXPECT_EQ(encoder.End(), expected);
}

}  // namespace
}  // namespace postern::log
