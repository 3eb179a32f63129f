// daemons/resolvd/answer_cache.h — answers that mode system remembers: by question, until their
// time is over, the least recently used ones leaving first when memory is full.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/hash.h"
#include "common/dns/answer.h"
#include "common/io/deadline.h"

namespace postern::resolvd {

class AnswerCache {
 public:
  explicit AnswerCache(uint64_t max_octets) : max_octets_(max_octets) {}

  // The answer, with the time that is left to it.
  std::optional<dns::Answer> Find(std::string_view key, io::Deadline now);
  // An answer of no time is not kept, except a failure, for kFailureMemory. One that alone would
  // take more than a sixteenth of the memory is not kept either.
  void Insert(const std::string& key, const dns::Answer& answer, io::Deadline now);

  size_t size() const { return entries_.size(); }
  uint64_t octets() const { return octets_; }

 private:
  struct Entry {
    std::string key;
    dns::Answer answer;
    io::Deadline until;
    uint64_t octets = 0;
  };
  using Entries = std::list<Entry>;  // the most recently used one first
  void Remove(Entries::iterator entry);

  const uint64_t max_octets_;
  uint64_t octets_ = 0;
  Entries entries_;
  StringMap<Entries::iterator> by_key_;
};

}  // namespace postern::resolvd
