#include "tools/probe/run.h"

#include <liburing.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstring>
#include <memory>

#include "common/base/check.h"
#include "common/service/confining.h"
#include "daemons/master/id_map.h"
#include "sandbox/constants.h"

namespace postern::probe {
namespace {

constexpr int kPatienceMilliseconds = 20'000;  // for one process, however many acts it tries

enum State : uint8_t { kUntried, kTrying, kDone };

// Written by the process that tries, read here: it needs no system call.
struct Record {
  State state = kUntried;
  long result = 0;
};

struct Head {
  char reason[512];  // why the role could not be entered; empty if it could
  pid_t moved;       // who took the confined process's place in new namespaces; 0: nobody
};

class Shared {
 public:
  explicit Shared(size_t acts) : octets_(sizeof(Head) + acts * sizeof(Record)) {
    memory_ = ::mmap(nullptr, octets_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory_ != MAP_FAILED);
  }
  Shared(const Shared&) = delete;
  ~Shared() { ::munmap(memory_, octets_); }
  Record& at(size_t act) {
    return reinterpret_cast<Record*>(static_cast<char*>(memory_) + sizeof(Head))[act];
  }
  std::string_view reason() const { return head()->reason; }
  void set_reason(std::string_view text) {
    std::memcpy(head()->reason, text.data(), std::min(text.size(), sizeof(Head::reason) - 1));
  }
  pid_t moved() const { return head()->moved; }
  void set_moved(pid_t pid) { head()->moved = pid; }

 private:
  Head* head() const { return static_cast<Head*>(memory_); }

  size_t octets_;
  void* memory_;
};

absl::Status EnterNamespaces(const sandbox::Namespaces& namespaces,
                             const sandbox::Identity& identity, Shared& shared) {
  sandbox::Outside outside;
  // We are root, and stand outside: what master does for a daemon the old process does itself.
  if (identity.drop) outside.map_ids = [](pid_t pid) { return master::WriteIdMaps(pid); };
  outside.moved = [&shared](pid_t pid) {
    shared.set_moved(pid);
    return absl::OkStatus();
  };
  return sandbox::EnterNamespaces(namespaces, outside).status();
}

class Trial {
 public:
  Trial(const Role& role, const How& how, Stage& stage, const std::vector<Act>& acts)
      : role_(role),
        how_(how),
        stage_(stage),
        acts_(acts),
        shared_(acts.size()),
        results_(acts.size()) {}

  absl::StatusOr<std::vector<Result>> Run();

 private:
  bool Skipped(size_t i);
  bool IsFor(const Act& act, By by) const { return act.by == by; }
  // The confined process: tries those of its acts that nobody tried yet, up to one that succeeds.
  [[noreturn]] void Try(size_t from);
  // The confined process, held still for a sibling.
  [[noreturn]] void HoldStill(int ready);
  absl::StatusOr<std::unique_ptr<io::Loop>> Become(io_uring** ring);
  absl::Status TryOnes(size_t from);
  absl::Status TrySibling(size_t i);
  // The wait status; a process without an end within the time is ended, and `*late` set.
  static int AwaitOne(pid_t child, bool* late);
  // The same for a process that becomes the role.
  int Await(pid_t role, bool* late);
  void Judge(size_t i, int status, bool late);

  const Role& role_;
  const How& how_;
  Stage& stage_;
  const std::vector<Act>& acts_;
  Shared shared_;
  std::vector<Result> results_;
};

bool Trial::Skipped(size_t i) {
  if (acts_[i].allowed.Covers(role_.profile.name)) {
    results_[i].outcome = Outcome::kAllowed;
    return true;
  }
  if (acts_[i].landlock_abi <= how_.landlock_abi && (how_.identity.drop || !acts_[i].needs_root))
    return false;
  results_[i].outcome = Outcome::kNotToBeHad;
  return true;
}

absl::StatusOr<std::unique_ptr<io::Loop>> Trial::Become(io_uring** ring) {
  // What the kernel lacks was said before; here it is tried without.
  sandbox::MissingLayers missing({"namespaces", "mdwe", "landlock-network", "landlock-scopes"});
  sandbox::Profile profile = role_.profile;
  if (!how_.without.Has(sandbox::Layer::kNamespaces)) {
    RETURN_IF_ERROR(EnterNamespaces(role_.namespaces, how_.identity, shared_));
    // What was opened before leads up to the old root.
    profile = MakeRole(role_.profile.name, role_.profile.backend, stage_).profile;
  }
  if (!how_.without.Has(sandbox::Layer::kIds))
    RETURN_IF_ERROR(sandbox::DropIdentity(how_.identity));
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // which a change of ids and a new process take away
  io::LoopOptions options = role_.loop;
  options.ring = ring;
  ASSIGN_OR_RETURN(service::Confined confined,
                   service::EnterLayers(profile, how_.identity, options, missing,
                                        {.without = how_.without, .unlisted = how_.unlisted}));
  return std::move(confined.loop);
}

void Trial::Try(size_t from) {
  io_uring* ring = nullptr;
  const absl::StatusOr<std::unique_ptr<io::Loop>> loop = Become(&ring);
  if (!loop.ok()) {
    shared_.set_reason(Message(loop.status()));
    ::_exit(1);
  }
  const Scene scene{.stage = stage_, .profile = role_.profile, .ring = ring};
  for (size_t i = from; i < acts_.size(); ++i) {
    if (acts_[i].by != By::kRole || Skipped(i)) continue;
    Record& record = shared_.at(i);
    record.state = kTrying;
    record.result = acts_[i].attempt(scene);
    record.state = kDone;
    // What succeeded may have changed the process: the next act gets a fresh one.
    if (!IsRefused(acts_[i], record.result)) break;
  }
  ::syscall(SYS_exit_group, 0);
  __builtin_unreachable();
}

void Trial::HoldStill(int ready) {
  io_uring* ring = nullptr;
  const absl::StatusOr<std::unique_ptr<io::Loop>> loop = Become(&ring);
  if (!loop.ok()) shared_.set_reason(Message(loop.status()));
  static uint32_t word = 0;
  ::syscall(SYS_write, ready, "", 1);
  for (;;) ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, nullptr, nullptr, 0);
}

int Trial::Await(pid_t role, bool* late) {
  const int status = AwaitOne(role, late);
  const pid_t moved = shared_.moved();
  if (moved == 0) return status;
  // In namespaces of its own another process went on.
  shared_.set_moved(0);
  return AwaitOne(moved, late);
}

int Trial::AwaitOne(pid_t child, bool* late) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  pollfd end{.fd = process.get(), .events = POLLIN, .revents = 0};
  *late = process.valid() && ::poll(&end, 1, kPatienceMilliseconds) == 0;
  if (*late) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

void Trial::Judge(size_t i, int status, bool late) {
  const Record& record = shared_.at(i);
  Result& result = results_[i];
  if (record.state == kDone) {
    const bool refused = IsRefused(acts_[i], record.result);
    result.outcome = refused ? Outcome::kRefused : Outcome::kSucceeded;
    result.error = record.result < 0 ? static_cast<int>(-record.result) : 0;
  } else if (!late && WIFSIGNALED(status)) {
    result.outcome = Outcome::kKilled;
    result.signal = WTERMSIG(status);
  } else {
    result.outcome = Outcome::kSucceeded;  // it waits, or ended by itself: nobody refused
  }
}

// One process after the other, each going on where the last one ended.
absl::Status Trial::TryOnes(size_t from) {
  while (from < acts_.size()) {
    RETURN_IF_ERROR(stage_.TidyUp());
    const pid_t child = ::fork();
    if (child < 0) return ErrnoStatus(errno, "fork");
    if (child == 0) Try(from);
    bool late = false;
    const int status = Await(child, &late);
    if (!shared_.reason().empty()) return FailedPrecondition(shared_.reason());
    size_t next = from;
    for (size_t i = from; i < acts_.size(); ++i) {
      if (!IsFor(acts_[i], By::kRole) || Skipped(i)) {
        if (next == i) next = i + 1;
        continue;
      }
      if (shared_.at(i).state == kUntried) break;
      Judge(i, status, late);
      next = i + 1;
    }
    if (next == from)
      return Internal("the process ended with ", status, " before it tried anything");
    from = next;
  }
  return absl::OkStatus();
}

absl::Status Trial::TrySibling(size_t i) {
  int ends[2];
  if (::pipe2(ends, 0) < 0) return ErrnoStatus(errno, "pipe");
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t role = ::fork();
  if (role < 0) return ErrnoStatus(errno, "fork");
  if (role == 0) HoldStill(writing.get());
  writing.reset();
  char octet;
  const bool up = ::read(reading.get(), &octet, 1) == 1 && shared_.reason().empty();
  const pid_t held = shared_.moved() != 0 ? shared_.moved() : role;
  bool late = false;
  int status = 0;
  if (up) {
    const pid_t sibling = ::fork();
    if (sibling == 0) {
      if (!BecomeSibling(how_.identity).ok()) ::_exit(1);
      const Scene scene{.stage = stage_, .profile = role_.profile, .ring = nullptr, .role = held};
      shared_.at(i).state = kTrying;
      shared_.at(i).result = acts_[i].attempt(scene);
      shared_.at(i).state = kDone;
      ::_exit(0);
    }
    if (sibling > 0) status = AwaitOne(sibling, &late);
  }
  ::kill(held, SIGKILL);
  ::waitpid(held, nullptr, 0);
  if (held != role) ::waitpid(role, nullptr, 0);
  shared_.set_moved(0);
  if (!shared_.reason().empty()) return FailedPrecondition(shared_.reason());
  if (!up) return Internal("the confined process ended before a sibling came to it");
  if (shared_.at(i).state == kUntried) return Internal("no sibling could be had");
  Judge(i, status, late);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Result>> Trial::Run() {
  RETURN_IF_ERROR(TryOnes(0));
  for (size_t i = 0; i < acts_.size(); ++i) {
    if (IsFor(acts_[i], By::kSibling) && !Skipped(i)) RETURN_IF_ERROR(TrySibling(i));
  }
  return std::move(results_);
}

}  // namespace

absl::StatusOr<std::vector<Result>> TryActs(const Role& role, const How& how, Stage& stage,
                                            const std::vector<Act>& acts) {
  return Trial(role, how, stage, acts).Run();
}

std::string WhyNoNamespaces(const sandbox::Identity& identity) {
  Shared shared(0);
  const pid_t child = ::fork();
  if (child < 0) return "fork fails";
  if (child == 0) {
    const absl::Status entered = EnterNamespaces({}, identity, shared);
    if (!entered.ok()) shared.set_reason(Message(entered));
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  if (shared.moved() != 0) ::waitpid(shared.moved(), nullptr, 0);
  return std::string(shared.reason());
}

int LandlockAbi() {
  const long abi =
      Call(sandbox::landlock::kCreateRuleset, nullptr, 0, sandbox::landlock::kVersionFlag);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

unsigned RingOperations() {
  io_uring_probe* probe = io_uring_get_probe();
  if (probe == nullptr) return 0;
  const unsigned operations = probe->last_op + 1u;
  io_uring_free_probe(probe);
  return operations;
}

}  // namespace postern::probe
