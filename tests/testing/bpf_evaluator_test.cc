#include "tests/testing/bpf_evaluator.h"

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <string>

namespace postern::test {
namespace {

std::optional<uint32_t> VerdictOf(const std::vector<sock_filter>& program,
                                  const SystemCall& call = {}) {
  const BpfEvaluator evaluator(
      {reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)});
  return evaluator.Verdict(call);
}

TEST(BpfEvaluator, LoadsTheWordsOfTheCall) {
  const SystemCall call{.number = 41,
                        .arguments = {0x1122334455667788, 2, 3, 4, 5, 0xAABBCCDD00000000}};
  const struct {
    const char* label;
    uint32_t offset;
    uint32_t value;
  } rows[] = {{"number", offsetof(seccomp_data, nr), 41},
              {"architecture", offsetof(seccomp_data, arch), AUDIT_ARCH_X86_64},
              {"low word of the first argument", offsetof(seccomp_data, args), 0x55667788},
              {"high word of the first argument", offsetof(seccomp_data, args) + 4, 0x11223344},
              {"the last word there is", sizeof(seccomp_data) - 4, 0xAABBCCDD}};
  for (const auto& row : rows) {
    EXPECT_EQ(
        VerdictOf({BPF_STMT(BPF_LD | BPF_W | BPF_ABS, row.offset), BPF_STMT(BPF_RET | BPF_A, 0)},
                  call),
        row.value)
        << row.label;
  }
}

TEST(BpfEvaluator, ComparesAndJumps) {
  const struct {
    uint16_t operation;
    uint32_t operand;
    bool taken;
  } rows[] = {{BPF_JEQ, 5, true}, {BPF_JEQ, 4, false}, {BPF_JGT, 4, true},  {BPF_JGT, 5, false},
              {BPF_JGE, 5, true}, {BPF_JGE, 6, false}, {BPF_JSET, 4, true}, {BPF_JSET, 2, false}};
  for (const auto& row : rows) {
    const uint16_t code = BPF_JMP | BPF_K | row.operation;
    EXPECT_EQ(VerdictOf({BPF_STMT(BPF_LD | BPF_IMM, 5), BPF_JUMP(code, row.operand, 0, 1),
                         BPF_STMT(BPF_RET | BPF_K, 1), BPF_STMT(BPF_RET | BPF_K, 0)}),
              row.taken ? 1u : 0u)
        << row.operation << " " << row.operand;
  }
  EXPECT_EQ(VerdictOf({BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1),
                       BPF_STMT(BPF_RET | BPF_K, 2)}),
            2u);
}

TEST(BpfEvaluator, CalculatesAndRemembers) {
  EXPECT_EQ(VerdictOf({BPF_STMT(BPF_LD | BPF_IMM, 0xF7), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x3C),
                       BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 0),
                       BPF_STMT(BPF_LD | BPF_MEM, 15), BPF_STMT(BPF_RET | BPF_A, 0)}),
            0x34u);
  EXPECT_EQ(VerdictOf({BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                       BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0),
                       BPF_STMT(BPF_RET | BPF_A, 0)}),
            6u);
}

TEST(BpfEvaluator, AProgramTheKernelWouldRefuseHasNoVerdict) {
  const struct {
    const char* label;
    std::vector<sock_filter> program;
  } rows[] = {
      {"empty", {}},
      {"no return", {BPF_STMT(BPF_LD | BPF_IMM, 1)}},
      {"a load behind the structure",
       {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(seccomp_data)), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"a load across two words",
       {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"a load of one octet",
       {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"a jump over the end", {BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"memory that is not there", {BPF_STMT(BPF_ST, 16), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"a division by nothing",
       {BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)}},
      {"no such arithmetic", {BPF_STMT(BPF_ALU | 0xF0, 0), BPF_STMT(BPF_RET | BPF_K, 1)}},
  };
  for (const auto& row : rows) EXPECT_EQ(VerdictOf(row.program), std::nullopt) << row.label;
  EXPECT_EQ(BpfEvaluator("abc").Verdict({}), std::nullopt) << "part of an instruction";
}

// The evaluator agrees with what libseccomp was asked for.
TEST(BpfEvaluator, ReadsWhatLibseccompWrites) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
  ASSERT_EQ(seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 0), 0);
  ASSERT_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO(13), SCMP_SYS(openat), 0), 0);
  ASSERT_EQ(
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET)),
      0);
  const int memory = ::memfd_create("filter", MFD_CLOEXEC);
  ASSERT_EQ(seccomp_export_bpf(filter, memory), 0);
  seccomp_release(filter);
  std::string program(1u << 16, '\0');
  const ssize_t octets = ::pread(memory, program.data(), program.size(), 0);
  ASSERT_GT(octets, 0);
  ::close(memory);
  program.resize(static_cast<size_t>(octets));
  const BpfEvaluator evaluator(program);
  const auto verdict = [&](int call, uint64_t first = 0) {
    return evaluator.Verdict({.number = static_cast<uint32_t>(call), .arguments = {first}});
  };
  EXPECT_EQ(verdict(SCMP_SYS(read)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(SCMP_SYS(openat)), SECCOMP_RET_ERRNO | 13u);
  EXPECT_EQ(verdict(SCMP_SYS(write)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(verdict(SCMP_SYS(socket), AF_INET), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(SCMP_SYS(socket), AF_UNIX), SECCOMP_RET_KILL_PROCESS);
}

}  // namespace
}  // namespace postern::test
