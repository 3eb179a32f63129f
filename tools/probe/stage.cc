#include "tools/probe/stage.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

namespace postern::probe {
namespace {

constexpr char kText[] = "scratch of confine-probe\n";

absl::Status MakeFile(const std::string& path, mode_t mode) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd || ::fchmod(fd.get(), mode) < 0) return ErrnoStatus(errno, "make ", path);
  if (::write(fd.get(), kText, sizeof kText - 1) < 0) return ErrnoStatus(errno, "write ", path);
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) < 0 || ::chmod(path.c_str(), mode) < 0)
    return ErrnoStatus(errno, "make ", path);
  return absl::OkStatus();
}

void BringLoopbackUp() {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(fd.get(), SIOCSIFFLAGS, &request);
}

// As good as the machine allows: the acts are harmless without, too.
void LeaveTheMachineAlone() {
  if (::geteuid() != 0) return;
  if (::unshare(CLONE_NEWNS) == 0) ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (::unshare(CLONE_NEWNET) == 0) BringLoopbackUp();
  for (const int kind : {CLONE_NEWIPC, CLONE_NEWUTS}) {
    if (::unshare(kind) < 0) continue;
  }
}

template <class Address>
const sockaddr* Generic(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// A socket on a free port of loopback; TCP listens. Invalid where the family is missing.
UniqueFd OnLoopback(int family, int type, uint16_t& port) {
  UniqueFd fd(::socket(family, type, 0));
  sockaddr_storage address{};
  socklen_t octets = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
  }
  if (!fd || ::bind(fd.get(), Generic(address), octets) < 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &octets) < 0 ||
      (type == SOCK_STREAM && ::listen(fd.get(), 100) < 0)) {
    return UniqueFd();
  }
  port = ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                                 : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  return fd;
}

absl::StatusOr<UniqueFd> UnixListener(const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) return InvalidArgument(name, ": too long");
  std::memcpy(address.sun_path, name.data(), name.size());
  const auto octets = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (!fd || ::bind(fd.get(), Generic(address), octets) < 0 || ::listen(fd.get(), 100) < 0)
    return ErrnoStatus(errno, "listen on a Unix socket");
  return fd;
}

}  // namespace

absl::Status BecomeSibling(const sandbox::Identity& identity) {
  if (identity.drop) RETURN_IF_ERROR(sandbox::DropIdentity(identity));
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // as any program that was started as this user is
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Stage>> Stage::Make(const std::string& parent,
                                                   const sandbox::Identity& identity) {
  LeaveTheMachineAlone();
  std::unique_ptr<Stage> stage(new Stage);
  std::string name = parent + "/postern-probe-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) return ErrnoStatus(errno, "make ", name);
  stage->directory = name;
  stage->identity_ = identity;
  RETURN_IF_ERROR(stage->MakeFiles());
  RETURN_IF_ERROR(stage->MakeSockets());
  RETURN_IF_ERROR(stage->MakeVictim());
  RETURN_IF_ERROR(stage->MakeDescriptors());
  return stage;
}

absl::Status Stage::MakeFiles() {
  if (::chmod(directory.c_str(), 0755) < 0) return ErrnoStatus(errno, "chmod ", directory);
  readable = directory + "/readable";
  writable = directory + "/writable";
  secret = directory + "/secret";
  program = directory + "/program";
  open_directory = directory + "/open";
  unix_path = directory + "/socket";
  spool = directory + "/spool";
  mailbox = directory + "/mailbox";
  RETURN_IF_ERROR(MakeFile(readable, 0644));
  RETURN_IF_ERROR(MakeFile(writable, 0666));
  RETURN_IF_ERROR(MakeFile(secret, 0600));
  RETURN_IF_ERROR(MakeFile(program, 0755));
  RETURN_IF_ERROR(MakeDirectory(open_directory, 0777));
  for (const std::string& own : {spool, mailbox}) {
    RETURN_IF_ERROR(MakeDirectory(own, 0700));
    if (identity_.drop && ::chown(own.c_str(), identity_.uid, identity_.gid) < 0)
      return ErrnoStatus(errno, "chown ", own);
  }
  return TidyUp();
}

absl::Status Stage::TidyUp() {
  const std::set<std::string> lasting = {"file", "empty", "secret", "link"};
  for (const std::string& parent : {open_directory, spool, mailbox}) {
    std::error_code error;
    std::vector<std::filesystem::path> strays;
    std::set<std::string> there;
    for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
      const std::string name = entry.path().filename();
      if (lasting.contains(name)) {
        there.insert(name);
      } else {
        strays.push_back(entry.path());
      }
    }
    for (const std::filesystem::path& stray : strays) std::filesystem::remove_all(stray, error);
    if (!there.contains("file")) RETURN_IF_ERROR(MakeFile(parent + "/file", 0666));
    if (!there.contains("secret")) RETURN_IF_ERROR(MakeFile(parent + "/secret", 0600));
    if (!there.contains("empty")) RETURN_IF_ERROR(MakeDirectory(parent + "/empty", 0777));
    if (!there.contains("link") && ::symlink(writable.c_str(), (parent + "/link").c_str()) < 0)
      return ErrnoStatus(errno, "make a link in ", parent);
  }
  return absl::OkStatus();
}

absl::Status Stage::MakeSockets() {
  kept_.push_back(OnLoopback(AF_INET, SOCK_STREAM, tcp_port));
  if (!kept_.back()) return ErrnoStatus(errno, "listen on 127.0.0.1");
  kept_.push_back(OnLoopback(AF_INET6, SOCK_STREAM, tcp6_port));  // there may be none
  kept_.push_back(OnLoopback(AF_INET, SOCK_DGRAM, udp_port));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(tcp_port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  tcp.reset(::socket(AF_INET, SOCK_STREAM, 0));
  if (!tcp || ::connect(tcp.get(), Generic(address), sizeof address) < 0)
    return ErrnoStatus(errno, "connect to 127.0.0.1");
  uint16_t ignored = 0;
  listener = OnLoopback(AF_INET, SOCK_STREAM, ignored);
  ASSIGN_OR_RETURN(UniqueFd by_path, UnixListener(unix_path));
  if (::chmod(unix_path.c_str(), 0666) < 0) return ErrnoStatus(errno, "chmod ", unix_path);
  abstract_name = "postern-probe-" + std::to_string(::getpid());
  ASSIGN_OR_RETURN(UniqueFd by_name, UnixListener(std::string(1, '\0') + abstract_name));
  kept_.push_back(std::move(by_path));
  kept_.push_back(std::move(by_name));
  return absl::OkStatus();
}

absl::Status Stage::MakeVictim() {
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) < 0) return ErrnoStatus(errno, "pipe");
  UniqueFd reading(ready[0]);
  UniqueFd writing(ready[1]);
  const pid_t parent = ::getpid();
  victim = ::fork();
  if (victim < 0) return ErrnoStatus(errno, "fork");
  if (victim == 0) {
    if (!BecomeSibling(identity_).ok()) ::_exit(1);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent || ::write(writing.get(), "", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  writing.reset();
  char octet;
  if (::read(reading.get(), &octet, 1) != 1) return Internal("the victim did not come up");
  victim_pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, victim, 0)));
  return absl::OkStatus();
}

absl::Status Stage::MakeDescriptors() {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
    return ErrnoStatus(errno, "socketpair");
  edge.reset(pair[0]);
  edge_peer.reset(pair[1]);
  uts_namespace.reset(::open("/proc/self/ns/uts", O_RDONLY));
  program_fd.reset(::open(program.c_str(), O_RDONLY));
  writable_fd.reset(::open(writable.c_str(), O_RDWR));
  if (!program_fd || !writable_fd) return ErrnoStatus(errno, "open scratch files");
  return absl::OkStatus();
}

Stage::~Stage() {
  if (victim > 0) {
    ::kill(victim, SIGKILL);
    ::waitpid(victim, nullptr, 0);
  }
  if (directory.empty()) return;
  std::error_code error;
  std::filesystem::remove_all(directory, error);
}

}  // namespace postern::probe
