#include "tests/testing/bpf_evaluator.h"

#include <linux/seccomp.h>

#include <cstring>

namespace postern::test {
namespace {

struct Machine {
  uint32_t a = 0;
  uint32_t x = 0;
  uint32_t memory[BPF_MEMWORDS] = {};
};

// False: no such operation, or a division by nothing.
bool Calculate(uint16_t operation, uint32_t operand, uint32_t& a) {
  switch (operation) {
    case BPF_ADD:
      a += operand;
      return true;
    case BPF_SUB:
      a -= operand;
      return true;
    case BPF_MUL:
      a *= operand;
      return true;
    case BPF_DIV:
      if (operand == 0) return false;
      a /= operand;
      return true;
    case BPF_AND:
      a &= operand;
      return true;
    case BPF_OR:
      a |= operand;
      return true;
    case BPF_XOR:
      a ^= operand;
      return true;
    case BPF_LSH:
      if (operand > 31) return false;
      a <<= operand;
      return true;
    case BPF_RSH:
      if (operand > 31) return false;
      a >>= operand;
      return true;
    case BPF_NEG:
      a = 0 - a;
      return true;
  }
  return false;
}

std::optional<bool> Compare(uint16_t operation, uint32_t a, uint32_t operand) {
  switch (operation) {
    case BPF_JEQ:
      return a == operand;
    case BPF_JGT:
      return a > operand;
    case BPF_JGE:
      return a >= operand;
    case BPF_JSET:
      return (a & operand) != 0;
  }
  return std::nullopt;
}

bool Load(const sock_filter& step, const seccomp_data& data, Machine& machine) {
  uint32_t& to = BPF_CLASS(step.code) == BPF_LD ? machine.a : machine.x;
  switch (BPF_MODE(step.code)) {
    case BPF_IMM:
      to = step.k;
      return true;
    case BPF_LEN:
      to = sizeof data;
      return true;
    case BPF_MEM:
      if (step.k >= BPF_MEMWORDS) return false;
      to = machine.memory[step.k];
      return true;
    case BPF_ABS:
      // The kernel takes aligned words of the structure and nothing else.
      if (BPF_CLASS(step.code) != BPF_LD || BPF_SIZE(step.code) != BPF_W) return false;
      if (step.k % 4 != 0 || step.k > sizeof data - sizeof to) return false;
      std::memcpy(&to, reinterpret_cast<const char*>(&data) + step.k, sizeof to);
      return true;
  }
  return false;
}

bool Store(const sock_filter& step, Machine& machine) {
  if (step.k >= BPF_MEMWORDS) return false;
  machine.memory[step.k] = BPF_CLASS(step.code) == BPF_ST ? machine.a : machine.x;
  return true;
}

// How far a jump goes beyond the next instruction.
std::optional<uint32_t> Jump(const sock_filter& step, const Machine& machine) {
  if (BPF_OP(step.code) == BPF_JA) return step.k;
  const uint32_t operand = BPF_SRC(step.code) == BPF_X ? machine.x : step.k;
  const std::optional<bool> taken = Compare(BPF_OP(step.code), machine.a, operand);
  if (!taken.has_value()) return std::nullopt;
  return *taken ? step.jt : step.jf;
}

}  // namespace

BpfEvaluator::BpfEvaluator(std::string_view program) {
  if (program.size() % sizeof(sock_filter) != 0) return;
  program_.resize(program.size() / sizeof(sock_filter));
  if (!program.empty()) std::memcpy(program_.data(), program.data(), program.size());
}

std::optional<uint32_t> BpfEvaluator::Verdict(const SystemCall& call) const {
  seccomp_data data{};
  data.nr = static_cast<int>(call.number);
  data.arch = call.architecture;
  for (size_t i = 0; i < call.arguments.size(); ++i) data.args[i] = call.arguments[i];
  Machine machine;
  // Jumps go forwards only, so this ends.
  for (size_t at = 0; at < program_.size(); ++at) {
    const sock_filter& step = program_[at];
    bool known = true;
    switch (BPF_CLASS(step.code)) {
      case BPF_RET:
        return BPF_RVAL(step.code) == BPF_A ? machine.a : step.k;
      case BPF_LD:
      case BPF_LDX:
        known = Load(step, data, machine);
        break;
      case BPF_ST:
      case BPF_STX:
        known = Store(step, machine);
        break;
      case BPF_ALU:
        known = Calculate(BPF_OP(step.code), BPF_SRC(step.code) == BPF_X ? machine.x : step.k,
                          machine.a);
        break;
      case BPF_JMP: {
        const std::optional<uint32_t> over = Jump(step, machine);
        known = over.has_value();
        at += over.value_or(0);
        break;
      }
      case BPF_MISC:
        if (BPF_MISCOP(step.code) == BPF_TAX)
          machine.x = machine.a;
        else
          machine.a = machine.x;
        break;
    }
    if (!known) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace postern::test
