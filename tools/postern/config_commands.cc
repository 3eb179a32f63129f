#include <pwd.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/escape.h"
#include "common/config/accounts.h"
#include "common/config/explain.h"
#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {

namespace {

// What is right as far as the file goes, and does not work on this machine; "" for nothing.
std::string WarningAbout(const config::Settings& settings) {
  std::vector<config::LocalAccount> accounts;
  for (const std::string& user : settings.local.users) {
    if (user != "*") {
      accounts.push_back({.name = user, .uid = 0});
      continue;
    }
    ::setpwent();
    while (const passwd* entry = ::getpwent()) {
      if (entry->pw_uid >= config::kFirstPerson && entry->pw_uid <= config::kLastPerson)
        accounts.push_back({.name = entry->pw_name, .uid = entry->pw_uid});
    }
    ::endpwent();
  }
  if (!config::LocalAccounts(settings, accounts).postmaster().empty()) return {};
  if (!settings.local.postmaster.empty())
    return "local.postmaster is " + Escaped(settings.local.postmaster) +
           ", and this machine has no such account: mail for postmaster is put off";
  return "local.users stands for no account on this machine, so that nobody is postmaster: mail "
         "for postmaster, which RFC 5321 wants taken, is put off";
}

nlohmann::json AsJson(const config::Problem& problem, const char* severity) {
  nlohmann::json one = ToJson(problem);
  one["severity"] = severity;
  return one;
}

}  // namespace

int Check(const Common& common, const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return Complain(text.status());
  const config::Outcome outcome =
      config::Parse(*text, file, std::filesystem::absolute(file).parent_path().string());
  const std::string warning = outcome.ok() ? WarningAbout(*outcome.settings) : std::string();
  if (common.as_json) {
    nlohmann::json problems = nlohmann::json::array();
    for (const config::Problem& problem : outcome.problems)
      problems.push_back(AsJson(problem, "error"));
    if (!warning.empty())
      problems.push_back(
          AsJson({.file = file, .line = 1, .column = 1, .message = warning}, "warning"));
    std::fputs(Dump(problems).c_str(), stdout);
    return outcome.ok() ? kDone : kFailed;
  }
  for (const config::Problem& problem : outcome.problems)
    std::fprintf(stderr, "%s\n", problem.ToString().c_str());
  if (!warning.empty()) std::fprintf(stderr, "%s: warning: %s\n", file.c_str(), warning.c_str());
  if (outcome.ok()) std::printf("%s: no problem found\n", file.c_str());
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
