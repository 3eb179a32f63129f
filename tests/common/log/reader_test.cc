#include "common/log/reader.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "common/log/encode.h"
#include "common/log/timestamp.h"

namespace postern::log {
namespace {

std::string Written(const Record& record, Layout layout) {
  std::string timestamp(kTimestampOctets, ' ');
  WriteTimestamp(record.time_us, timestamp.data());
  Encoder encoder;
  encoder.Begin(layout, Head{.time_us = record.time_us,
                             .timestamp = timestamp,
                             .daemon = record.daemon,
                             .index = record.index,
                             .pid = record.pid,
                             .severity = record.severity,
                             .event = record.event});
  if (!record.id.empty()) encoder.Id(record.id);
  for (const auto& [key, value] : record.fields) encoder.Text(key, value);
  return std::string(encoder.End());
}

Record Sample() {
  return {.time_us = 1'795'510'652'123'456,
          .daemon = "smtpd",
          .index = 2,
          .pid = 812,
          .severity = Severity::kNotice,
          .event = "message.queued",
          .id = "0123456789ABC",
          .fields = {{"from", "a@example.org"}, {"size", "12"}}};
}

void ExpectSame(const Record& record, Layout layout) {
  const std::string line = Written(record, layout);
  const Parsed<Record> back = ParseLine(line);
  ASSERT_TRUE(back.has_value()) << line << back.error().reason << " at " << back.error().offset;
  EXPECT_EQ(*back, record) << line;
}

TEST(ParseLine, GivesBackWhatWasWritten) {
  for (const Layout layout : {Layout::kPlain, Layout::kJson}) {
    ExpectSame(Sample(), layout);
    Record record = Sample();
    record.index = -1;
    record.id = "";
    record.fields = {};
    ExpectSame(record, layout);
    record.id = "\" event=forged \n";
    record.fields = {{"reason", ""}, {"to", "a b=c\\d\"e"}, {"to", "\\xff \\\\ \\n"}};
    ExpectSame(record, layout);
  }
}

TEST(ParseLine, GivesBackEveryPairOfBytes) {
  for (const Layout layout : {Layout::kPlain, Layout::kJson}) {
    for (int high = 0; high < 256; ++high) {
      Record record = Sample();
      for (int low = 0; low < 256; ++low) {
        record.fields = {{"reason", {static_cast<char>(high), static_cast<char>(low)}}};
        ExpectSame(record, layout);
      }
    }
  }
}

TEST(ParseLine, GivesBackRandomBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    Record record = Sample();
    record.fields.clear();
    for (int i = 0; i < 3; ++i) {
      std::string value;
      for (unsigned n = random() % 40; n > 0; --n) {
        // Half of them from the bytes that matter to UTF-8 and to escaping.
        constexpr std::string_view kTricky = "\xE2\x80\xA8\xC2\x85\xF0\x9F\x93\xAC\\\"\nxu01 =";
        value += random() % 2 == 0 ? static_cast<char>(random() % 256)
                                   : kTricky[random() % kTricky.size()];
      }
      record.fields.emplace_back("reason", value);
    }
    ExpectSame(record, Layout::kPlain);
    ExpectSame(record, Layout::kJson);
  }
}

TEST(ParseLine, JsonNumbersComeBackAsTheirText) {
  const Parsed<Record> record = ParseLine(
      R"({"time":"2026-11-24T08:57:32.123456Z","daemon":"qmgr","pid":1,"severity":"info",)"
      R"("event":"queue.opened","messages":-12,"took_ms":1.500,"ok":true,"truncated":true})");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->Field("messages"), "-12");
  EXPECT_EQ(record->Field("took_ms"), "1.500");
  EXPECT_EQ(record->Field("ok"), "true");
  EXPECT_EQ(record->Field("absent"), "");
  EXPECT_TRUE(record->truncated);
}

constexpr std::string_view kPlain = "2026-11-24T08:57:32.123456Z smtpd/2[812] info smtp.reject";
constexpr std::string_view kJson =
    R"({"time":"2026-11-24T08:57:32.123456Z","daemon":"smtpd/2","pid":812,"severity":"info",)"
    R"("event":"smtp.reject")";

TEST(ParseLine, RefusesWhatEventDoesNotWrite) {
  const std::string plain(kPlain);
  const std::string json(kJson);
  ASSERT_TRUE(ParseLine(plain).has_value());
  ASSERT_TRUE(ParseLine(json + "}").has_value());
  for (const std::string& line :
       {std::string(),
        std::string("\n"),
        std::string("Nov 24 08:57:32 host postfix/smtpd[1]: x"),
        plain + " ",
        plain + " a",
        plain + " a=",
        plain + " a=\"",
        plain + " a=\"x\"y",
        plain + " a=\"\\q\"",
        plain + " a=\"\\x4\"",
        plain + " a=\"\\xFF\"",
        plain + " A=b",
        plain + " a=b  c=d",
        plain + " a=\x1B",
        plain + " a=\"\x01\"",
        plain + " a=\"\xFF\"",
        plain + " a=b=c",
        plain + "\n\n",
        plain + "\n" + plain,
        std::string("2026-11-24T08:57:32.123456Z smtpd/-1[812] info smtp.reject"),
        std::string("2026-11-24T08:57:32.123456Z smtpd/2[x] info smtp.reject"),
        std::string("2026-11-24T08:57:32.123456Z smtpd/2[812] loud smtp.reject"),
        std::string("2026-11-24T08:57:32.123456Z smtpd/2[812] info reject"),
        json,
        json + "}}",
        json + ",}",
        json + R"(,"a":})",
        json + R"(,"a":tru})",
        json + R"(,"a":1.})",
        json + R"(,"a":"\ud800"})",
        json + R"(,"a":"\\q"})",
        json + R"(,"a":"\u00e"})",
        json + R"(,"a":"b)",
        json + R"(,"a":{"b":1}})",
        json + R"( ,"a":1})"}) {
    EXPECT_FALSE(ParseLine(line).has_value()) << line;
  }
}

TEST(ParseLine, FieldsAndLengthAreBounded) {
  std::string line(kPlain);
  for (size_t i = 0; i < kMaxFields; ++i) line += " a=b";
  EXPECT_TRUE(ParseLine(line).has_value());
  EXPECT_FALSE(ParseLine(line + " a=b").has_value());
  std::string long_line = std::string(kPlain) + " a=";
  long_line.resize(kMaxLineOctets, 'x');
  EXPECT_TRUE(ParseLine(long_line).has_value());
  EXPECT_FALSE(ParseLine(long_line + "x").has_value());
}

}  // namespace
}  // namespace postern::log
