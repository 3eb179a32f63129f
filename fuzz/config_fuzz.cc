// The configuration's text: whatever it is, Parse gives settings or problems with places, and
// settings hold only absolute paths and are the same when read again.
//
// Covers: common/config/parse.cc common/config/toml_reader.cc common/config/convert.cc
// Covers: common/config/units.cc common/config/check.cc common/config/next_hop.cc
// Covers: common/config/suggest.cc
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config/changes.h"
#include "common/config/explain.h"
#include "common/config/parse.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto outcome = postern::config::Parse(text, "/etc/postern/postern.toml");
  Require(outcome.ok() == outcome.problems.empty());
  for (const auto& problem : outcome.problems) {
    Require(problem.line >= 1 && problem.column >= 1 && !problem.message.empty());
    for (const char c : problem.ToString()) Require(c != '\n' && c != '\0');
  }
  if (!outcome.ok()) {
    postern::config::NearestKey(text);
    return 0;
  }
  const auto& settings = *outcome.settings;
  Require(!settings.hostname.empty() && settings.root.starts_with('/'));
  Require(settings.run_directory.starts_with('/') && !settings.queue.directories.empty());
  for (const auto& directory : settings.queue.directories) Require(directory.starts_with('/'));
  const auto again = postern::config::Parse(text, "/etc/postern/postern.toml");
  Require(again.ok() && postern::config::ChangedKeys(settings, *again.settings).empty());
  return 0;
}
