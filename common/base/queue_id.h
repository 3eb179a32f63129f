// common/base/queue_id.h — the name of a message in the queue, and the maker of new ones.
//
// 64 bits: 42 of milliseconds since 2020-01-01 UTC (until 2159), 8 of origin (which submitter
// made it), 14 of counter. So ids sort by age, and two submitters never make the same one. As text
// an id is 13 characters of Crockford's base32 (no I, L, O, U), upper-case, which sort the same
// way.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern {

class QueueId {
 public:
  static constexpr int kOriginBits = 8;
  static constexpr int kCounterBits = 14;
  static constexpr int kTimeBits = 42;
  static constexpr size_t kTextOctets = 13;
  static constexpr int64_t kEpochMs = 1'577'836'800'000;  // 2020-01-01T00:00:00Z as Unix time

  constexpr QueueId() = default;  // 0: no message
  constexpr explicit QueueId(uint64_t value) : value_(value) {}
  // `unix_ms` before 2020 counts as 2020, beyond 42 bits as the last millisecond; `counter` is cut
  // to 14 bits.
  static QueueId Of(int64_t unix_ms, uint8_t origin, uint16_t counter);
  // Exactly 13 characters, upper or lower case; the letters a person misreads (I, L, O) are not
  // taken for digits, so one id has one spelling but for case. Errors: length, character, beyond 64
  // bits.
  static Parsed<QueueId> Parse(std::string_view text);

  constexpr uint64_t value() const { return value_; }
  constexpr bool valid() const { return value_ != 0; }
  uint8_t origin() const;
  uint16_t counter() const;
  int64_t unix_ms() const;

  std::string ToString() const;
  // Writes kTextOctets characters, without a terminating NUL.
  void WriteTo(char* to) const;

  friend constexpr auto operator<=>(const QueueId&, const QueueId&) = default;

  template <class H>
  friend H AbslHashValue(H h, const QueueId& id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  uint64_t value_ = 0;
};

// Makes strictly increasing ids of one origin, also when the clock stands still or steps back: then
// the time part stays ahead of the clock and moves on by itself every 2^14 ids.
class QueueIdMaker {
 public:
  // Every id made is later than `after` (the greatest this origin is known to have made, if any).
  explicit QueueIdMaker(uint8_t origin, QueueId after = QueueId());

  QueueId Next(int64_t unix_ms);

 private:
  uint8_t origin_;
  uint64_t tick_ = 0;  // time and counter of the last id, in one number
};

}  // namespace postern
