// daemons/qmgr/store.h — the durable half of the queue: an append-only log in segments, committed
// in groups (architecture, the queue; FORMAT.md).
//
// One writer task puts everything that was appended while the last batch was under way into the
// next: one write and one fdatasync for all of it. A failed write or sync is final for its segment:
// nothing of that batch is acknowledged, the segment is sealed, and the log goes on in a new one.
// (After a failed fsync the kernel takes the lost pages for clean: the next fsync says yes, and the
// page cache shows what no disk holds.)
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/io/event.h"
#include "common/io/task.h"
#include "daemons/qmgr/disk.h"
#include "daemons/qmgr/records.h"

namespace postern::qmgr {

// Where a record lies.
struct Location {
  uint64_t segment = 0;  // 0: nowhere
  uint32_t offset = 0;
  uint32_t octets = 0;
};

struct StoreOptions {
  uint64_t segment_octets = 64u << 20;
  uint64_t reserve_octets = 64u << 20;  // free space kept for what is not new mail
};

// A message that a start found alive, with all later records applied. The headers put in front stay
// in the log: a start with a million messages has no room for them.
struct RecoveredMessage {
  uint64_t queue_id = 0;
  MessageRecord record;
  Location where;
  Location last_attempt;
};

struct RecoveryReport {
  uint64_t segments = 0;
  uint64_t records = 0;
  uint64_t messages = 0;
  // Segments that are there and could not be read: what they hold is not known, so no content may
  // be taken for an orphan.
  uint64_t unreadable = 0;
  std::vector<std::string> remarks;  // torn tails, foreign files, damage: what was done about it
};

struct LoadedMessage {
  MessageRecord record;
  std::string content;  // empty when record.in_file
};

class Store {
 public:
  // What one batch may hold: bounds the time to the next commit.
  static constexpr size_t kMaxBatchOctets = 8u << 20;
  // How long records that nobody waits for (attempts, removals) may stay unsynced.
  static constexpr absl::Duration kLazyDelay = absl::Milliseconds(200);

  // `disk` must outlive the store.
  Store(Disk& disk, const StoreOptions& options) : disk_(disk), options_(options) {}

  // Reads the log and gives every message that is alive to `visit`, in order of queue id. Errors:
  // kFailedPrecondition for a spool this program must not touch (a newer format); I/O errors.
  io::Task<absl::StatusOr<RecoveryReport>> Open(std::function<void(RecoveredMessage&&)> visit);

  // The writer: runs until stopped, then commits what is there. An error if even a fresh segment
  // did not take it.
  io::Task<absl::Status> Run();

  // Appends a message and waits until it is durable.
  // Errors: kResourceExhausted  no room for new mail
  //         kInvalidArgument    larger than a record may be
  //         kUnavailable        the writer has ended
  //         others              the write failed
  // The message is not in the queue then, now or after a restart: should its bytes have reached the
  // disk, a removal follows them. kCopy: the message stays where it was (it is copied forward, to
  // free its old segment).
  enum class Why { kNewMail, kCopy };
  io::Task<absl::StatusOr<Location>> Commit(uint64_t queue_id, std::string body,
                                            std::string content, Why why);

  // Appends a record about a message, of at most kMaxBodyOctets (CHECK). It becomes durable with
  // the next batch, at the latest after kLazyDelay. Survives the failure of a batch: it is appended
  // again.
  void Append(RecordType type, uint64_t queue_id, std::string body);
  template <class Body>
  void Append(RecordType type, uint64_t queue_id, const Body& body) {
    std::string encoded;
    CHECK(ipc::Encode(body, encoded));
    Append(type, queue_id, std::move(encoded));
  }
  // Waits until everything appended so far is durable.
  io::Task<absl::Status> Flush();

  io::Task<absl::StatusOr<LoadedMessage>> Load(uint64_t queue_id, Location where);
  io::Task<absl::StatusOr<AttemptRecord>> LoadAttempt(uint64_t queue_id, Location where);
  // Where the last kAttempt record of a message was written; told by the writer.
  void OnAttemptWritten(std::function<void(uint64_t queue_id, Location where)> callback) {
    attempt_written_ = std::move(callback);
  }

  // The message at `where` is no longer alive: its segment may become free.
  void Forget(Location where);

  // The segment whose messages are to be copied forward: one that is not to be relied on, or the
  // oldest, if so little of it is alive that copying that pays; 0: none.
  uint64_t SegmentToEmpty() const;

  // Whether new mail of that size should be refused for want of room (asked of the disk at most
  // once a second). Room in the current segment counts.
  bool HasRoomFor(uint64_t octets);

  struct Counters {
    uint64_t commits = 0;  // fdatasync calls for batches
    uint64_t records = 0;
    uint64_t octets = 0;
    uint64_t failures = 0;
  };
  const Counters& counters() const { return counters_; }
  size_t segment_count() const { return segments_.size(); }

 private:
  struct Segment {
    std::shared_ptr<DiskFile> file;  // shared with reads under way, which may outlast the segment
    uint64_t octets = 0;             // of the file
    uint64_t used = 0;
    uint64_t live_octets = 0;
    uint64_t live_messages = 0;
    bool sealed = false;
    bool doubtful = false;  // holds copies that may never have reached the disk
  };
  struct Waiter {
    io::Event done;
    absl::Status status;
    Location where;
  };
  struct Pending {
    RecordType type;
    uint64_t queue_id;
    std::string body;
    std::string content;
    Waiter* waiter = nullptr;  // kMessage: who waits; nullptr otherwise
    Why why = Why::kNewMail;
  };
  struct Written {
    RecordType type;
    uint64_t queue_id;
    Location where;
  };

  static std::string SegmentName(uint64_t number);

  // Recovery (store_recovery.cc).
  class Recovery;

  // The writer.
  io::Task<absl::Status> Write();
  io::Task<absl::Status> CommitBatch();
  io::Task<absl::Status> MakeRoom(size_t octets, bool new_mail);
  io::Task<absl::Status> Seal();
  io::Task<absl::Status> NewSegment(uint64_t octets);
  std::vector<Pending> TakeBatch();
  void BatchWritten(std::vector<Pending>& batch, const std::vector<Written>& written);
  // Whether bytes of the batch may have reached the disk all the same.
  enum class Traces { kNone, kMayBe };
  void BatchFailed(std::vector<Pending>& batch, const absl::Status& why, Traces traces);
  void RefuseMessages(std::vector<Pending>& batch, const absl::Status& why);
  io::Task<void> RemoveDeadSegments();
  io::Task<absl::StatusOr<std::string>> ReadRecord(Location where, RecordType type,
                                                   uint64_t queue_id, RecordHeader& header);

  Disk& disk_;
  const StoreOptions options_;
  std::map<uint64_t, Segment> segments_;
  uint64_t current_ = 0;  // number of the segment written to; 0: none
  uint64_t next_number_ = 1;
  std::set<uint64_t> taken_numbers_;  // of files that are no segments of ours
  uint64_t next_sequence_ = 1;
  std::string index_;  // header and body of each record of the current segment

  std::deque<Pending> pending_;
  size_t pending_octets_ = 0;
  size_t urgent_ = 0;  // those in pending_ that somebody waits for
  io::Event work_;
  io::Event committed_;    // woken after every batch
  uint64_t appended_ = 0;  // Append calls so far, and those of them durable
  uint64_t durable_ = 0;
  absl::Status last_failure_;
  bool ended_ = false;             // the writer, for good
  bool removal_unsynced_ = false;  // a segment was unlinked and its directory not synced

  std::function<void(uint64_t, Location)> attempt_written_;
  int64_t room_checked_ns_ = 0;
  uint64_t free_octets_ = 0;
  Counters counters_;
};

}  // namespace postern::qmgr
