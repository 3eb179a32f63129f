#include "common/base/queue_id.h"

#include <algorithm>

namespace postern {
namespace {

constexpr char kAlphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr int kBitsPerCharacter = 5;
constexpr uint64_t kMaxTime = (uint64_t{1} << QueueId::kTimeBits) - 1;
constexpr uint64_t kCounterMask = (uint64_t{1} << QueueId::kCounterBits) - 1;
constexpr uint64_t kMaxTick = (kMaxTime << QueueId::kCounterBits) | kCounterMask;

uint64_t TimePart(int64_t unix_ms) {
  if (unix_ms <= QueueId::kEpochMs) return 0;
  return std::min(static_cast<uint64_t>(unix_ms - QueueId::kEpochMs), kMaxTime);
}

uint64_t Pack(uint64_t time, uint8_t origin, uint64_t counter) {
  return (time << (QueueId::kOriginBits + QueueId::kCounterBits)) |
         (uint64_t{origin} << QueueId::kCounterBits) | counter;
}

int DigitOf(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  for (int digit = 0; digit < 32; ++digit) {
    if (kAlphabet[digit] == c) return digit;
  }
  return -1;
}

}  // namespace

QueueId QueueId::Of(int64_t unix_ms, uint8_t origin, uint16_t counter) {
  return QueueId(Pack(TimePart(unix_ms), origin, counter & kCounterMask));
}

Parsed<QueueId> QueueId::Parse(std::string_view text) {
  if (text.size() != kTextOctets) {
    return Malformed("a queue id has 13 characters", std::min(text.size(), kTextOctets));
  }
  uint64_t value = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const int digit = DigitOf(text[i]);
    if (digit < 0) return Malformed("not a character of a queue id", i);
    // 13 characters hold 65 bits: the first may only be 0 to F.
    if (i == 0 && digit > 15) return Malformed("beyond 64 bits");
    value = (value << kBitsPerCharacter) | static_cast<uint64_t>(digit);
  }
  return QueueId(value);
}

uint8_t QueueId::origin() const { return static_cast<uint8_t>(value_ >> kCounterBits); }

uint16_t QueueId::counter() const { return static_cast<uint16_t>(value_ & kCounterMask); }

int64_t QueueId::unix_ms() const {
  return static_cast<int64_t>(value_ >> (kOriginBits + kCounterBits)) + kEpochMs;
}

std::string QueueId::ToString() const {
  std::string text(kTextOctets, '0');
  WriteTo(text.data());
  return text;
}

void QueueId::WriteTo(char* to) const {
  uint64_t rest = value_;
  for (size_t i = kTextOctets; i-- > 0;) {
    to[i] = kAlphabet[rest & 31];
    rest >>= kBitsPerCharacter;
  }
}

QueueIdMaker::QueueIdMaker(uint8_t origin, QueueId after)
    : origin_(origin),
      tick_((TimePart(after.unix_ms()) << QueueId::kCounterBits) | after.counter()) {}

QueueId QueueIdMaker::Next(int64_t unix_ms) {
  const uint64_t now = TimePart(unix_ms) << QueueId::kCounterBits;
  // The last tick there is stays the last: that is the year 2159.
  tick_ = std::min(std::max(tick_ + 1, now), kMaxTick);
  return QueueId(Pack(tick_ >> QueueId::kCounterBits, origin_, tick_ & kCounterMask));
}

}  // namespace postern
