#include "daemons/resolvd/answer_cache.h"

#include <utility>

#include "daemons/resolvd/limits.h"

namespace postern::resolvd {
namespace {

// What an entry costs beyond the octets it holds: list and map nodes, string heads.
constexpr uint64_t kEntryOctets = 512;
constexpr uint64_t kRecordOctets = 96;
constexpr uint64_t kLargestShare = 16;

uint64_t CostOf(std::string_view key, const dns::Answer& answer) {
  uint64_t octets =
      kEntryOctets + 2 * key.size() + answer.reason.size() + answer.canonical_name.wire().size();
  for (const dns::RecordData& data : answer.records) octets += kRecordOctets + dns::OctetsOf(data);
  return octets;
}

}  // namespace

void AnswerCache::Remove(Entries::iterator entry) {
  octets_ -= entry->octets;
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

std::optional<dns::Answer> AnswerCache::Find(std::string_view key, io::Deadline now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  const Entries::iterator entry = found->second;
  if (entry->until <= now) {
    Remove(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  dns::Answer answer = entry->answer;
  answer.ttl_seconds = static_cast<uint32_t>(absl::ToInt64Seconds(entry->until - now));
  return answer;
}

void AnswerCache::Insert(const std::string& key, const dns::Answer& answer, io::Deadline now) {
  if (const auto old = by_key_.find(key); old != by_key_.end()) Remove(old->second);
  const bool failure = answer.status == dns::Status::kTemporaryFailure;
  if (!failure && answer.ttl_seconds == 0) return;
  const uint64_t octets = CostOf(key, answer);
  if (octets > max_octets_ / kLargestShare) return;
  const absl::Duration memory = failure ? kFailureMemory : absl::Seconds(answer.ttl_seconds);
  entries_.push_front({.key = key, .answer = answer, .until = now + memory, .octets = octets});
  by_key_[key] = entries_.begin();
  octets_ += octets;
  while (octets_ > max_octets_) Remove(std::prev(entries_.end()));
}

}  // namespace postern::resolvd
