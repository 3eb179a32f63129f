#include "daemons/qmgr/fsck.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/bytes.h"
#include "common/base/fstat.h"
#include "common/base/queue_id.h"
#include "common/base/unique_fd.h"
#include "daemons/qmgr/records.h"

namespace postern::qmgr {
namespace {

using Weight = Finding::Weight;

// What the log says of a message that is alive.
struct Alive {
  bool in_file = false;
  uint64_t content_octets = 0;
  std::vector<bool> done;
};

absl::StatusOr<std::vector<std::string>> NamesIn(int spool, const std::string& folder) {
  const int fd = ::openat(spool, folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return ErrnoStatus(errno, "open ", folder);
  DIR* stream = ::fdopendir(fd);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

bool IsZeros(std::string_view bytes) {
  return bytes.empty() || (bytes.front() == '\0' &&
                           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

class Checker {
 public:
  explicit Checker(UniqueFd spool) : spool_(std::move(spool)) {}

  absl::Status Check();
  SpoolReport& report() { return report_; }

 private:
  // A whole record and where it lies.
  struct Record {
    RecordHeader header;
    uint64_t offset = 0;
    std::string_view body;
    bool content_is_whole = true;
  };

  absl::Status CheckSegment(const std::string& name);
  bool CheckHeader(const std::string& name, std::string_view bytes, uint64_t number);
  void CheckRecords(const std::string& name, std::string_view bytes, uint64_t number);
  // The record at `offset`, if it is whole; otherwise `why` it is none.
  static std::optional<Record> RecordAt(std::string_view bytes, uint64_t number, uint64_t offset,
                                        std::string& why);
  // The next whole record behind `offset`; the end of `bytes` if there is none.
  static uint64_t NextRecord(std::string_view bytes, uint64_t number, uint64_t offset);
  // The records that the segment's index names, if it is whole.
  static std::optional<std::vector<Record>> Index(std::string_view bytes, uint64_t number);
  static bool IsSeal(std::string_view bytes, uint64_t number, uint64_t offset);
  // Where octets lie that are no record.
  struct Gap {
    bool next_is_seal = false;
    bool at_end = false;        // no whole record follows
    bool behind_index = false;  // the index names nothing from here on
    bool indexed = false;
    bool index_damaged = false;
  };
  bool CheckGap(const std::string& name, std::string_view gap, uint64_t offset, const Gap& lies,
                const std::string& why);
  void Apply(const std::string& name, const Record& record);
  absl::Status CheckContents();
  void Note(std::string where, std::string what, std::string consequence) {
    report_.findings.push_back(
        {Weight::kNote, std::move(where), std::move(what), std::move(consequence)});
  }
  void Damage(std::string where, std::string what, std::string consequence) {
    report_.findings.push_back(
        {Weight::kDamage, std::move(where), std::move(what), std::move(consequence)});
  }

  UniqueFd spool_;
  SpoolReport report_;
  std::map<uint64_t, Alive> alive_;
  uint64_t last_number_ = 0;    // of the segment read last
  uint64_t last_sequence_ = 0;  // of the record read last
  bool part_unread_ = false;    // so nobody knows whose a content without a message is
};

absl::Status Checker::Check() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(spool_.get(), "log"));
  for (const std::string& name : names) RETURN_IF_ERROR(CheckSegment(name));
  RETURN_IF_ERROR(CheckContents());
  report_.messages = alive_.size();
  return absl::OkStatus();
}

absl::Status Checker::CheckSegment(const std::string& file_name) {
  const std::string name = "log/" + file_name;
  const bool is_named_so = file_name.size() == 16 && file_name.ends_with(".seg") &&
                           std::all_of(file_name.begin(), file_name.begin() + 12,
                                       [](char c) { return c >= '0' && c <= '9'; });
  if (!is_named_so) {
    Note(name, "not a segment of ours", "it is left alone");
    return absl::OkStatus();
  }
  const UniqueFd fd(
      ::openat(spool_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat about;
  if (!fd.valid() && errno != ELOOP) return ErrnoStatus(errno, "open ", name);
  if (!fd.valid() || Fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    Damage(name, "not a regular file",
           "it is left alone; if a segment was replaced by it, its mail is missing");
    part_unread_ = true;
    return absl::OkStatus();
  }
  std::string bytes(static_cast<size_t>(about.st_size), '\0');
  size_t had = 0;
  while (had < bytes.size()) {
    const ssize_t got =
        ::pread(fd.get(), bytes.data() + had, bytes.size() - had, static_cast<off_t>(had));
    if (got < 0) return ErrnoStatus(errno, "read ", name);
    if (got == 0) break;
    had += static_cast<size_t>(got);
  }
  bytes.resize(had);
  uint64_t number = 0;
  for (const char c : file_name.substr(0, 12))
    number = number * 10 + static_cast<uint64_t>(c - '0');
  if (!CheckHeader(name, bytes, number)) return absl::OkStatus();
  ++report_.segments;
  CheckRecords(name, bytes, number);
  return absl::OkStatus();
}

bool Checker::CheckHeader(const std::string& name, std::string_view bytes, uint64_t number) {
  const std::string_view head = bytes.substr(0, kSegmentHeaderOctets);
  const Parsed<SegmentHeader> header = DecodeSegmentHeader(head);
  if (header.has_value() && header->number == number) {
    // Segments follow each other without a gap, but for batches that the disk refused.
    if (last_number_ + 1 == number && header->first_sequence > last_sequence_ + 1) {
      Damage(name,
             StrCat("it begins with record ", header->first_sequence,
                    ", and the segment before ends with ", last_sequence_),
             "what lay between is not read: a write of it failed, or the segment before was "
             "damaged at its end");
    }
    last_number_ = number;
    last_sequence_ = header->first_sequence - 1;
    return true;
  }
  if (header.has_value()) {
    Damage(name, StrCat("it says it is segment ", header->number),
           "it is left alone, and what it holds is not delivered; give it its name back");
  } else if (IsOfNewerFormat(head)) {
    Damage(name, header.error().reason,
           "this version does not start on it; install the newer one again");
  } else if (IsZeros(BeginsAsASegment(bytes) ? bytes.substr(head.size()) : bytes)) {
    Note(name, "made but never written to", "it is removed at the next start");
    return false;
  } else {
    Damage(name, StrCat("its header is damaged (", header.error().reason, ")"),
           "it is left alone, and what it holds is not delivered");
  }
  part_unread_ = true;
  return false;
}

std::optional<Checker::Record> Checker::RecordAt(std::string_view bytes, uint64_t number,
                                                 uint64_t offset, std::string& why) {
  const Parsed<RecordHeader> header =
      DecodeRecordHeader(bytes.substr(std::min<uint64_t>(offset, bytes.size())));
  if (!header.has_value()) {
    why = header.error().reason;
    return std::nullopt;
  }
  if (header->total() > bytes.size() - offset) {
    why = "a record longer than the segment";
    return std::nullopt;
  }
  Record record{.header = *header,
                .offset = offset,
                .body = bytes.substr(offset + kRecordHeaderOctets, header->body_octets)};
  if (!CheckBody(*header, number, record.body)) {
    why = "a record that is not whole";
    return std::nullopt;
  }
  record.content_is_whole = CheckContent(
      *header,
      bytes.substr(offset + kRecordHeaderOctets + header->body_octets, header->content_octets));
  return record;
}

uint64_t Checker::NextRecord(std::string_view bytes, uint64_t number, uint64_t offset) {
  static constexpr std::string_view kBegins = "PSQR";  // FORMAT.md: a record's first octets
  std::string why;
  for (size_t at = bytes.find(kBegins, offset + 1); at != bytes.npos;
       at = bytes.find(kBegins, at + 1)) {
    if (at % kRecordAlignment != 0) continue;
    const auto record = RecordAt(bytes, number, at, why);
    if (record.has_value() && record->content_is_whole) return at;
  }
  return bytes.size();
}

std::optional<std::vector<Checker::Record>> Checker::Index(std::string_view bytes,
                                                           uint64_t number) {
  if (bytes.size() < kSegmentHeaderOctets + kRecordHeaderOctets + 8) return std::nullopt;
  const auto length = LoadLittleEndian<uint64_t>(bytes.data() + bytes.size() - 8);
  if (length < kRecordHeaderOctets || length > bytes.size() - 8) return std::nullopt;
  std::string why;
  const auto seal = RecordAt(bytes, number, bytes.size() - 8 - length, why);
  if (!seal.has_value() || seal->header.type != RecordType::kSeal) return std::nullopt;
  std::vector<Record> records;
  uint64_t offset = kSegmentHeaderOctets;
  for (std::string_view left = seal->body; !left.empty();) {
    const Parsed<RecordHeader> header = DecodeRecordHeader(left);
    if (!header.has_value() || left.size() < kRecordHeaderOctets + header->body_octets)
      return std::nullopt;
    records.push_back({.header = *header,
                       .offset = offset,
                       .body = left.substr(kRecordHeaderOctets, header->body_octets)});
    offset += header->total();
    left.remove_prefix(kRecordHeaderOctets + header->body_octets);
  }
  return records;
}

// Compares what is there record by record with what a start reads: the index where there is one,
// else all up to the first record that is not whole.
void Checker::CheckRecords(const std::string& name, std::string_view bytes, uint64_t number) {
  const std::optional<std::vector<Record>> index = Index(bytes, number);
  const bool index_damaged =
      !index.has_value() && bytes.size() >= 8 && !IsZeros(bytes.substr(bytes.size() - 8));
  if (index_damaged)
    Note(name, "its index is damaged", "a start reads it record by record instead");
  const uint64_t end_of_index = index.has_value() && !index->empty()
                                    ? index->back().offset + index->back().header.total()
                                    : 0;
  bool read_by_start = true;
  for (uint64_t offset = kSegmentHeaderOctets; offset < bytes.size();) {
    std::string why;
    std::optional<Record> record = RecordAt(bytes, number, offset, why);
    if (record.has_value() && record->header.type == RecordType::kSeal) break;
    if (record.has_value() && !record->content_is_whole && !index.has_value()) {
      why = StrCat("the content of message ", QueueId(record->header.queue_id).ToString(),
                   " is not whole");
      record.reset();
    }
    if (!record.has_value()) {
      const uint64_t next = NextRecord(bytes, number, offset);
      if (!CheckGap(name, bytes.substr(offset, next - offset), offset,
                    {.next_is_seal = IsSeal(bytes, number, next),
                     .at_end = next == bytes.size(),
                     .behind_index = index.has_value() && offset >= end_of_index,
                     .indexed = index.has_value(),
                     .index_damaged = index_damaged},
                    why))
        break;
      read_by_start = false;
      offset = next;
      continue;
    }
    const std::string where = StrCat(name, " at octet ", offset);
    if (!record->content_is_whole) {
      Damage(where,
             StrCat("the content of message ", QueueId(record->header.queue_id).ToString(),
                    " is damaged"),
             "the message is held when it is to be delivered, if it is still in the queue");
    }
    if (record->header.sequence <= last_sequence_) {
      Damage(where,
             StrCat("its sequence number ", record->header.sequence, " does not follow ",
                    last_sequence_),
             "changes may be applied in the wrong order");
    }
    last_sequence_ = record->header.sequence;
    ++report_.records;
    if (!index.has_value() && read_by_start) Apply(name, *record);
    offset += record->header.total();
  }
  if (index.has_value() || index_damaged) ++last_sequence_;  // the index's own
  if (!index.has_value()) return;
  for (const Record& record : *index) {
    Apply(name, record);
    last_sequence_ = std::max(last_sequence_, record.header.sequence + 1);
  }
}

bool Checker::IsSeal(std::string_view bytes, uint64_t number, uint64_t offset) {
  std::string why;
  const auto record = RecordAt(bytes, number, offset, why);
  return record.has_value() && record->header.type == RecordType::kSeal;
}

// Octets that are no record, and `why` not. False: nothing follows that is to be looked at.
bool Checker::CheckGap(const std::string& name, std::string_view gap, uint64_t offset,
                       const Gap& lies, const std::string& why) {
  // Allocated and not written to, and behind that the end or the index.
  if (lies.behind_index || ((lies.at_end || lies.next_is_seal) && IsZeros(gap))) return false;
  if (lies.at_end && lies.index_damaged) return false;  // it is the index that lies there
  const std::string where = StrCat(name, " at octet ", offset);
  if (lies.indexed) {
    Damage(where, StrCat(gap.size(), " octets are damaged (", why, ")"),
           "the index has what is known of these messages; one that is still in the queue is held "
           "when it is to be "
           "delivered");
    return true;
  }
  if (lies.at_end || lies.next_is_seal) {
    Note(where, StrCat("a torn end (", why, ")"),
         "it is cut off: what follows was never acknowledged");
    return false;
  }
  Damage(where, StrCat(gap.size(), " octets are damaged (", why, ")"),
         "a start reads up to here alone: whole records lie behind it that are not read");
  part_unread_ = true;
  return true;
}

void Checker::Apply(const std::string& name, const Record& record) {
  const auto broken = [&] {
    Damage(StrCat(name, " at octet ", record.offset),
           StrCat("a record of type ", static_cast<int>(record.header.type), " does not decode"),
           "it was written by another program or version");
  };
  const uint64_t id = record.header.queue_id;
  switch (record.header.type) {
    case RecordType::kMessage: {
      const Parsed<MessageRecord> message = ipc::Decode<MessageRecord>(record.body);
      if (!message.has_value()) return broken();
      Alive& alive = alive_[id];
      alive = {.in_file = message->in_file, .content_octets = message->content_octets, .done = {}};
      for (const RecipientRecord& recipient : message->recipients)
        alive.done.push_back(recipient.done);
      return;
    }
    case RecordType::kAttempt: {
      const Parsed<AttemptRecord> attempt = ipc::Decode<AttemptRecord>(record.body);
      if (!attempt.has_value()) return broken();
      if (!alive_.contains(id)) return;
      for (const RecipientAttempt& one : attempt->recipients) {
        if (one.done && one.index < alive_[id].done.size()) alive_[id].done[one.index] = true;
      }
      return;
    }
    case RecordType::kHold:
      if (!ipc::Decode<HoldRecord>(record.body).has_value()) broken();
      return;
    case RecordType::kRemove:
      alive_.erase(id);
      return;
    case RecordType::kRelease:
    case RecordType::kSeal:
      return;
  }
}

absl::Status Checker::CheckContents() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(spool_.get(), "content"));
  std::set<uint64_t> seen;
  for (const std::string& file_name : names) {
    const std::string name = "content/" + file_name;
    const Parsed<QueueId> id = QueueId::Parse(file_name);
    if (!id.has_value() || id->ToString() != file_name) {
      Note(name, "not a content of ours", "it is left alone");
      continue;
    }
    const auto found = alive_.find(id->value());
    if (found == alive_.end() || !found->second.in_file) {
      Note(name, "the content of no message that is in the queue",
           part_unread_ ? "it is kept, because a part of the log cannot be read"
                        : "it is removed at the next start");
      continue;
    }
    ++report_.contents;
    seen.insert(id->value());
    struct stat about;
    if (::fstatat(spool_.get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
      return ErrnoStatus(errno, "stat ", name);
    if (!S_ISREG(about.st_mode)) {
      Damage(name, "not a regular file", "its message is held");
    } else if (static_cast<uint64_t>(about.st_size) != found->second.content_octets) {
      Damage(name,
             StrCat("it has ", about.st_size, " octets and was committed with ",
                    found->second.content_octets),
             "its message is held");
    }
  }
  for (const auto& [id, alive] : alive_) {
    if (alive.in_file && !seen.contains(id)) {
      Damage(StrCat("content/", QueueId(id).ToString()), "it is missing", "its message is held");
    }
    if (std::ranges::all_of(alive.done, [](bool done) { return done; })) {
      Note(StrCat("message ", QueueId(id).ToString()), "all its recipients are done",
           "it is removed at the next start");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool SpoolReport::damaged() const {
  return std::ranges::any_of(
      findings, [](const Finding& finding) { return finding.weight == Weight::kDamage; });
}

absl::StatusOr<SpoolReport> CheckSpool(const std::string& directory) {
  UniqueFd spool(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!spool.valid()) return ErrnoStatus(errno, "open ", directory);
  const UniqueFd lock(::openat(spool.get(), "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (lock.valid() && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0) {
    return FailedPrecondition(
        "queue ", directory, " is in use: stop the server first, or check a copy of the directory");
  }
  Checker checker(std::move(spool));
  RETURN_IF_ERROR(checker.Check());
  return std::move(checker.report());
}

}  // namespace postern::qmgr
