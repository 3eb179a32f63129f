// tests/daemons/qmgr/store_testing.h — what the tests of the store share: messages by number, a
// store with its writer running, and what a start finds.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/io/scope.h"
#include "daemons/qmgr/store.h"
#include "tests/daemons/qmgr/faulty_disk.h"
#include "tests/testing/fake_loop.h"

namespace postern::qmgr {

// Small enough that a test goes through several segments.
inline constexpr StoreOptions kSmall{.segment_octets = 16u << 10, .reserve_octets = 1u << 20};

// On a loop whose time is not the clock's: pauses cost nothing.
inline void RunTask(io::Task<absl::Status> task) {
  const absl::Status ended = test::RunInFakeLoop(std::move(task));
  EXPECT_TRUE(ended.ok()) << ended;
}

inline RecipientRecord RecipientOf(std::string address) {
  RecipientRecord recipient;
  recipient.address = std::move(address);
  return recipient;
}

inline MessageRecord RecordOf(uint64_t id) {
  MessageRecord record;
  record.sender = "sender" + std::to_string(id) + "@example.org";
  record.arrival_us = static_cast<int64_t>(id);
  record.prepend = "Received: from " + std::to_string(id) + "\r\n";
  record.recipients = {RecipientOf("a@example.net"), RecipientOf("b@example.net")};
  return record;
}

template <class Record>
std::string Encoded(const Record& record) {
  std::string body;
  EXPECT_TRUE(ipc::Encode(record, body));
  return body;
}

inline std::string BodyOf(uint64_t id) { return Encoded(RecordOf(id)); }

inline std::string ContentOf(uint64_t id) {
  return "Subject: " + std::to_string(id) + "\r\n\r\n" +
         std::string(static_cast<size_t>(id * 97 % 700), 'x') + "\r\n";
}

struct Outcome {
  std::map<uint64_t, Location> acknowledged;
  std::set<uint64_t> refused;
  absl::Status why;  // of the last refusal
};

inline io::Task<absl::Status> CommitOne(Store& store, uint64_t id, Outcome& outcome) {
  const auto where = co_await store.Commit(id, BodyOf(id), ContentOf(id), Store::Why::kNewMail);
  if (where.ok()) {
    outcome.acknowledged[id] = *where;
  } else {
    outcome.refused.insert(id);
    outcome.why = where.status();
  }
  co_return absl::OkStatus();
}

inline io::Task<absl::Status> RunStore(Store& store) { co_return co_await store.Run(); }

// Opens a store on `disk`, runs `what(store)` with its writer, stops it: what it returned.
template <class What>
io::Task<absl::Status> WithStore(Disk& disk, What& what) {
  Store store(disk, kSmall);
  CO_RETURN_IF_ERROR((co_await store.Open([](RecoveredMessage&&) {})).status());
  io::TaskScope writer;
  writer.Spawn(RunStore(store));
  const absl::Status ended = co_await what(store);
  writer.RequestStop();
  co_await writer.Join();
  co_return ended;
}

// `count` messages, a few at a time.
inline io::Task<absl::Status> CommitMany(Store& store, uint64_t first, uint64_t count,
                                         Outcome& outcome) {
  for (uint64_t id = first; id < first + count;) {
    io::TaskScope group;
    for (int i = 0; i < 7 && id < first + count; ++i, ++id)
      group.Spawn(CommitOne(store, id, outcome));
    co_await group.Join();
  }
  co_return absl::OkStatus();
}

struct Found {
  std::map<uint64_t, RecoveredMessage> messages;
  std::map<uint64_t, std::string> contents;
  RecoveryReport report;
};

// What a start finds, and every content of it read back.
inline io::Task<absl::Status> RecoverInto(Disk& disk, Found& found) {
  Store store(disk, kSmall);
  auto report = co_await store.Open(
      [&](RecoveredMessage&& message) { found.messages[message.queue_id] = std::move(message); });
  CO_RETURN_IF_ERROR(report.status());
  found.report = *std::move(report);
  for (const auto& [id, message] : found.messages) {
    CO_ASSIGN_OR_RETURN(const LoadedMessage loaded, co_await store.Load(id, message.where));
    found.contents[id] = loaded.content;
  }
  co_return absl::OkStatus();
}

inline Found Recover(Disk& disk) {
  Found found;
  RunTask(RecoverInto(disk, found));
  return found;
}

// A segment file with whole records, as `number` has them.
class SegmentMaker {
 public:
  explicit SegmentMaker(uint64_t number, uint64_t first_sequence = 1)
      : number_(number), sequence_(first_sequence) {
    bytes_ = EncodeSegmentHeader({.number = number, .first_sequence = first_sequence});
  }
  SegmentMaker& Add(RecordType type, uint64_t id, std::string_view body,
                    std::string_view content = {}) {
    EXPECT_TRUE(AppendRecord(bytes_, number_, type, sequence_++, id, body, content));
    return *this;
  }
  SegmentMaker& Message(uint64_t id) {
    return Add(RecordType::kMessage, id, BodyOf(id), ContentOf(id));
  }
  // Zeros up to `octets`, as of a file allocated in advance.
  std::string Bytes(size_t octets = 0) const {
    std::string bytes = bytes_;
    if (octets > bytes.size()) bytes.resize(octets, '\0');
    return bytes;
  }
  std::string name() const {
    std::string digits = std::to_string(number_);
    return "log/" + std::string(12 - digits.size(), '0') + digits + ".seg";
  }

 private:
  const uint64_t number_;
  uint64_t sequence_;
  std::string bytes_;
};

}  // namespace postern::qmgr
