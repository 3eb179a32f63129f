#include "tools/probe/options.h"

#include <algorithm>

#include "common/base/escape.h"
#include "tools/probe/roles.h"

namespace postern::probe {
namespace {

std::string LayerNames() {
  std::string names;
  for (const sandbox::Layer layer : sandbox::kAllLayers)
    names += (names.empty() ? "" : ", ") + std::string(sandbox::LayerName(layer));
  return names;
}

std::string JoinedRoles() {
  std::string names;
  for (const std::string& role : RoleNames()) names += (names.empty() ? "" : ", ") + role;
  return names;
}

absl::Status TakeWithout(const std::string& value, Options& options) {
  const auto layer = sandbox::LayerNamed(value);
  if (!layer.has_value())
    return InvalidArgument("there is no layer ", Escaped(value), "; there are ", LayerNames());
  options.without.Add(*layer);
  return absl::OkStatus();
}

absl::Status TakeBackend(const std::string& value, Options& options) {
  if (value != "uring" && value != "epoll")
    return InvalidArgument("--backend is uring or epoll, not ", Escaped(value));
  options.backend_named = true;
  options.backends.push_back(value == "uring" ? sandbox::Backend::kUring
                                              : sandbox::Backend::kEpoll);
  return absl::OkStatus();
}

absl::Status TakeRole(const std::string& word, Options& options) {
  if (std::ranges::find(RoleNames(), word) == RoleNames().end())
    return InvalidArgument("there is no role ", Escaped(word), "; there are ", JoinedRoles());
  options.roles.push_back(word);
  return absl::OkStatus();
}

}  // namespace

std::string_view BackendName(sandbox::Backend backend) {
  return backend == sandbox::Backend::kUring ? "uring" : "epoll";
}

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& words) {
  Options options;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--without" || word == "--backend") {
      if (i + 1 == words.size()) return InvalidArgument(word, " needs a value");
      const std::string& value = words[++i];
      RETURN_IF_ERROR(word == "--without" ? TakeWithout(value, options)
                                          : TakeBackend(value, options));
    } else if (word == "--ablation") {
      options.ablation = true;
    } else if (word == "--json") {
      options.as_json = true;
    } else if (word == "--acts") {
      options.list_acts = true;
    } else if (word == "--kill") {
      options.kill = true;
    } else if (word == "--help" || word == "-h") {
      options.help = true;
    } else if (word.starts_with('-')) {
      return InvalidArgument("unknown option ", Escaped(word));
    } else {
      RETURN_IF_ERROR(TakeRole(word, options));
    }
  }
  if (options.ablation && !options.without.empty())
    return InvalidArgument("--ablation leaves out every layer in turn; --without one of them");
  if (options.ablation && options.as_json)
    return InvalidArgument("--ablation prints a table, not JSON");
  if (options.roles.size() == 1) options.list_acts = true;
  if (options.roles.empty()) options.roles = RoleNames();
  if (options.backends.empty())
    options.backends = {sandbox::Backend::kUring, sandbox::Backend::kEpoll};
  return options;
}

std::string Usage() {
  return "usage: confine-probe [ROLE...] [--backend uring|epoll] [--without LAYER...] "
         "[--ablation]\n"
         "                     [--acts] [--json] [--kill]\n"
         "\n"
         "Becomes each role as its daemon does, and tries what it must not be able to do.\n"
         "Roles: " +
         JoinedRoles() + "; without one, all.\n" +
         "\n"
         "  --backend B      uring or epoll alone (both)\n"
         "  --without LAYER  leave a layer out, and show what it alone stops: " +
         LayerNames() +
         "\n"
         "  --ablation       a table: for each layer, how many acts succeed without it, and with "
         "it\n"
         "                   alone\n"
         "  --acts           list every act (as for a single role)\n"
         "  --kill           what the filter stops ends the process, as it does in production\n"
         "  --json           print JSON\n"
         "\n"
         "Exit status: 0 nothing succeeded (--without: something did), 1 it did (it did not), or "
         "a\n"
         "role could not be entered; 2 wrong usage.\n";
}

}  // namespace postern::probe
