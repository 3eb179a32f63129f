// tests/simulation/record.h — what really happened in a simulated run, kept outside of the queue:
// what it promised, what arrived, who was told. The promises are checked against it.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace postern::simulation {

// All chance of a run comes from here, so that a seed is a run. The standard's engine, and our own
// way of drawing: distributions differ between libraries.
class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  // 0 <= result < below.
  uint64_t Below(uint64_t below) { return engine_() % below; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

struct Letter {
  std::string sender;
  std::vector<std::string> recipients;
  std::string content;
  int64_t accepted_us = -1;  // monotonic; negative: no 250 was ever said
  // Something happened after which a second copy is nobody's fault: a crash, a reply that was lost.
  bool excused = false;
  std::map<std::string, int> delivered;  // by recipient
  std::set<std::string> refused;         // 5yz said by a server
  std::map<std::string, int64_t> told;   // failure notices: when, monotonic
};

class Record {
 public:
  std::map<uint64_t, Letter> letters;
  // A number that differs when anything happened differently.
  void Note(int64_t now_us, std::string_view what, uint64_t id, std::string_view whom = {}) {
    const std::string line = StrCat(now_us, " ", what, " ", id, " ", whom, "\n");
    for (const char c : line) trace_ = (trace_ ^ static_cast<uint8_t>(c)) * 0x100000001B3;
    ++events_;
  }
  uint64_t trace() const { return trace_; }
  uint64_t events() const { return events_; }

  // A delivery of what is no letter, or not as it was written.
  void Complain(std::string what) { complaints_.push_back(std::move(what)); }
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  uint64_t trace_ = 0xCBF29CE484222325;  // FNV-1a
  uint64_t events_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace postern::simulation
