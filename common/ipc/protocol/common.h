// common/ipc/protocol/common.h — what messages of several edges are made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ip.h"

namespace postern::protocol {

// Bounds on what a message may hold, in octets unless said otherwise.
inline constexpr uint64_t kMaxAddress =
    1024;  // RFC 5321 §4.5.3.1.3: 256, doubled for quoting and UTF-8
inline constexpr uint64_t kMaxDomain = 512;
inline constexpr uint64_t kMaxReplyText = 4096;  // all lines of a reply together
inline constexpr uint64_t kMaxReason = 1024;
inline constexpr uint64_t kMaxXtext = 1024;  // ENVID, ORCPT decoded
inline constexpr uint64_t kMaxContentPiece = 48u << 10;
inline constexpr uint64_t kMaxInlineContent = 1u << 20;
inline constexpr uint64_t kMaxPrependedHeaders = 16u << 10;
inline constexpr uint64_t kMaxRecipientsPerPiece = 100;  // recipients in one message of an edge

// A reply as SMTP gives it (RFC 5321 §4.2, RFC 2034).
struct ReplyText {
  static constexpr bool kHasFields = true;
  uint16_t code = 0;
  std::string enhanced;  // "5.7.1", or empty
  std::string text;      // lines separated by \n
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("code", m.code);
    v("enhanced", m.enhanced, 16);
    v("text", m.text, kMaxReplyText);
  }
};

// An IP address as its 0, 4 or 16 octets.
struct Ip {
  static constexpr bool kHasFields = true;
  std::string octets;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("octets", m.octets, 16);
  }
  static Ip From(const IpAddress& address) { return {std::string(address.bytes())}; }
  IpAddress ToAddress() const {
    const auto at = [this](size_t i) { return static_cast<uint8_t>(octets[i]); };
    if (octets.size() == 4) {
      return IpAddress::V4(uint32_t{at(0)} << 24 | uint32_t{at(1)} << 16 | uint32_t{at(2)} << 8 |
                           at(3));
    }
    if (octets.size() != 16) return IpAddress();
    std::array<uint8_t, 16> bytes;
    for (size_t i = 0; i < 16; ++i) bytes[i] = at(i);
    return IpAddress::V6(bytes);
  }
};

// Which kind of place a recipient's domain is (policyd decides, qmgr routes by it).
enum class RecipientClass : uint8_t { kLocal, kRelay, kRemote };
inline constexpr uint64_t kLastRecipientClass = 2;

// BODY= of MAIL (RFC 6152, RFC 3030).
enum class Body : uint8_t { kSevenBit, kEightBit, kBinary };
inline constexpr uint64_t kLastBody = 2;

// RET= of MAIL (RFC 3461 §4.3).
enum class Ret : uint8_t { kNotGiven, kFull, kHeaders };
inline constexpr uint64_t kLastRet = 2;

// NOTIFY= of RCPT (RFC 3461 §4.1) as bits; 0: not given.
inline constexpr uint8_t kNotifyNever = 1;
inline constexpr uint8_t kNotifySuccess = 2;
inline constexpr uint8_t kNotifyFailure = 4;
inline constexpr uint8_t kNotifyDelay = 8;

// Nothing but its type.
template <uint8_t type>
struct Empty {
  static constexpr bool kHasFields = true;
  static constexpr uint8_t kType = type;
  template <class V, class M>
  static void Fields(V&, M&) {}
};

}  // namespace postern::protocol
