#include "tools/probe/roles.h"

#include <fcntl.h>

#include "common/base/check.h"
#include "sandbox/profiles/profiles.h"

namespace postern::probe {
namespace {

UniqueFd OpenDirectory(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

const std::vector<std::string>& RoleNames() {
  static const std::vector<std::string> names = {"smtpd", "policyd", "resolvd", "qmgr",
                                                 "smtpc", "locald",  "deliver", "bounced"};
  return names;
}

Role MakeRole(std::string_view name, sandbox::Backend backend, const Stage& stage) {
  using namespace sandbox;
  Role role;
  role.loop.backend =
      backend == Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
  if (name == "smtpd") {
    role.profile = SmtpdProfile(backend);
    role.loop.buffer_count = 256;
  } else if (name == "policyd") {
    role.profile = PolicydProfile(backend);
  } else if (name == "resolvd") {
    role.profile = ResolvdProfile(backend, {53});
  } else if (name == "qmgr") {
    role.profile = QmgrProfile(backend, OpenDirectory(stage.spool));
    role.namespaces.shown = {{.path = stage.spool}};
  } else if (name == "smtpc") {
    // With a next hop behind a Unix socket, which Landlock does not hold it to.
    role.profile = SmtpcProfile(backend, {25}, true);
    role.loop.buffer_octets = 4096;
    role.loop.buffer_count = 1024;
  } else if (name == "locald") {
    role.profile = LocaldProfile(backend);
  } else if (name == "deliver") {
    role.profile = DeliverProfile(backend, OpenDirectory(stage.mailbox));
    role.namespaces.shown = {{.path = stage.mailbox}};
  } else {
    CHECK(name == "bounced");
    role.profile = BouncedProfile(backend);
  }
  role.namespaces.keep_network = role.profile.namespaces.keep_network;
  return role;
}

}  // namespace postern::probe
