// Limits and the system call filter: the last layers, after which nothing can be loosened.
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include "common/base/unique_fd.h"
#include "sandbox/confine.h"

namespace postern::sandbox {
namespace {

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

scmp_arg_cmp Compare(const Argument& argument, int registered_ring_index) {
  scmp_arg_cmp compare{.arg = argument.index, .op = SCMP_CMP_EQ, .datum_a = 0, .datum_b = 0};
  switch (argument.is) {
    case Argument::Is::kEqual:
      compare.datum_a = argument.value;
      break;
    case Argument::Is::kMaskedEqual:
      compare.op = SCMP_CMP_MASKED_EQ;
      compare.datum_a = argument.mask;
      compare.datum_b = argument.value;
      break;
    case Argument::Is::kOwnProcess:
      compare.datum_a = static_cast<uint64_t>(::getpid());
      break;
    case Argument::Is::kRegisteredRing:
      compare.datum_a = static_cast<uint64_t>(registered_ring_index);
      break;
  }
  return compare;
}

absl::Status AddRule(scmp_filter_ctx filter, const SyscallRule& rule, int registered_ring_index) {
  std::vector<scmp_arg_cmp> compares;
  for (const Argument& argument : rule.arguments)
    compares.push_back(Compare(argument, registered_ring_index));
  const uint32_t action = rule.refuse_with.has_value()
                              ? SCMP_ACT_ERRNO(static_cast<uint32_t>(*rule.refuse_with))
                              : SCMP_ACT_ALLOW;
  const int error = -seccomp_rule_add_array(
      filter, action, rule.number, static_cast<unsigned>(compares.size()), compares.data());
  if (error != 0 && error != EEXIST) return ErrnoStatus(error, "seccomp: rule for ", rule.name);
  return absl::OkStatus();
}

// libseccomp keeps the first of two rules that say different things of one call, silently: they
// must tell calls apart by their arguments.
absl::Status CheckRefusalsStandAlone(const Profile& profile) {
  std::set<std::string> refused;
  std::set<std::string> refused_always;
  for (const SyscallRule& rule : profile.syscalls) {
    if (!rule.refuse_with.has_value()) continue;
    (rule.arguments.empty() ? refused_always : refused).insert(rule.name);
  }
  for (const SyscallRule& rule : profile.syscalls) {
    if (rule.refuse_with.has_value()) continue;
    if (refused_always.contains(rule.name) ||
        (refused.contains(rule.name) && rule.arguments.empty()))
      return InvalidArgument("seccomp: ", rule.name, " is both allowed and refused");
  }
  return absl::OkStatus();
}

absl::StatusOr<Filter> Compile(const Profile& profile, int registered_ring_index,
                               Unlisted unlisted) {
  if (profile.backend == Backend::kUring && registered_ring_index < 0)
    return FailedPrecondition("seccomp: the ring has no registered index to hold it to");
  RETURN_IF_ERROR(CheckRefusalsStandAlone(profile));
  Filter filter(
      seccomp_init(unlisted == Unlisted::kKill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS)));
  if (!filter) return Internal("seccomp: no filter");
  // Foreign architectures (i386, x32) die too.
  if (const int error =
          -seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return ErrnoStatus(error, "seccomp: bad architecture action");
  }
  // A binary tree: the filter runs at every call.
  if (const int error = -seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); error != 0)
    return ErrnoStatus(error, "seccomp: optimization");
  std::set<std::string> unconditional;
  for (const SyscallRule& rule : profile.syscalls) {
    // A call allowed with any arguments and again with some: libseccomp refuses the second.
    if (unconditional.contains(rule.name)) continue;
    if (rule.arguments.empty()) unconditional.insert(rule.name);
    RETURN_IF_ERROR(AddRule(filter.get(), rule, registered_ring_index));
  }
  return filter;
}

}  // namespace

absl::Status LimitResources(const Profile& profile) {
  for (const Limit& limit : profile.limits) {
    // Never more than there was: whoever started us may have set a tighter bound.
    rlimit now{};
    if (::getrlimit(limit.resource, &now) < 0)
      return ErrnoStatus(errno, "rlimits: ask for resource ", static_cast<int>(limit.resource));
    const rlim_t value = std::min<rlim_t>(limit.value, now.rlim_max);
    const rlimit both{.rlim_cur = value, .rlim_max = value};
    if (::setrlimit(limit.resource, &both) < 0)
      return ErrnoStatus(errno, "rlimits: resource ", static_cast<int>(limit.resource));
  }
  return absl::OkStatus();
}

absl::Status LoadFilter(const Profile& profile, int registered_ring_index, Unlisted unlisted) {
  ASSIGN_OR_RETURN(const Filter filter, Compile(profile, registered_ring_index, unlisted));
  if (const int error = -seccomp_load(filter.get()); error != 0)
    return ErrnoStatus(error, "seccomp: load");
  return absl::OkStatus();
}

absl::Status Seal(const Profile& profile, int registered_ring_index) {
  RETURN_IF_ERROR(LimitResources(profile));
  return LoadFilter(profile, registered_ring_index);
}

absl::StatusOr<std::string> ExportFilter(const Profile& profile, int registered_ring_index) {
  ASSIGN_OR_RETURN(const Filter filter, Compile(profile, registered_ring_index, Unlisted::kKill));
  UniqueFd memory(::memfd_create("filter", MFD_CLOEXEC));
  if (!memory) return ErrnoStatus(errno, "memfd_create");
  if (const int error = -seccomp_export_bpf(filter.get(), memory.get()); error != 0)
    return ErrnoStatus(error, "seccomp: export");
  const off_t octets = ::lseek(memory.get(), 0, SEEK_END);
  std::string program(static_cast<size_t>(octets), '\0');
  if (::pread(memory.get(), program.data(), program.size(), 0) != octets)
    return Internal("seccomp: read back");
  return program;
}

}  // namespace postern::sandbox
