// daemons/locald/pool.h — the `deliver` processes, one an account, kept while they have work.
//
// Several messages are under way at one process at a time, so that it can share its syncs among
// them; how many is bounded in number (the edge's max_open) and in octets, and the rest wait here.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/ipc/protocol/locald_deliver.h"

namespace postern::locald {

// Where processes come from: master.
class Starter {
 public:
  virtual ~Starter() = default;
  // Our end of the edge to a fresh process that runs as `user`.
  virtual io::Task<absl::StatusOr<UniqueFd>> Start(const std::string& user, io::Deadline until) = 0;
  virtual size_t max_processes() const = 0;
};

class Pool {
 public:
  // How long a process without work is kept.
  static constexpr absl::Duration kIdle = absl::Seconds(30);
  // Content under way at one process. What comes by descriptor is read in pieces there and counts
  // as kDescriptorOctets.
  static constexpr size_t kMaxOctetsUnderWay = 8u << 20;
  static constexpr size_t kDescriptorOctets = 512u << 10;
  static_assert(kMaxOctetsUnderWay >= protocol::kMaxInlineContent + kDescriptorOctets,
                "every message must have room in an empty process");

  // Both must outlive the pool.
  Pool(io::Loop& loop, Starter& starter) : loop_(loop), starter_(starter) {}

  // Has `user`'s process store a message, by `until`. Trouble of any kind is an outcome of
  // kDeferred: 4.4.7 when time ran out, 4.3.0 when there is no process or it died. `order` must
  // stay valid; `descriptor` is of content that does not come inline.
  io::Task<protocol::mailbox::Delivered> Deliver(const std::string& user,
                                                 const protocol::mailbox::Deliver& order,
                                                 UniqueFd descriptor, io::Deadline until);
  // Closes processes that were idle for kIdle, until stopped.
  io::Task<absl::Status> CloseIdle();
  // Closes those without work since `moment`.
  void CloseIdleSince(io::Deadline moment);
  // No process gets another message; each ends once it has answered for what it has. For accounts
  // and mailboxes that may be others from now on.
  void Retire();
  // Closes all and waits.
  io::Task<void> Close();
  size_t processes() const { return processes_.size(); }

 private:
  struct Waiting;
  struct Process;
  io::Task<absl::StatusOr<std::shared_ptr<Process>>> Get(const std::string& user, size_t octets,
                                                         io::Deadline until);
  io::Task<absl::Status> Start(std::string user, io::Deadline until);
  io::Task<absl::Status> Run(std::shared_ptr<Process> process);
  bool CloseOneIdle();

  io::Loop& loop_;
  Starter& starter_;
  std::map<std::string, std::shared_ptr<Process>> processes_;  // by user
  io::TaskScope running_;
  io::Event changed_;  // there may be room for a process
};

}  // namespace postern::locald
