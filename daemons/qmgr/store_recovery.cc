// How the store reads its log at start: index by index where a segment was sealed, record by record
// where it was not, up to the first record that is not whole.
#include <algorithm>
#include <utility>

#include "common/base/bytes.h"
#include "daemons/qmgr/store.h"

namespace postern::qmgr {
namespace {

constexpr size_t kReadOctets = 1u << 20;
constexpr size_t kLookOctets = 64u << 10;
constexpr std::string_view kSegmentSuffix = ".seg";

// "000000000042.seg" -> 42; 0 if that is no segment's name.
uint64_t NumberOf(std::string_view name) {
  if (!name.ends_with(kSegmentSuffix)) return 0;
  name.remove_suffix(kSegmentSuffix.size());
  if (name.size() != 12) return 0;
  uint64_t number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

}  // namespace

class Store::Recovery {
 public:
  explicit Recovery(Store& store) : store_(store) {}

  io::Task<absl::Status> ReadAll();
  RecoveryReport& report() { return report_; }
  std::map<uint64_t, RecoveredMessage>& messages() { return messages_; }

 private:
  io::Task<absl::Status> ReadSegment(uint64_t number);
  io::Task<absl::Status> NoSegment(uint64_t number, DiskFile& file, std::string_view why);
  io::Task<bool> ReadIndex(uint64_t number, Segment& segment);
  // What of a segment was read: `bytes` begins at `offset` of the file.
  struct Window {
    std::string bytes;
    uint64_t offset = 0;
  };
  static io::Task<absl::Status> Fill(Segment& segment, Window& window, size_t octets);
  io::Task<absl::Status> Scan(uint64_t number, Segment& segment);
  io::Task<absl::Status> MakeDurable(Segment& segment, size_t last_record_octets);
  bool Apply(const RecordHeader& header, std::string_view body, Location where);
  void ApplyAttempt(RecoveredMessage& message, const AttemptRecord& attempt);

  Store& store_;
  RecoveryReport report_;
  bool copies_ = false;  // the segment being read holds copies of messages from older ones
  std::map<uint64_t, RecoveredMessage> messages_;
};

io::Task<absl::Status> Store::Recovery::ReadAll() {
  CO_ASSIGN_OR_RETURN(const std::vector<std::string> names, store_.disk_.List("log"));
  for (const std::string& name : names) {
    const uint64_t number = NumberOf(name);
    if (number == 0) {
      report_.remarks.push_back(StrCat("log/", name, ": not a segment of ours, left alone"));
      continue;
    }
    CO_RETURN_IF_ERROR(co_await ReadSegment(number));
  }
  if (!store_.segments_.empty()) store_.next_number_ = store_.segments_.rbegin()->first + 1;
  for (auto& [id, message] : messages_) {
    Segment& segment = store_.segments_[message.where.segment];
    segment.live_octets += message.where.octets;
    ++segment.live_messages;
  }
  report_.messages = messages_.size();
  co_return absl::OkStatus();
}

io::Task<absl::Status> Store::Recovery::ReadSegment(uint64_t number) {
  const std::string name = SegmentName(number);
  Segment segment;
  absl::StatusOr<std::unique_ptr<DiskFile>> file = co_await store_.disk_.Open(name);
  if (absl::IsInvalidArgument(file.status())) {
    // A directory, a link, a pipe under a segment's name: whoever put it there is to look at it.
    store_.taken_numbers_.insert(number);
    report_.remarks.push_back(StrCat(name, ": ", Message(file.status()), ", left alone"));
    co_return absl::OkStatus();
  }
  CO_RETURN_IF_ERROR(file.status());
  segment.file = *std::move(file);
  CO_ASSIGN_OR_RETURN(segment.octets, segment.file->Octets());
  std::string head(kSegmentHeaderOctets, '\0');
  CO_ASSIGN_OR_RETURN(const size_t got, co_await segment.file->Read(head.data(), head.size(), 0));
  head.resize(got);
  const Parsed<SegmentHeader> header = DecodeSegmentHeader(head);
  if (!header.has_value()) {
    // A newer version's mail must neither be lost nor guessed at.
    if (IsOfNewerFormat(head))
      co_return FailedPrecondition("queue segment ", name, ": ", header.error().reason);
    co_return co_await NoSegment(number, *segment.file, header.error().reason);
  }
  if (header->number != number) {
    store_.taken_numbers_.insert(number);
    ++report_.unreadable;
    report_.remarks.push_back(
        StrCat(name, ": says it is segment ", header->number, ", left alone"));
    co_return absl::OkStatus();
  }
  segment.sealed = true;
  segment.used = segment.octets;
  store_.next_sequence_ = std::max(store_.next_sequence_, header->first_sequence);
  ++report_.segments;
  if (!co_await ReadIndex(number, segment)) CO_RETURN_IF_ERROR(co_await Scan(number, segment));
  store_.segments_[number] = std::move(segment);
  co_return absl::OkStatus();
}

// A file under a segment's name without a segment's header. A header is durable before the first
// record follows it, so a file of nothing but zeros behind a header that was not finished is one
// that was made and never written to, and goes; whatever else it may be is left to people.
io::Task<absl::Status> Store::Recovery::NoSegment(uint64_t number, DiskFile& file,
                                                  std::string_view why) {
  const std::string name = SegmentName(number);
  std::string bytes(kLookOctets, '\0');
  bool empty = true;
  for (uint64_t offset = 0; empty;) {
    CO_ASSIGN_OR_RETURN(const size_t got, co_await file.Read(bytes.data(), bytes.size(), offset));
    if (got == 0) break;
    offset += got;
    std::string_view piece = std::string_view(bytes).substr(0, got);
    if (offset == got && BeginsAsASegment(piece))
      piece.remove_prefix(std::min(kSegmentHeaderOctets, piece.size()));
    empty = std::ranges::all_of(piece, [](char c) { return c == '\0'; });
  }
  absl::Status removed;
  if (empty) removed = co_await store_.disk_.Remove(name);
  if (empty && removed.ok()) {
    report_.remarks.push_back(StrCat(name, ": made but never written to, removed"));
    co_return absl::OkStatus();
  }
  store_.taken_numbers_.insert(number);
  if (!empty) ++report_.unreadable;
  report_.remarks.push_back(
      empty ? StrCat(name, ": made but never written to, and not removed: ", Message(removed))
            : StrCat(name, ": ", why, ", left alone"));
  co_return absl::OkStatus();
}

// False if there is none that is whole; then the segment is to be scanned, from its first record
// on, which makes good whatever half an index has led to here.
io::Task<bool> Store::Recovery::ReadIndex(uint64_t number, Segment& segment) {
  if (segment.octets < kSegmentHeaderOctets + kRecordHeaderOctets + 8) co_return false;
  char length_octets[8];
  const auto got = co_await segment.file->Read(length_octets, 8, segment.octets - 8);
  if (!got.ok() || *got != 8) co_return false;
  const auto length = LoadLittleEndian<uint64_t>(length_octets);
  if (length < kRecordHeaderOctets || length > segment.octets - 8) co_return false;
  std::string bytes(length, '\0');
  const auto read = co_await segment.file->Read(bytes.data(), length, segment.octets - 8 - length);
  if (!read.ok() || *read != length) co_return false;
  const Parsed<RecordHeader> seal = DecodeRecordHeader(bytes);
  if (!seal.has_value() || seal->type != RecordType::kSeal || seal->total() != length)
    co_return false;
  std::string_view index = std::string_view(bytes).substr(kRecordHeaderOctets, seal->body_octets);
  if (!CheckBody(*seal, number, index)) co_return false;
  uint64_t offset = kSegmentHeaderOctets;
  while (!index.empty()) {
    const Parsed<RecordHeader> header = DecodeRecordHeader(index);
    if (!header.has_value()) co_return false;
    const std::string_view body = index.substr(kRecordHeaderOctets, header->body_octets);
    if (!Apply(*header, body,
               {.segment = number,
                .offset = static_cast<uint32_t>(offset),
                .octets = static_cast<uint32_t>(header->total())})) {
      co_return false;
    }
    offset += header->total();
    index.remove_prefix(kRecordHeaderOctets + body.size());
  }
  segment.used = offset;
  co_return true;
}

// Sees to it that the window holds `octets`, as far as the file goes.
io::Task<absl::Status> Store::Recovery::Fill(Segment& segment, Window& window, size_t octets) {
  if (window.bytes.size() >= octets) co_return absl::OkStatus();
  const size_t had = window.bytes.size();
  const uint64_t left = segment.octets - std::min(segment.octets, window.offset);
  window.bytes.resize(std::max<size_t>(octets, std::min<uint64_t>(kReadOctets, left)));
  CO_ASSIGN_OR_RETURN(const size_t got,
                      co_await segment.file->Read(window.bytes.data() + had,
                                                  window.bytes.size() - had, window.offset + had));
  window.bytes.resize(had + got);
  co_return absl::OkStatus();
}

io::Task<absl::Status> Store::Recovery::Scan(uint64_t number, Segment& segment) {
  Window window{.bytes = {}, .offset = kSegmentHeaderOctets};
  size_t at = 0;  // within the window; what lies before is dropped before the next read
  size_t last_octets = 0;
  std::string why;
  copies_ = false;
  for (;;) {
    if (window.bytes.size() - at < kReadOctets / 2) {
      window.bytes.erase(0, at);
      window.offset += std::exchange(at, 0);
    }
    CO_RETURN_IF_ERROR(co_await Fill(segment, window, at + kRecordHeaderOctets));
    const std::string_view head = std::string_view(window.bytes).substr(at, kRecordHeaderOctets);
    const Parsed<RecordHeader> header = DecodeRecordHeader(head);
    if (!header.has_value()) {
      if (std::any_of(head.begin(), head.end(), [](char c) { return c != '\0'; })) {
        why = header.error().reason;
      }
      break;
    }
    if (header->type == RecordType::kSeal) break;
    const uint64_t offset = window.offset + at;
    if (header->total() > segment.octets - offset) {
      why = "a record longer than the segment";
      break;
    }
    CO_RETURN_IF_ERROR(co_await Fill(segment, window, at + header->total()));
    const std::string_view record = std::string_view(window.bytes).substr(at, header->total());
    const Location where{.segment = number,
                         .offset = static_cast<uint32_t>(offset),
                         .octets = static_cast<uint32_t>(header->total())};
    if (record.size() < header->total()) {
      why = "a record that is cut off";
      break;
    }
    const std::string_view body = record.substr(kRecordHeaderOctets, header->body_octets);
    if (!CheckBody(*header, number, body) ||
        !CheckContent(*header, record.substr(kRecordHeaderOctets + header->body_octets,
                                             header->content_octets))) {
      why = "a record that is not whole";
      break;
    }
    if (!Apply(*header, body, where)) {
      why = "a record that does not decode";
      break;
    }
    last_octets = header->total();
    at += last_octets;
  }
  segment.used = window.offset + at;
  if (copies_) {
    const absl::Status durable = co_await MakeDurable(segment, last_octets);
    segment.doubtful = !durable.ok();
    if (segment.doubtful) {
      report_.remarks.push_back(StrCat(SegmentName(number), ": cannot be made durable (",
                                       Message(durable),
                                       "), its messages are copied to another segment"));
    }
  }
  if (!why.empty()) {
    report_.remarks.push_back(StrCat(SegmentName(number), ": ends at octet ", segment.used, " (",
                                     why, "): what follows was never acknowledged"));
  }
  co_return absl::OkStatus();
}

// What was read may be in the page cache alone: the process died between a write and its sync, or
// the sync failed, after which the kernel takes the pages for clean. Written once more they are
// synced in earnest. Only the last batch can be in that state.
io::Task<absl::Status> Store::Recovery::MakeDurable(Segment& segment, size_t last_record_octets) {
  const uint64_t octets = std::min<uint64_t>(segment.used - kSegmentHeaderOctets,
                                             std::max(kMaxBatchOctets, last_record_octets));
  std::string bytes(octets, '\0');
  CO_ASSIGN_OR_RETURN(const size_t got, co_await segment.file->Read(bytes.data(), bytes.size(),
                                                                    segment.used - octets));
  if (got != octets) co_return DataLoss("it has become shorter");
  co_return co_await segment.file->WriteAndSync(bytes, segment.used - octets);
}

bool Store::Recovery::Apply(const RecordHeader& header, std::string_view body, Location where) {
  ++report_.records;
  store_.next_sequence_ = std::max(store_.next_sequence_, header.sequence + 1);
  const auto found = messages_.find(header.queue_id);
  switch (header.type) {
    case RecordType::kMessage: {
      Parsed<MessageRecord> record = ipc::Decode<MessageRecord>(body);
      if (!record.has_value()) return false;
      record->prepend = std::string();
      // A second record of the same message is a copy made to free an old segment: it supersedes.
      if (found != messages_.end() && found->second.where.segment != where.segment) copies_ = true;
      messages_[header.queue_id] = RecoveredMessage{.queue_id = header.queue_id,
                                                    .record = *std::move(record),
                                                    .where = where,
                                                    .last_attempt = {}};
      return true;
    }
    case RecordType::kAttempt: {
      const Parsed<AttemptRecord> attempt = ipc::Decode<AttemptRecord>(body);
      if (!attempt.has_value()) return false;
      if (found == messages_.end()) return true;
      ApplyAttempt(found->second, *attempt);
      found->second.last_attempt = where;
      return true;
    }
    case RecordType::kHold: {
      Parsed<HoldRecord> hold = ipc::Decode<HoldRecord>(body);
      if (!hold.has_value()) return false;
      if (found != messages_.end()) found->second.record.hold_reason = std::move(hold->reason);
      return true;
    }
    case RecordType::kRelease:
      if (found != messages_.end()) found->second.record.hold_reason.clear();
      return true;
    case RecordType::kRemove:
      if (found != messages_.end()) messages_.erase(found);
      return true;
    case RecordType::kSeal:
      return true;
  }
  return false;
}

void Store::Recovery::ApplyAttempt(RecoveredMessage& message, const AttemptRecord& attempt) {
  message.record.attempts = attempt.attempts;
  message.record.next_attempt_us = attempt.next_attempt_us;
  message.record.delay_notified = message.record.delay_notified || attempt.delay_notified;
  for (const RecipientAttempt& one : attempt.recipients) {
    if (one.index < message.record.recipients.size() && one.done) {
      message.record.recipients[one.index].done = true;
    }
  }
}

io::Task<absl::StatusOr<RecoveryReport>> Store::Open(
    std::function<void(RecoveredMessage&&)> visit) {
  Recovery recovery(*this);
  CO_RETURN_IF_ERROR(co_await recovery.ReadAll());
  // One by one, so that a large queue is not in memory twice.
  auto& messages = recovery.messages();
  while (!messages.empty()) visit(std::move(messages.extract(messages.begin()).mapped()));
  co_return std::move(recovery.report());
}

}  // namespace postern::qmgr
