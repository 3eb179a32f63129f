// Prints what one event costs: formatting alone, and with the write to /dev/null. Not a test.
#include <fcntl.h>

#include <chrono>
#include <cstdio>

#include "common/log/log.h"

namespace {

using namespace postern;

void Measure(const char* label, log::Format format) {
  log::Init({.format = format,
             .fd = UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
             .daemon = "smtpd",
             .index = 0});
  constexpr int kEvents = 1'000'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kEvents; ++i) {
    log::Event(log::Severity::kInfo, log::kMessageQueued)
        .Id(QueueId(static_cast<uint64_t>(i)))
        .Str("from", "sender@example.org")
        .Str("client", "192.0.2.1:52814")
        .Int("size", 5120)
        .Int("recipients", 1)
        .Ms("took", absl::Microseconds(i));
    if (i % 32 == 0) log::Flush();
  }
  log::Flush();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("%s: %.0f ns an event\n", label, took.count() / kEvents);
}

}  // namespace

int main() {
  Measure("plain", log::Format::kPlain);
  Measure("json", log::Format::kJson);
  return 0;
}
