// What another process of the same uid, under no layer at all, must not be able to do to the role:
// started without root, all daemons share a uid.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <string>

#include "tools/probe/acts.h"

namespace postern::probe {

void AddSiblingActs(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "sibling", .name = name, .attempt = attempt, .by = By::kSibling});
  };
  const auto open = [](const Scene& s, const char* what, int flags) {
    const std::string path = "/proc/" + std::to_string(s.role) + "/" + what;
    return Call(SYS_openat, AT_FDCWD, path.c_str(), flags, 0);
  };
  static int anywhere = 0;  // the same place in both, as one was forked from the other
  add("a sibling traces it",
      [](const Scene& s) { return Call(SYS_ptrace, PTRACE_SEIZE, s.role, nullptr, nullptr); });
  add("a sibling reads its memory", [](const Scene& s) {
    char octets[sizeof anywhere];
    const iovec own{octets, sizeof octets};
    const iovec other{&anywhere, sizeof anywhere};
    return Call(SYS_process_vm_readv, s.role, &own, 1, &other, 1, 0);
  });
  add("a sibling writes its memory", [](const Scene& s) {
    char octets[sizeof anywhere] = {};
    const iovec own{octets, sizeof octets};
    const iovec other{&anywhere, sizeof anywhere};
    return Call(SYS_process_vm_writev, s.role, &own, 1, &other, 1, 0);
  });
  add("a sibling opens its memory", [=](const Scene& s) { return open(s, "mem", O_RDONLY); });
  add("a sibling reads its environment", [=](const Scene& s) {
    const long fd = open(s, "environ", O_RDONLY);
    char octet;
    return fd < 0 ? fd : Call(SYS_read, fd, &octet, 1);
  });
  add("a sibling opens its descriptors", [=](const Scene& s) {
    return open(s, ("fd/" + std::to_string(s.stage.program_fd.get())).c_str(), O_RDONLY);
  });
  add("a sibling takes a descriptor of it", [](const Scene& s) {
    const long process = Call(SYS_pidfd_open, s.role, 0);
    return process < 0 ? process : Call(SYS_pidfd_getfd, process, s.stage.edge.get(), 0);
  });
  add("a sibling looks at its root",
      [=](const Scene& s) { return open(s, "root", O_RDONLY | O_DIRECTORY); });
}

}  // namespace postern::probe
