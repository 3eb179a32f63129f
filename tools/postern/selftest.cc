#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/postern/commands.h"

namespace postern::tool {
namespace {

// Beside this program in a build, below libexec where it is installed: also where the installation
// was moved as a whole.
std::string FindProbe() {
  std::error_code error;
  const std::filesystem::path here =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& candidate :
       {here / "confine-probe", here.parent_path() / "libexec/postern/confine-probe",
        std::filesystem::path(POSTERN_LIBEXECDIR) / "confine-probe"}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace

int SelftestConfinement(const Common& common, const SelftestOptions& options) {
  const std::string program = FindProbe();
  if (program.empty())
    return Complain(NotFound("confine-probe is not installed with this program"));
  std::vector<std::string> words = {"confine-probe"};
  for (const std::string& role : options.roles) words.push_back(role);
  for (const std::string& layer : options.without) words.insert(words.end(), {"--without", layer});
  if (!options.backend.empty()) words.insert(words.end(), {"--backend", options.backend});
  if (options.ablation) words.push_back("--ablation");
  if (options.acts) words.push_back("--acts");
  if (options.kill) words.push_back("--kill");
  if (common.as_json) words.push_back("--json");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::fflush(stdout);
  ::execv(program.c_str(), arguments.data());
  return Complain(ErrnoStatus(errno, "run ", program));
}

}  // namespace postern::tool
