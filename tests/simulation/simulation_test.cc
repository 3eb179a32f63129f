#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/log/log.h"
#include "tests/simulation/world.h"

namespace postern::simulation {
namespace {

// POSTERN_SEED=N runs one seed and prints its log; POSTERN_SEEDS=N runs so many.
constexpr uint64_t kSeeds = 100;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}

class Simulation : public ::testing::Test {
 protected:
  // Thousands of lines a seed, of no use to anybody but who looks at one.
  log::ScopedCapture log_{log::Format::kPlain, FromEnvironment("POSTERN_SEED", 0) != 0
                                                   ? log::Severity::kDebug
                                                   : log::Severity::kCritical};
};

TEST_F(Simulation, NothingAcknowledgedIsEverLost) {
  const uint64_t only = FromEnvironment("POSTERN_SEED", 0);
  const uint64_t first = only != 0 ? only : 1;
  const uint64_t seeds = only != 0 ? 1 : FromEnvironment("POSTERN_SEEDS", kSeeds);
  size_t letters = 0;
  size_t crashes = 0;
  uint64_t events = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const Outcome outcome = World(seed).Run();
    EXPECT_EQ(outcome.broken, "") << "POSTERN_SEED=" << seed;
    if (only != 0) {
      for (const std::string& line : log_.lines()) std::printf("%s\n", line.c_str());
    }
    letters += outcome.letters;
    crashes += outcome.crashes;
    events += outcome.events;
  }
  std::printf("%llu seeds: %zu letters, %zu crashes, %llu events\n",
              static_cast<unsigned long long>(seeds), letters, crashes,
              static_cast<unsigned long long>(events));
  EXPECT_GT(letters, seeds * 10);
  if (only == 0) EXPECT_GT(crashes, seeds / 2);
}

TEST_F(Simulation, ASeedIsARun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Outcome once = World(seed).Run();
    const Outcome again = World(seed).Run();
    EXPECT_EQ(once.trace, again.trace) << "POSTERN_SEED=" << seed;
    EXPECT_NE(once.trace, World(seed + 1000).Run().trace);
  }
}

}  // namespace
}  // namespace postern::simulation
