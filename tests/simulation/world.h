// tests/simulation/world.h — a mail server's queue, from its first letter to its last, in a world
// of trouble, in no time: the store and the scheduler as they are, smtpc's dialogue as it is, on a
// clock that jumps, a disk that fails and forgets, and hosts with moods. One seed is one run.
//
// What must hold in the end, whatever happened: each letter that was acknowledged was delivered, as
// written, to each recipient, or its sender was told; to nobody else, and twice only with an
// excuse; nobody was told before its time that a letter is too old; and nothing is left.
#pragma once

#include <memory>
#include <string>

#include "daemons/qmgr/queue.h"
#include "tests/daemons/qmgr/faulty_disk.h"
#include "tests/simulation/network.h"
#include "tests/simulation/record.h"
#include "tests/testing/fake_loop.h"

namespace postern::simulation {

struct Outcome {
  std::string broken;  // the first promise that did not hold; empty: all held
  uint64_t trace = 0;  // equal for equal runs
  uint64_t events = 0;
  size_t letters = 0;
  size_t crashes = 0;
};

class World {
 public:
  static constexpr absl::Duration kWeather = absl::Hours(6);   // trouble, and letters
  static constexpr absl::Duration kLifetime = absl::Hours(5);  // of a letter in the queue
  static constexpr size_t kMaxJobs = 20;                       // at once

  explicit World(uint64_t seed);
  Outcome Run();

 private:
  struct Life;

  io::Task<absl::Status> RunAll();
  io::Task<absl::Status> RunLife(Life& life, io::Deadline until);
  static void ReleaseHeld(Life& life);
  io::Task<absl::Status> Submit(Life& life);
  io::Task<absl::Status> GiveOut(Life& life);
  io::Task<void> Deliver(Life& life, qmgr::Job job);
  io::Task<absl::Status> Trouble(Life& life);
  io::Task<bool> Tell(Life& life, uint64_t id, qmgr::NoticeWish& wish);
  void PlanCrash(Life& life);
  std::string WhatIsBroken() const;

  const config::Settings settings_;
  Chance chance_;
  Record record_;
  test::FakeLoop fake_;
  Network network_;
  std::unique_ptr<qmgr::FaultyDisk> disk_;  // what the next life finds
  io::Deadline weather_until_;
  bool wall_jumped_ = false;
  bool calm_ = false;
  size_t crashes_ = 0;
  uint16_t next_letter_ = 0;
  std::string left_over_;
};

}  // namespace postern::simulation
