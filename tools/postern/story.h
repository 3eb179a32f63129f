// tools/postern/story.h — what happened to one message, told from the log. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/reader.h"

namespace postern::tool {

// Finds the records about one message among the lines of a log. Lines that are none of ours are
// skipped, so a log may be rotated, cut or mixed.
class StoryReader {
 public:
  explicit StoryReader(std::string id) : id_(std::move(id)) {}
  void TakeLine(std::string_view line);
  // In the order of the log.
  const std::vector<log::Record>& records() const { return records_; }

 private:
  std::string id_;
  std::vector<log::Record> records_;
};

// One sentence a record: "2026-11-24 09:00:00Z  qmgr: accepted from <a@b>, sent by 192.0.2.1 (224
// octets, 1 recipient)". An event without words of its own: its name and fields.
std::string Sentence(const log::Record& record);

// "2026-11-24 09:00:00Z".
std::string FormatTime(int64_t unix_us);
// "1 time", "2 times".
std::string Counted(uint64_t count, std::string_view what);

}  // namespace postern::tool
