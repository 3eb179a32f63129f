#include "daemons/qmgr/store.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include "common/io/loop.h"

namespace postern::qmgr {
namespace {

// A segment for records about old mail when there is no room for new mail.
constexpr uint64_t kSmallSegmentOctets = 1u << 20;
// An index larger than this share of its segment saves nothing.
constexpr uint64_t kIndexShare = 4;
// Below this share of live octets the oldest segment is copied forward, if there are more than so
// many.
constexpr uint64_t kLiveShare = 4;
constexpr size_t kSegmentsBeforeCopying = 4;
// The longest wait between two questions about free space.
constexpr int64_t kRoomCheckNanoseconds = 1'000'000'000;
// What a segment's name has room for.
constexpr uint64_t kLastNumber = 999'999'999'999;
// After a failed batch the next is tried after a pause, not in a tight loop.
constexpr absl::Duration kFailurePause = absl::Milliseconds(100);

size_t OctetsOf(size_t body, size_t content) {
  return RecordHeader{.body_octets = static_cast<uint32_t>(body),
                      .content_octets = static_cast<uint32_t>(content)}
      .total();
}

uint64_t RoundUp(uint64_t octets) {
  return (octets + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

}  // namespace

std::string Store::SegmentName(uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "log/%012llu.seg", static_cast<unsigned long long>(number));
  return name;
}

io::Task<absl::StatusOr<Location>> Store::Commit(uint64_t queue_id, std::string body,
                                                 std::string content, Why why) {
  if (body.size() > kMaxBodyOctets || content.size() > kMaxBodyOctets)
    co_return InvalidArgument("the message is larger than a record may be");
  if (ended_) co_return Unavailable("the queue is closed");
  Waiter waiter;
  pending_octets_ += OctetsOf(body.size(), content.size());
  pending_.push_back(
      {RecordType::kMessage, queue_id, std::move(body), std::move(content), &waiter, why});
  ++urgent_;
  work_.Set();
  // Not to be cut short: the record is on its way, and its end must be known.
  while (!waiter.done.is_set()) {
    IgnoreStatus(co_await waiter.done.Wait(io::Deadline::Never()), "the writer always answers");
    if (waiter.done.is_set()) break;
    co_await io::YieldTurn();
  }
  if (!waiter.status.ok()) co_return waiter.status;
  co_return waiter.where;
}

void Store::Append(RecordType type, uint64_t queue_id, std::string body) {
  CHECK(body.size() <= kMaxBodyOctets);
  pending_octets_ += OctetsOf(body.size(), 0);
  pending_.push_back({type, queue_id, std::move(body), {}, nullptr, Why::kNewMail});
  ++appended_;
  work_.Set();
}

io::Task<absl::Status> Store::Flush() {
  const uint64_t goal = appended_;
  const uint64_t failures = counters_.failures;
  ++urgent_;
  work_.Set();
  while (durable_ < goal && counters_.failures == failures) {
    if (ended_) co_return Unavailable("the queue is closed");
    CO_RETURN_IF_ERROR(co_await committed_.Wait(io::Deadline::Never()));
  }
  co_return durable_ >= goal ? absl::OkStatus() : last_failure_;
}

io::Task<absl::Status> Store::Run() {
  const absl::Status ended = co_await Write();
  // Whoever still waits must not wait for ever.
  ended_ = true;
  std::vector<Pending> rest;
  std::move(pending_.begin(), pending_.end(), std::back_inserter(rest));
  pending_.clear();
  RefuseMessages(rest, ended.ok() ? Unavailable("the queue is closed") : ended);
  committed_.Wake();
  co_return ended;
}

io::Task<absl::Status> Store::Write() {
  io::Loop& loop = io::Loop::Current();
  bool stopping = false;
  int failures_at_stop = 0;
  for (;;) {
    if (pending_.empty()) {
      if (stopping) co_return absl::OkStatus();
      work_.Reset();
      urgent_ = 0;
      stopping = !(co_await work_.Wait(io::Deadline::Never())).ok();
      continue;
    }
    if (urgent_ == 0 && !stopping) {
      // Only records that nobody waits for: give others the time to join.
      const io::Deadline until = loop.After(kLazyDelay);
      while (urgent_ == 0 && !stopping) {
        work_.Reset();
        const absl::Status woken = co_await work_.Wait(until);
        if (absl::IsDeadlineExceeded(woken)) break;
        stopping = !woken.ok();
      }
    }
    const absl::Status committed = co_await CommitBatch();
    // Once more, in a fresh segment; not for ever.
    if (!committed.ok() && stopping && ++failures_at_stop > 1) co_return committed;
    if (!committed.ok() && !stopping)
      stopping = !(co_await io::Sleep(loop.After(kFailurePause))).ok();
    co_await RemoveDeadSegments();
  }
}

// As much as fits one batch; a first record larger than that goes alone.
std::vector<Store::Pending> Store::TakeBatch() {
  std::vector<Pending> batch;
  size_t octets = 0;
  while (!pending_.empty()) {
    const size_t next = OctetsOf(pending_.front().body.size(), pending_.front().content.size());
    if (!batch.empty() && octets + next > kMaxBatchOctets) break;
    octets += next;
    pending_octets_ -= next;
    batch.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  if (pending_.empty()) urgent_ = 0;
  return batch;
}

io::Task<absl::Status> Store::CommitBatch() {
  std::vector<Pending> batch = TakeBatch();
  size_t octets = 0;
  bool new_mail = false;
  const auto measure = [&] {
    octets = 0;
    new_mail = false;
    for (const Pending& item : batch) {
      octets += OctetsOf(item.body.size(), item.content.size());
      new_mail = new_mail || item.type == RecordType::kMessage;
    }
  };
  measure();
  absl::Status status = co_await MakeRoom(octets, new_mail);
  if (absl::IsResourceExhausted(status) && new_mail) {
    // What became of old mail must not wait until there is room for new.
    RefuseMessages(batch, status);
    measure();
    if (batch.empty()) co_return absl::OkStatus();
    status = co_await MakeRoom(octets, false);
  }
  if (!status.ok()) {
    BatchFailed(batch, status, Traces::kNone);
    co_return status;
  }
  Segment& segment = segments_[current_];
  std::string bytes;
  bytes.reserve(octets);
  std::vector<Written> written;
  const uint64_t start = segment.used;
  for (const Pending& item : batch) {
    const size_t at = bytes.size();
    // Commit and Append have looked at the sizes.
    CHECK(AppendRecord(bytes, current_, item.type, next_sequence_++, item.queue_id,
                       std::string_view(item.body), item.content));
    if (index_.size() <= options_.segment_octets / kIndexShare) {
      index_.append(bytes, at, kRecordHeaderOctets + item.body.size());
    }
    written.push_back({item.type, item.queue_id,
                       Location{.segment = current_,
                                .offset = static_cast<uint32_t>(start + at),
                                .octets = static_cast<uint32_t>(bytes.size() - at)}});
  }
  status = co_await segment.file->WriteAndSync(bytes, start);
  ++counters_.commits;
  if (!status.ok()) {
    BatchFailed(batch, status, Traces::kMayBe);
    co_return status;
  }
  segment.used += bytes.size();
  counters_.octets += bytes.size();
  BatchWritten(batch, written);
  co_return absl::OkStatus();
}

void Store::BatchWritten(std::vector<Pending>& batch, const std::vector<Written>& written) {
  Segment& segment = segments_[current_];
  for (size_t i = 0; i < batch.size(); ++i) {
    const Written& record = written[i];
    ++counters_.records;
    if (batch[i].waiter != nullptr) {
      segment.live_octets += record.where.octets;
      ++segment.live_messages;
      batch[i].waiter->where = record.where;
      batch[i].waiter->done.Set();
    } else {
      ++durable_;
      if (record.type == RecordType::kAttempt && attempt_written_) {
        attempt_written_(record.queue_id, record.where);
      }
    }
  }
  committed_.Wake();
}

// Takes the messages out of a batch that was not written, and tells those who wait for them.
void Store::RefuseMessages(std::vector<Pending>& batch, const absl::Status& why) {
  std::erase_if(batch, [&](Pending& item) {
    if (item.waiter == nullptr) return false;
    item.waiter->status = why;
    item.waiter->done.Set();
    return true;
  });
}

// Nothing of the batch counts, and its segment is given up. Messages were not acknowledged, and are
// taken back in case their bytes reached the disk all the same; other records are tried again.
void Store::BatchFailed(std::vector<Pending>& batch, const absl::Status& why, Traces traces) {
  ++counters_.failures;
  last_failure_ = why;
  if (current_ != 0) {
    segments_[current_].sealed = true;
    current_ = 0;
  }
  std::deque<Pending> again;
  for (Pending& item : batch) {
    if (item.waiter == nullptr) {
      again.push_back(std::move(item));
    } else if (traces == Traces::kMayBe && item.why != Why::kCopy) {
      ++appended_;
      again.push_back({RecordType::kRemove, item.queue_id, {}, {}, nullptr, Why::kNewMail});
    }
  }
  RefuseMessages(batch, why);
  for (auto item = again.rbegin(); item != again.rend(); ++item) {
    pending_octets_ += OctetsOf(item->body.size(), 0);
    pending_.push_front(std::move(*item));
  }
  committed_.Wake();
}

// Sees to it that the current segment has room for `octets`.
io::Task<absl::Status> Store::MakeRoom(size_t octets, bool new_mail) {
  if (current_ != 0) {
    const Segment& segment = segments_[current_];
    if (segment.used + octets + index_.size() + 2 * kRecordHeaderOctets <= segment.octets) {
      co_return absl::OkStatus();
    }
    IgnoreStatus(co_await Seal(), "a segment without an index is scanned");
  }
  uint64_t size =
      RoundUp(std::max<uint64_t>(options_.segment_octets, kSegmentHeaderOctets + octets + 4096));
  CO_ASSIGN_OR_RETURN(const uint64_t free, disk_.FreeOctets());
  if (free < options_.reserve_octets + size) {
    if (new_mail && free < options_.reserve_octets + kSmallSegmentOctets + octets) {
      co_return ResourceExhausted("the spool is full: ", free, " octets free, ",
                                  options_.reserve_octets,
                                  " are kept in reserve (queue.reserve_octets)");
    }
    size = kSegmentHeaderOctets + octets + kSmallSegmentOctets;
  }
  co_return co_await NewSegment(size);
}

io::Task<absl::Status> Store::NewSegment(uint64_t octets) {
  while (taken_numbers_.contains(next_number_)) ++next_number_;
  if (next_number_ > kLastNumber)
    co_return FailedPrecondition("there are no more numbers for queue segments");
  const uint64_t number = next_number_++;
  Segment segment;
  CO_ASSIGN_OR_RETURN(segment.file, co_await disk_.Create(SegmentName(number), octets));
  segment.octets = octets;
  segment.used = kSegmentHeaderOctets;
  const std::string header =
      EncodeSegmentHeader({.number = number, .first_sequence = next_sequence_});
  absl::Status status = co_await segment.file->WriteAndSync(header, 0);
  if (status.ok()) status = co_await disk_.SyncDirectory("log");
  if (!status.ok()) {
    IgnoreStatus(co_await disk_.Remove(SegmentName(number)), "the write's failure is what counts");
    co_return Annotate(status, "new queue segment ", number);
  }
  index_.clear();
  current_ = number;
  segments_[number] = std::move(segment);
  co_return absl::OkStatus();
}

// Ends the current segment with its index. Durable with nothing: without it the segment is scanned.
io::Task<absl::Status> Store::Seal() {
  Segment& segment = segments_[current_];
  segment.sealed = true;
  const uint64_t number = std::exchange(current_, 0);
  const std::string index = std::exchange(index_, {});
  if (index.size() > options_.segment_octets / kIndexShare) co_return absl::OkStatus();
  std::string bytes;
  if (!AppendRecord(bytes, number, RecordType::kSeal, next_sequence_++, segment.used,
                    std::string_view(index), {})) {
    co_return absl::OkStatus();
  }
  // At the very end, with the length last, so that a start finds it without reading the rest.
  if (segment.used + bytes.size() + sizeof(uint64_t) > segment.octets) co_return absl::OkStatus();
  std::string tail = bytes;
  AppendLittleEndian(tail, static_cast<uint64_t>(bytes.size()));
  co_return co_await segment.file->WriteAndSync(tail, segment.octets - tail.size());
}

void Store::Forget(Location where) {
  const auto found = segments_.find(where.segment);
  if (found == segments_.end()) return;
  Segment& segment = found->second;
  segment.live_octets -= std::min<uint64_t>(segment.live_octets, where.octets);
  if (segment.live_messages > 0) --segment.live_messages;
}

// Only from the old end, and each for good before the next goes: a removal in a younger segment may
// concern a message in an older one, which would be alive again if the power went and the older
// file came back alone. Nothing goes while a copy of what it held is doubtful.
io::Task<void> Store::RemoveDeadSegments() {
  for (;;) {
    if (removal_unsynced_) {
      if (!(co_await disk_.SyncDirectory("log")).ok()) co_return;
      removal_unsynced_ = false;
    }
    if (segments_.empty()) co_return;
    const auto& [number, oldest] = *segments_.begin();
    if (number == current_ || !oldest.sealed || oldest.live_messages > 0) co_return;
    for (const auto& [unused, segment] : segments_) {
      if (segment.doubtful && segment.live_messages > 0) co_return;
    }
    const absl::Status removed = co_await disk_.Remove(SegmentName(number));
    if (!removed.ok() && !absl::IsNotFound(removed)) co_return;
    segments_.erase(segments_.begin());
    removal_unsynced_ = true;
  }
}

uint64_t Store::SegmentToEmpty() const {
  for (const auto& [number, segment] : segments_) {
    if (segment.doubtful && segment.live_messages > 0) return number;
  }
  if (segments_.size() <= kSegmentsBeforeCopying) return 0;
  const auto& [number, oldest] = *segments_.begin();
  if (number == current_ || !oldest.sealed || oldest.live_messages == 0) return 0;
  uint64_t live = 0;
  uint64_t used = 0;
  for (const auto& [unused, segment] : segments_) {
    live += segment.live_octets;
    used += segment.used;
  }
  // Either it is nearly dead itself, or dead segments pile up behind it.
  const bool nearly_dead = oldest.live_octets * kLiveShare < oldest.used;
  const bool piled_up = live * kLiveShare < used;
  return nearly_dead || piled_up ? number : 0;
}

bool Store::HasRoomFor(uint64_t octets) {
  const int64_t now = io::Loop::Current().Now().nanoseconds();
  if (room_checked_ns_ == 0 || now - room_checked_ns_ > kRoomCheckNanoseconds) {
    room_checked_ns_ = now;
    const absl::StatusOr<uint64_t> free = disk_.FreeOctets();
    free_octets_ = free.ok() ? *free : 0;
  }
  // As MakeRoom will see it: a fresh segment takes some room of its own.
  if (free_octets_ >= options_.reserve_octets + kSmallSegmentOctets + octets) return true;
  const auto current = segments_.find(current_);
  return current != segments_.end() &&
         current->second.used + octets + index_.size() + pending_octets_ + 4096 <=
             current->second.octets;
}

io::Task<absl::StatusOr<std::string>> Store::ReadRecord(Location where, RecordType type,
                                                        uint64_t queue_id, RecordHeader& header) {
  const auto found = segments_.find(where.segment);
  if (found == segments_.end()) co_return NotFound("the message's segment is gone");
  std::string bytes(where.octets, '\0');
  // The segment may be removed from the map while we wait; the descriptor must not.
  const std::shared_ptr<DiskFile> file = found->second.file;
  CO_ASSIGN_OR_RETURN(const size_t got,
                      co_await file->Read(bytes.data(), bytes.size(), where.offset));
  bytes.resize(got);
  const Parsed<RecordHeader> parsed = DecodeRecordHeader(bytes);
  if (!parsed.has_value() || parsed->type != type || parsed->queue_id != queue_id ||
      parsed->total() > bytes.size()) {
    co_return DataLoss("segment ", where.segment, " offset ", where.offset,
                       ": not the record that was written");
  }
  header = *parsed;
  const std::string_view body =
      std::string_view(bytes).substr(kRecordHeaderOctets, header.body_octets);
  const std::string_view content = std::string_view(bytes).substr(
      kRecordHeaderOctets + header.body_octets, header.content_octets);
  if (!CheckBody(header, where.segment, body) || !CheckContent(header, content)) {
    co_return DataLoss("segment ", where.segment, " offset ", where.offset, ": checksum mismatch");
  }
  co_return bytes;
}

io::Task<absl::StatusOr<LoadedMessage>> Store::Load(uint64_t queue_id, Location where) {
  RecordHeader header;
  CO_ASSIGN_OR_RETURN(const std::string bytes,
                      co_await ReadRecord(where, RecordType::kMessage, queue_id, header));
  const std::string_view body =
      std::string_view(bytes).substr(kRecordHeaderOctets, header.body_octets);
  Parsed<MessageRecord> record = ipc::Decode<MessageRecord>(body);
  if (!record.has_value()) co_return DataLoss("message record: ", record.error().reason);
  co_return LoadedMessage{
      .record = *std::move(record),
      .content = bytes.substr(kRecordHeaderOctets + header.body_octets, header.content_octets)};
}

io::Task<absl::StatusOr<AttemptRecord>> Store::LoadAttempt(uint64_t queue_id, Location where) {
  RecordHeader header;
  CO_ASSIGN_OR_RETURN(const std::string bytes,
                      co_await ReadRecord(where, RecordType::kAttempt, queue_id, header));
  Parsed<AttemptRecord> record = ipc::Decode<AttemptRecord>(
      std::string_view(bytes).substr(kRecordHeaderOctets, header.body_octets));
  if (!record.has_value()) co_return DataLoss("attempt record: ", record.error().reason);
  co_return *std::move(record);
}

}  // namespace postern::qmgr
