#include <cstdio>
#include <filesystem>
#include <optional>

#include "common/base/escape.h"
#include "common/config/explain.h"
#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {

namespace {

enum class Praise { kNo, kYes };  // of a file without problems

int CheckAndTell(const Common& common, const std::string& file, Praise praise) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return Complain(text.status());
  const config::Outcome outcome =
      config::Parse(*text, file, std::filesystem::absolute(file).parent_path().string());
  const int status = outcome.ok() ? kDone : kFailed;
  if (outcome.ok() && praise == Praise::kNo) return status;
  if (common.as_json) {
    nlohmann::json problems = nlohmann::json::array();
    for (const config::Problem& problem : outcome.problems) problems.push_back(ToJson(problem));
    std::fputs(Dump(problems).c_str(), stdout);
    return status;
  }
  for (const config::Problem& problem : outcome.problems)
    std::fprintf(stderr, "%s\n", problem.ToString().c_str());
  if (outcome.ok()) std::printf("%s: no problem found\n", file.c_str());
  return status;
}

}  // namespace

int Check(const Common& common, const std::string& file) {
  return CheckAndTell(common, file, Praise::kYes);
}

int CheckQuietly(const Common& common, const std::string& file) {
  return CheckAndTell(common, file, Praise::kNo);
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
