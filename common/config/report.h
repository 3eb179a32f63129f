// common/config/report.h — collects what is wrong with a configuration, and remembers where each
// value stood, for checks that compare several.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/parse.h"
#include "common/config/value.h"

namespace postern::config {

class Report {
 public:
  void Complain(Position at, std::string message) { complaints_.emplace(at, std::move(message)); }
  bool empty() const { return complaints_.empty(); }

  // `element`: one of a list, in its normal form.
  void Remember(std::string_view key, Position at) { places_.emplace(key, at); }
  void Remember(std::string_view key, std::string_view element, Position at);

  bool IsGiven(std::string_view key) const { return places_.find(key) != places_.end(); }
  // 1:1 for what is not in the text.
  Position PlaceOf(std::string_view key) const;
  // That of the list if the element has none.
  Position PlaceOf(std::string_view key, std::string_view element) const;
  // The later of two: where a person has just typed what does not fit the other.
  Position LaterOf(std::string_view key, std::string_view other) const;

  // In the order of the text.
  std::vector<Problem> Problems(std::string_view file_name) const;

 private:
  std::multimap<Position, std::string> complaints_;  // equal keys stay in the order of arrival
  std::map<std::string, Position, std::less<>> places_;
};

}  // namespace postern::config
