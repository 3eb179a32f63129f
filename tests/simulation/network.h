// tests/simulation/network.h — the hosts that mail goes to: each speaks SMTP over a stream in
// memory, and is well, away, silent or moody as time goes by.
#pragma once

#include <memory>
#include <string>

#include "common/io/scope.h"
#include "daemons/smtpc/connection.h"
#include "tests/simulation/record.h"
#include "tests/testing/memory_stream.h"

namespace postern::simulation {

// The life of the mail server that a connection belongs to: what it hears or says afterwards never
// happened.
struct Alive {
  bool now = true;
};

class Network {
 public:
  static constexpr uint64_t kHosts = 6;  // h0.example.net ...
  // How long one mood of a host lasts.
  static constexpr int64_t kMoodUs = 17LL * 60 * 1'000'000;
  static constexpr size_t kMoods = 64;

  Network(Chance& chance, Record& record);
  ~Network();

  // From then on every host is well.
  void set_calm_from(int64_t now_us) { calm_from_us_ = now_us; }

  // kUnavailable: nobody there. The connection has not been greeted yet.
  io::Task<absl::StatusOr<std::unique_ptr<smtpc::Connection>>> Connect(
      io::Loop& loop, std::string domain, std::shared_ptr<Alive> client);
  // Ends what connections are left.
  io::Task<void> Close();

 private:
  enum class Mood : uint8_t { kWell, kAway, kSilent, kBusy, kMoody };
  struct Server;

  Mood MoodOf(uint64_t host, int64_t now_us) const;
  io::Task<void> Serve(std::unique_ptr<Server> server);

  Chance& chance_;
  Record& record_;
  int64_t calm_from_us_ = INT64_MAX;
  Mood moods_[kHosts][kMoods];
  io::TaskScope servers_;
};

}  // namespace postern::simulation
