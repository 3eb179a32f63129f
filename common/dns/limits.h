// common/dns/limits.h — bounds on what a name server may make us do.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::dns {

// RFC 1035 §2.3.4: a label, and a whole name with its length octets and the root.
inline constexpr size_t kMaxLabelOctets = 63;
inline constexpr size_t kMaxNameOctets = 255;
// A name has at most 127 labels, so an honest one needs no more pointers than that; far fewer are
// seen.
inline constexpr int kMaxPointerHops = 64;

// RFC 1035 §4.2.2: the length in front of a message over TCP has 16 bits.
inline constexpr size_t kMaxMessageOctets = 65535;
inline constexpr size_t kHeaderOctets = 12;
// What we offer to take over UDP: small enough not to be fragmented (DNS flag day 2020).
inline constexpr uint16_t kUdpPayloadOctets = 1232;

// Records of one section that a Message keeps; the rest is skipped and said to be.
inline constexpr size_t kMaxSectionRecords = 512;

// CNAME records followed for one question.
inline constexpr int kMaxCnames = 8;
// An Answer: records, octets of one record's data, octets of all of them.
inline constexpr size_t kMaxRecords = 256;
inline constexpr size_t kMaxRecordOctets = 4096;
inline constexpr size_t kMaxAnswerOctets = 32u << 10;

// Seconds that an answer may be believed, and one that something does not exist (RFC 2308 §5).
inline constexpr uint32_t kMaxTtlSeconds = 86400;
inline constexpr uint32_t kMaxNegativeTtlSeconds = 10800;

// Mail exchangers of a domain that are tried, the most preferred ones.
inline constexpr size_t kMaxMailExchangers = 32;

}  // namespace postern::dns
