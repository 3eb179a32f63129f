// tests/testing/bpf_evaluator.h — runs a seccomp filter as the kernel would, without a process that
// dies of it: classic BPF over struct seccomp_data.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace postern::test {

struct SystemCall {
  uint32_t number = 0;
  std::array<uint64_t, 6> arguments{};
  uint32_t architecture = AUDIT_ARCH_X86_64;
};

class BpfEvaluator {
 public:
  // `program`: an array of struct sock_filter as seccomp_export_bpf writes it, copied. A partial
  // instruction at the end makes every verdict nullopt.
  explicit BpfEvaluator(std::string_view program);

  // What the filter returns (SECCOMP_RET_*, with its data), or nullopt for a program that the
  // kernel would not have taken: a load outside seccomp_data, a jump over the end, an unknown
  // instruction.
  std::optional<uint32_t> Verdict(const SystemCall& call) const;

  size_t instructions() const { return program_.size(); }

 private:
  std::vector<sock_filter> program_;
};

}  // namespace postern::test
