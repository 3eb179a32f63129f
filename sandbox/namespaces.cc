#include "sandbox/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace postern::sandbox {
namespace {

// Something that exists wherever ids can be mapped; the new root is mounted on it, then becomes
// "/".
constexpr char kScaffold[] = "/proc";
// Directories alone, some for each shown path; nothing can be written once the root is set up.
constexpr char kRootOptions[] = "mode=0755,size=256k,nr_inodes=2k";
constexpr size_t kMaxReason = 512;
constexpr char kGo = '+';
constexpr char kFailed = '-';

// One message of the pair that joins the old process and the new one.
bool Say(int fd, std::string_view text) {
  return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

// Empty: the other one is gone.
std::string Hear(int fd) {
  std::array<char, kMaxReason + 1> text;
  ssize_t got;
  do {
    got = ::recv(fd, text.data(), text.size(), 0);
  } while (got < 0 && errno == EINTR);
  return std::string(text.data(), got < 0 ? 0 : static_cast<size_t>(got));
}

absl::Status WriteTo(const char* path, std::string_view text) {
  const UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file) return ErrnoStatus(errno, "namespaces: open ", std::string_view(path));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return ErrnoStatus(errno, "namespaces: write ", std::string_view(path));
  return absl::OkStatus();
}

// Anyone may map his own ids, once nobody in there can leave groups that deny him something.
absl::Status MapOwnIds(uid_t uid, gid_t gid) {
  RETURN_IF_ERROR(WriteTo("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteTo("/proc/self/gid_map", StrCat(gid, ' ', gid, " 1\n")));
  return WriteTo("/proc/self/uid_map", StrCat(uid, ' ', uid, " 1\n"));
}

// A mount of its own, not attached anywhere yet: ".." ends at its top. Recursive, as the kernel
// refuses to bare what another mount covers. Its flags can only become stricter.
absl::StatusOr<UniqueFd> Detach(const UniqueFd& directory, const std::string& path) {
  UniqueFd tree(::open_tree(directory.get(), "",
                            AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree) return ErrnoStatus(errno, "namespaces: open_tree ", path);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                      sizeof attributes) < 0) {
    return ErrnoStatus(errno, "namespaces: mount_setattr ", path);
  }
  return tree;
}

using Trees = std::vector<std::pair<std::string, UniqueFd>>;

bool IsCovered(const Trees& trees, const std::string& path) {
  return std::ranges::any_of(trees, [&](const auto& tree) {
    return path == tree.first || path.starts_with(tree.first + "/");
  });
}

absl::StatusOr<Trees> TakeShown(std::vector<Shown> shown) {
  std::ranges::sort(shown, {}, &Shown::path);  // what lies below another comes after it
  Trees trees;
  for (const Shown& one : shown) {
    const std::string path = std::filesystem::path(one.path).lexically_normal();
    if (!path.starts_with('/') || path == "/")
      return InvalidArgument("namespaces: \"", one.path, "\" cannot be shown");
    if (IsCovered(trees, path)) continue;
    UniqueFd directory;
    if (one.open) {
      ASSIGN_OR_RETURN(directory, one.open());
    } else {
      directory.reset(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!directory && errno == ENOENT) continue;
      if (!directory) return ErrnoStatus(errno, "namespaces: open ", path);
    }
    ASSIGN_OR_RETURN(UniqueFd tree, Detach(directory, path));
    trees.emplace_back(path, std::move(tree));
  }
  return trees;
}

// In the present directory, which is the new root.
absl::Status Attach(const std::string& path, const UniqueFd& tree) {
  std::string below;
  for (const auto& part : std::filesystem::path(path).relative_path()) {
    if (part.empty()) continue;  // behind a last slash
    below += below.empty() ? part.native() : "/" + part.native();
    if (::mkdir(below.c_str(), 0755) < 0 && errno != EEXIST)
      return ErrnoStatus(errno, "namespaces: make ", path, " in the new root");
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, below.c_str(), MOVE_MOUNT_F_EMPTY_PATH) < 0)
    return ErrnoStatus(errno, "namespaces: move_mount ", path);
  return absl::OkStatus();
}

absl::Status ReplaceRoot(const Trees& trees) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0)
    return ErrnoStatus(errno, "namespaces: make mounts private");
  if (::mount("postern", kScaffold, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kRootOptions) < 0)
    return ErrnoStatus(errno, "namespaces: mount a root");
  if (::chdir(kScaffold) < 0) return ErrnoStatus(errno, "namespaces: enter the new root");
  const mode_t mask = ::umask(022);
  for (const auto& [path, tree] : trees) RETURN_IF_ERROR(Attach(path, tree));
  ::umask(mask);
  // The old root then lies on top of the new one, until it goes; see pivot_root(2).
  if (::syscall(SYS_pivot_root, ".", ".") < 0) return ErrnoStatus(errno, "namespaces: pivot_root");
  if (::umount2(".", MNT_DETACH) < 0) return ErrnoStatus(errno, "namespaces: leave the old root");
  if (::chdir("/") < 0) return ErrnoStatus(errno, "namespaces: enter the new root");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, "/", 0, &attributes, sizeof attributes) < 0)
    return ErrnoStatus(errno, "namespaces: make the root read-only");
  return absl::OkStatus();
}

// In the new process. What goes wrong is the old one's to tell.
pid_t BeInside(const Namespaces& namespaces, bool mapped_by_others, uid_t uid, gid_t gid,
               UniqueFd old) {
  if (mapped_by_others && Hear(old.get()).empty()) ::_exit(1);
  const auto enter = [&]() -> absl::Status {
    if (!mapped_by_others) RETURN_IF_ERROR(MapOwnIds(uid, gid));
    ASSIGN_OR_RETURN(const Trees trees, TakeShown(namespaces.shown));
    return ReplaceRoot(trees);
  };
  if (const absl::Status entered = enter(); !entered.ok()) {
    Say(old.get(), (kFailed + std::string(Message(entered))).substr(0, kMaxReason));
    ::_exit(1);
  }
  if (!Say(old.get(), std::string_view(&kGo, 1))) ::_exit(1);
  // Until everybody knows that we are it now; the old one could not be missed before.
  const std::string self = Hear(old.get());
  if (self.size() != sizeof(pid_t)) ::_exit(1);
  pid_t pid;
  std::memcpy(&pid, self.data(), sizeof pid);
  return pid;
}

// In the old process. Returns only with what went wrong.
absl::Status BeOutside(const Outside& outside, pid_t pid, UniqueFd fresh) {
  if (outside.map_ids) {
    RETURN_IF_ERROR(Annotate(outside.map_ids(pid), "namespaces: map ids"));
    if (!Say(fresh.get(), std::string_view(&kGo, 1)))
      return Internal("namespaces: the new process is gone");
  }
  const std::string answer = Hear(fresh.get());
  if (answer.starts_with(kFailed)) return FailedPrecondition(answer.substr(1));
  if (!answer.starts_with(kGo)) return Internal("namespaces: the new process died");
  if (outside.moved) RETURN_IF_ERROR(Annotate(outside.moved(pid), "namespaces: be replaced"));
  if (!Say(fresh.get(), std::string_view(reinterpret_cast<const char*>(&pid), sizeof pid)))
    ::_exit(1);  // killed in between; whoever watches it knows by now
  ::_exit(0);
}

}  // namespace

absl::StatusOr<pid_t> EnterNamespaces(const Namespaces& namespaces, const Outside& outside) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
    return ErrnoStatus(errno, "namespaces: socketpair");
  UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  // CLONE_PARENT: our parent's child, so that whoever started us hears of its end. All at once and
  // not by unshare(2), so that a failure leaves this process as it was.
  unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID |
                        CLONE_PARENT | SIGCHLD;
  if (!namespaces.keep_network) flags |= CLONE_NEWNET;
  const long pid = ::syscall(SYS_clone, flags, nullptr, nullptr, nullptr, nullptr);
  if (pid < 0) return ErrnoStatus(errno, "namespaces: clone");
  if (pid == 0) {
    ours.reset();
    return BeInside(namespaces, static_cast<bool>(outside.map_ids), uid, gid, std::move(theirs));
  }
  theirs.reset();
  return BeOutside(outside, static_cast<pid_t>(pid), std::move(ours));
}

}  // namespace postern::sandbox
