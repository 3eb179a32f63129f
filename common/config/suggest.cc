#include "common/config/suggest.h"

#include <algorithm>
#include <vector>

#include "common/config/explain.h"
#include "common/config/setting.h"

namespace postern::config {
namespace {

constexpr size_t kLongestWord = 64;  // no key is longer; the cost is the product of two lengths

// A typing error or two in a short word, a few in a long one.
size_t Tolerance(std::string_view word) { return std::max<size_t>(word.size() / 4, 2); }

struct Nearest {
  std::string_view word;
  size_t distance = static_cast<size_t>(-1);

  void Consider(std::string_view candidate, size_t at) {
    if (at >= distance) return;
    word = candidate;
    distance = at;
  }
};

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string_view NearestSetting(std::string_view key) {
  if (key.size() > kLongestWord) return {};
  const size_t dot = key.rfind('.');
  const std::string_view name = key.substr(dot == key.npos ? 0 : dot + 1);
  Nearest nearest;
  for (const Setting* setting : AllSettings()) {
    const size_t whole = EditDistance(key, setting->key);
    if (whole <= Tolerance(key) && whole * 2 <= key.size()) nearest.Consider(setting->key, whole);
    // The name fits, the section does not: as near as one wrong letter.
    if (name == setting->name()) nearest.Consider(setting->key, std::min<size_t>(whole, 1));
    const size_t alone = EditDistance(name, setting->name());
    if (name.size() > 3 && alone <= Tolerance(name)) nearest.Consider(setting->key, alone + 1);
  }
  return nearest.word;
}

std::string_view NearestSection(std::string_view name) {
  if (name.size() > kLongestWord) return {};
  Nearest nearest;
  for (const Section& section : Sections()) {
    const size_t distance = EditDistance(name, section.name);
    if (!section.name.empty() && distance <= 2 && distance < name.size())
      nearest.Consider(section.name, distance);
  }
  return nearest.word;
}

std::string NearestKey(std::string_view key) {
  if (key.find('.') == key.npos)
    if (const std::string_view section = NearestSection(key); !section.empty())
      return std::string(section);
  return std::string(NearestSetting(key));
}

}  // namespace postern::config
