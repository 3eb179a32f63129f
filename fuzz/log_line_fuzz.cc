// The reader of log lines: any bytes give a record or an error, and a record written again reads
// the same.
//
// Covers: common/log/reader.cc common/log/timestamp.cc
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/log/encode.h"
#include "common/log/reader.h"
#include "common/log/timestamp.h"

namespace {

using namespace postern::log;

bool Fits(const Record& record) {
  if (record.id.size() > kMaxValueOctets) return false;
  for (const auto& [key, value] : record.fields) {
    if (value.size() > kMaxValueOctets) return false;
  }
  return true;
}

void CheckSame(const Record& record, Layout layout) {
  char timestamp[kTimestampOctets];
  WriteTimestamp(record.time_us, timestamp);
  Encoder encoder;
  encoder.Begin(layout, Head{.time_us = record.time_us,
                             .timestamp = {timestamp, sizeof timestamp},
                             .daemon = record.daemon,
                             .index = record.index,
                             .pid = record.pid,
                             .severity = record.severity,
                             .event = record.event});
  if (!record.id.empty()) encoder.Id(record.id);
  for (const auto& [key, value] : record.fields) encoder.Text(key, value);
  const postern::Parsed<Record> again = ParseLine(encoder.End());
  CHECK(again.has_value());
  // Raw characters may grow when they are written (U+2028), and the last fields not fit any more.
  if (again->truncated) return;
  CHECK(again->id == record.id);
  CHECK(again->fields == record.fields);
  CHECK(again->time_us == record.time_us);
  CHECK(again->daemon == record.daemon && again->index == record.index);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const postern::Parsed<Record> record =
      ParseLine(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!record || !Fits(*record)) return 0;
  CheckSame(*record, Layout::kPlain);
  CheckSame(*record, Layout::kJson);
  return 0;
}
