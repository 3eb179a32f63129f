// postern-instance: a whole server under one directory, in the foreground. Writes DIR/postern.toml
// from its options and becomes master; see docs/man/postern-instance.1.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/config/parse.h"
#include "common/config/render.h"
#include "common/service/instance_lock.h"
#include "tools/instance/options.h"

namespace {

// Beside us (installed: libexec), or in the build tree.
std::string MasterProgram() {
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const std::filesystem::path& candidate :
       {here / "../daemons/master/master", here / "master", here / "../libexec/postern/master"}) {
    if (::access(candidate.c_str(), X_OK) == 0) return std::filesystem::weakly_canonical(candidate);
  }
  return {};
}

int Fail(const std::string& message, int status) {
  std::fprintf(stderr, "postern-instance: %s\n", message.c_str());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace postern;
  const auto options =
      instance::ParseArguments(std::vector<std::string_view>(argv + 1, argv + argc));
  if (!options.has_value()) return Fail(options.error().reason + " (--help lists all options)", 2);
  if (options->help) {
    std::fputs(std::string(instance::kUsage).c_str(), stdout);
    return 0;
  }
  std::error_code error;
  std::filesystem::create_directories(options->directory, error);
  if (error) return Fail("cannot make " + options->directory + ": " + error.message(), 1);
  const std::string root = std::filesystem::canonical(options->directory, error);
  if (error) return Fail(options->directory + ": " + error.message(), 1);
  const config::Rendered rendered = config::RenderToml(instance::ConfigurationOf(*options, root));
  for (const config::Problem& problem : rendered.problems)
    std::fprintf(stderr, "postern-instance: %s\n", problem.message.c_str());
  if (!rendered.problems.empty()) return 1;
  const std::string file = root + "/postern.toml";
  const config::Outcome outcome = config::Parse(rendered.toml, file);
  // The file is not written yet: its lines would tell nobody anything.
  for (const config::Problem& problem : outcome.problems)
    std::fprintf(stderr, "postern-instance: %s\n", problem.message.c_str());
  if (!outcome.ok()) return 1;
  if (const auto running = service::RunningMaster(outcome.settings->run_directory);
      running.has_value()) {
    return Fail("a server runs in " + root + " already: process " + std::to_string(*running), 1);
  }
  // Whole or not at all: a server that runs here may be told to reload at any moment.
  const std::string fresh = file + ".new";
  {
    std::ofstream out(fresh, std::ios::trunc);
    out << rendered.toml;
    if (!out.flush()) return Fail("cannot write " + fresh, 1);
  }
  std::filesystem::rename(fresh, file, error);
  if (error) return Fail("cannot write " + file + ": " + error.message(), 1);
  const std::string master = MasterProgram();
  if (master.empty())
    return Fail("the program master is not beside this one: build or install first", 1);
  ::execl(master.c_str(), "master", "--config", file.c_str(), "--instance",
          static_cast<char*>(nullptr));
  return Fail("cannot start " + master + ": " + std::strerror(errno), 1);
}
