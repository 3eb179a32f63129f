#include "tests/testing/kernel_layers.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>

namespace postern::test {
namespace {

constexpr int kSetMdwe = 65;  // PR_SET_MDWE, Linux 6.3
constexpr int kRefuseExecGain = 1;
constexpr uint32_t kLandlockVersion = 1;

// What `act`, which returns the name of the step that failed or nullptr, comes to in a child.
std::string Try(const std::function<const char*()>& act) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return "pipe";
  const pid_t child = ::fork();
  if (child == 0) {
    char text[200] = "";
    if (const char* step = act(); step != nullptr)
      std::snprintf(text, sizeof text, "%s: %s", step, std::strerror(errno));
    ::_exit(::write(ends[1], text, std::strlen(text)) < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  char text[200];
  const ssize_t got = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  if (got > 0) return std::string(text, static_cast<size_t>(got));
  return status == 0 ? "" : "the child that tried it died";
}

bool Write(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  ::close(fd);
  errno = error;
  return written;
}

const char* TryNamespaces() {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID |
                CLONE_NEWNET) < 0) {
    return "unshare";
  }
  if (!Write("/proc/self/setgroups", "deny")) return "write setgroups";
  if (!Write("/proc/self/gid_map", gid + " " + gid + " 1")) return "write gid_map";
  if (!Write("/proc/self/uid_map", uid + " " + uid + " 1")) return "write uid_map";
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return "make mounts private";
  if (::mount("try", "/proc", "tmpfs", 0, "size=64k") < 0) return "mount tmpfs";
  const int tree = ::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE | OPEN_TREE_CLOEXEC);
  if (tree < 0) return "open_tree";
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID;
  if (::mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
    return "mount_setattr";
  if (::chdir("/proc") < 0) return "chdir";
  if (::mkdir("tree", 0755) < 0) return "mkdir";
  if (::move_mount(tree, "", AT_FDCWD, "tree", MOVE_MOUNT_F_EMPTY_PATH) < 0) return "move_mount";
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return "pivot_root";
  if (::umount2(".", MNT_DETACH) < 0) return "umount2";
  const pid_t first = ::fork();
  if (first < 0) return "fork";
  if (first == 0) ::_exit(::getpid() == 1 ? 0 : 1);
  int status = -1;
  ::waitpid(first, &status, 0);
  errno = 0;
  return status == 0 ? nullptr : "be process 1";
}

int LandlockVersion() {
  return static_cast<int>(::syscall(444, nullptr, 0, kLandlockVersion));  // create_ruleset
}

const char* TryLandlock() {
  if (LandlockVersion() < 1) return "landlock_create_ruleset";
  const uint64_t handled = 1;  // EXECUTE
  const auto ruleset = static_cast<int>(::syscall(444, &handled, sizeof handled, 0));
  if (ruleset < 0) return "landlock_create_ruleset";
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return "no_new_privs";
  return ::syscall(446, ruleset, 0) < 0 ? "landlock_restrict_self" : nullptr;
}

std::vector<MissingLayer> TryAll() {
  std::vector<MissingLayer> missing;
  const auto note = [&](const char* name, const std::string& why) {
    if (why.empty()) return;
    missing.push_back({name, why});
    std::fprintf(stderr, "layer %s is missing here: %s\n", name, why.c_str());
  };
  note("namespaces", Try(TryNamespaces));
  note("mdwe", Try([]() -> const char* {
         return ::prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) < 0 ? "prctl" : nullptr;
       }));
  const std::string landlock = Try(TryLandlock);
  note("landlock", landlock);
  if (!landlock.empty()) return missing;
  const std::string has = "Landlock has version " + std::to_string(LandlockVersion());
  note("landlock-network", LandlockVersion() < 4 ? has : "");
  note("landlock-scopes", LandlockVersion() < 6 ? has : "");
  return missing;
}

}  // namespace

const std::vector<MissingLayer>& LayersMissingHere() {
  static const std::vector<MissingLayer> missing = TryAll();
  return missing;
}

std::string WhyMissing(const std::string& name) {
  for (const MissingLayer& layer : LayersMissingHere()) {
    if (layer.name == name) return layer.why;
  }
  return "";
}

std::string AllowMissing() {
  std::string list;
  for (const MissingLayer& layer : LayersMissingHere())
    list += (list.empty() ? "\"" : ", \"") + layer.name + "\"";
  return "master.allow_missing = [" + list + "]\n";
}

}  // namespace postern::test
