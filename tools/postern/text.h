// tools/postern/text.h — what the server answers, as text for people and as JSON. Pure.
//
// JSON has foreign text as it is, as long as it is UTF-8; bytes that are not become \xHH in words
// (common/base/escape.h). Times are ISO 8601, UTC; what there is none of is null.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "common/config/parse.h"
#include "common/ipc/protocol/admin.h"
#include "common/log/reader.h"

namespace postern::tool {

nlohmann::json JsonText(std::string_view foreign);
nlohmann::json JsonTime(int64_t unix_us);  // 0: null

std::string_view StateName(protocol::admin::State state);

// Several lines, each with its newline.
std::string ToText(const protocol::admin::Message& message);
std::string ToText(const protocol::admin::Destination& destination);
std::string ToText(const protocol::admin::Process& process);
std::string ProcessHeading();
std::string ToText(const protocol::admin::Reloaded& reloaded);

nlohmann::json ToJson(const protocol::admin::Message& message);
nlohmann::json ToJson(const protocol::admin::Destination& destination);
nlohmann::json ToJson(const protocol::admin::Process& process);
nlohmann::json ToJson(const protocol::admin::Reloaded& reloaded);
nlohmann::json ToJson(const config::Problem& problem);
// The fields of the line beside time, daemon, pid, severity, event and id, as in the log.
nlohmann::json ToJson(const log::Record& record);

// Of a setting: its declaration, and with `current` the value in force; of a section, or "" for
// all, an array. null if there is none of that name.
nlohmann::json ExplainAsJson(std::string_view key, const config::Settings* current);

// Indented, with a newline.
std::string Dump(const nlohmann::json& value);

}  // namespace postern::tool
