// Limits and the system call filter: the last layers, after which nothing can be loosened.
#include <liburing.h>
#include <linux/audit.h>
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

#ifndef IORING_ENTER_REGISTERED_RING
constexpr uint64_t IORING_ENTER_REGISTERED_RING = 1u << 4;
#endif

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

scmp_arg_cmp Compare(const Argument& argument) {
  scmp_arg_cmp compare{};
  compare.arg = argument.index;
  if (argument.is == Argument::Is::kEqual) {
    compare.op = SCMP_CMP_EQ;
    compare.datum_a = argument.value;
  } else {
    compare.op = SCMP_CMP_MASKED_EQ;
    compare.datum_a = argument.mask;
    compare.datum_b = argument.value;
  }
  return compare;
}

absl::Status AddRule(scmp_filter_ctx filter, const SyscallRule& rule) {
  std::vector<scmp_arg_cmp> compares;
  for (const Argument& argument : rule.arguments) compares.push_back(Compare(argument));
  const uint32_t action = rule.refuse_with.has_value()
                              ? SCMP_ACT_ERRNO(static_cast<uint32_t>(*rule.refuse_with))
                              : SCMP_ACT_ALLOW;
  const int error = -seccomp_rule_add_array(
      filter, action, rule.number, static_cast<unsigned>(compares.size()), compares.data());
  if (error != 0 && error != EEXIST) return ErrnoStatus(error, "seccomp: rule for ", rule.name);
  return absl::OkStatus();
}

absl::StatusOr<Filter> Compile(const Profile& profile, int registered_ring_index) {
  Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (!filter) return Internal("seccomp: no filter");
  // Foreign architectures (i386, x32) die too.
  if (const int error =
          -seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return ErrnoStatus(error, "seccomp: bad architecture action");
  }
  seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE,
                   2);  // a binary tree: the filter runs at every call
  std::set<std::string> unconditional;
  for (const SyscallRule& rule : profile.syscalls) {
    // A call allowed with any arguments and again with some: libseccomp refuses the second.
    if (unconditional.contains(rule.name)) continue;
    if (rule.arguments.empty()) unconditional.insert(rule.name);
    RETURN_IF_ERROR(AddRule(filter.get(), rule));
  }
  if (profile.backend == Backend::kUring) {
    const SyscallRule enter{
        .number = SCMP_SYS(io_uring_enter),
        .name = "io_uring_enter",
        .arguments = {Argument::Equals(0, static_cast<uint64_t>(registered_ring_index)),
                      Argument::Masked(3, IORING_ENTER_REGISTERED_RING,
                                       IORING_ENTER_REGISTERED_RING)},
        .refuse_with = {}};
    RETURN_IF_ERROR(AddRule(filter.get(), enter));
  }
  return filter;
}

}  // namespace

absl::Status Seal(const Profile& profile, int registered_ring_index) {
  for (const Limit& limit : profile.limits) {
    const rlimit both{.rlim_cur = limit.value, .rlim_max = limit.value};
    if (::setrlimit(limit.resource, &both) < 0)
      return ErrnoStatus(errno, "rlimits: resource ", static_cast<int>(limit.resource));
  }
  ASSIGN_OR_RETURN(const Filter filter, Compile(profile, registered_ring_index));
  if (const int error = -seccomp_load(filter.get()); error != 0)
    return ErrnoStatus(error, "seccomp: load");
  return absl::OkStatus();
}

absl::StatusOr<std::string> ExportFilter(const Profile& profile, int registered_ring_index) {
  ASSIGN_OR_RETURN(const Filter filter, Compile(profile, registered_ring_index));
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

std::string DescribeLayers(const Profile& profile, const Identity& identity, int landlock_abi) {
  std::set<std::string> calls;
  for (const SyscallRule& rule : profile.syscalls) calls.insert(rule.name);
  const std::set<uint8_t> operations(profile.ring_operations.begin(),
                                     profile.ring_operations.end());
  std::string layers = identity.drop ? "ids " : "";
  layers += "no_new_privs landlock:" + std::to_string(landlock_abi);
  if (profile.backend == Backend::kUring) layers += " ring:" + std::to_string(operations.size());
  layers += " rlimits seccomp:" +
            std::to_string(calls.size() + (profile.backend == Backend::kUring ? 1 : 0));
  return layers;
}

}  // namespace postern::sandbox
