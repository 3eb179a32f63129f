// tools/postern/story.h — what happened to one message, told from the log. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/log/reader.h"

namespace postern::tool {

// The records of `log` (many lines) that are about `id`, in order. Lines that are none of ours are
// skipped.
std::vector<log::Record> RecordsOf(std::string_view log, std::string_view id);

// One sentence a record: "2026-11-24 09:00:00Z  qmgr took it in from <a@b> (224 octets, 1
// recipient)".
std::string Sentence(const log::Record& record);

// "2026-11-24 09:00:00Z".
std::string FormatTime(int64_t unix_us);

}  // namespace postern::tool
