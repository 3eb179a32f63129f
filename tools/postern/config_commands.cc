#include <cstdio>
#include <filesystem>
#include <optional>

#include "common/base/escape.h"
#include "common/config/explain.h"
#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {

int Check(const Common& common, const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return Complain(text.status());
  const config::Outcome outcome =
      config::Parse(*text, file, std::filesystem::absolute(file).parent_path().string());
  if (common.as_json) {
    nlohmann::json problems = nlohmann::json::array();
    for (const config::Problem& problem : outcome.problems) problems.push_back(ToJson(problem));
    std::fputs(Dump(problems).c_str(), stdout);
  } else {
    for (const config::Problem& problem : outcome.problems)
      std::fprintf(stderr, "%s\n", problem.ToString().c_str());
    if (outcome.ok()) std::printf("%s: no problem found\n", file.c_str());
  }
  return outcome.ok() ? kDone : kFailed;
}

int Explain(const Common& common, const std::string& key) {
  const absl::StatusOr<config::Settings> settings = ReadSettings(common);
  const config::Settings* current = settings.ok() ? &*settings : nullptr;
  const std::optional<std::string> text = config::Explain(key, current);
  if (!text.has_value()) {
    const std::string near = config::NearestKey(key);
    return Complain(NotFound("there is no setting ", Escaped(key),
                             near.empty() ? "; postern explain lists all" : "; did you mean ", near,
                             near.empty() ? "" : "?"));
  }
  std::fputs(common.as_json ? Dump(ExplainAsJson(key, current)).c_str() : text->c_str(), stdout);
  return kDone;
}

}  // namespace postern::tool
