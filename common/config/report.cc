#include "common/config/report.h"

#include <algorithm>

#include "common/base/escape.h"

namespace postern::config {
namespace {

std::string ElementKey(std::string_view key, std::string_view element) {
  return std::string(key).append("\n").append(element);
}

}  // namespace

std::string Problem::ToString() const {
  return Escaped(file) + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message;
}

void Report::Remember(std::string_view key, std::string_view element, Position at) {
  places_.emplace(ElementKey(key, element), at);
}

Position Report::PlaceOf(std::string_view key) const {
  const auto found = places_.find(key);
  return found == places_.end() || !found->second.known() ? Position{1, 1} : found->second;
}

Position Report::PlaceOf(std::string_view key, std::string_view element) const {
  const auto found = places_.find(ElementKey(key, element));
  return found == places_.end() || !found->second.known() ? PlaceOf(key) : found->second;
}

Position Report::LaterOf(std::string_view key, std::string_view other) const {
  return std::max(PlaceOf(key), PlaceOf(other));
}

std::vector<Problem> Report::Problems(std::string_view file_name) const {
  std::vector<Problem> problems;
  for (const auto& [at, message] : complaints_)
    problems.push_back(Problem{std::string(file_name), at.line, at.column, message});
  return problems;
}

}  // namespace postern::config
