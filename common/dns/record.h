// common/dns/record.h — one resource record, its data typed where we use it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/ip.h"
#include "common/dns/name.h"

namespace postern::dns {

enum class Type : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kOpt = 41,
  kTlsa = 52,
};

// "MX"; "TYPE65280" for one we have no name for (RFC 3597 §5).
std::string TypeName(Type type);

inline constexpr uint16_t kClassIn = 1;

struct Address {  // A, AAAA
  IpAddress ip;
  friend bool operator==(const Address&, const Address&) = default;
};
struct Target {  // CNAME, PTR, NS
  Name name;
  friend bool operator==(const Target&, const Target&) = default;
};
struct Mx {
  uint16_t preference = 0;
  Name exchange;
  friend bool operator==(const Mx&, const Mx&) = default;
};
struct Txt {  // each string by itself; at least one
  std::vector<std::string> strings;
  // As SPF, DKIM and DMARC read it (RFC 7208 §3.3): without anything between.
  std::string Joined() const;
  friend bool operator==(const Txt&, const Txt&) = default;
};
struct Tlsa {  // RFC 6698 §2.1
  uint8_t usage = 0;
  uint8_t selector = 0;
  uint8_t matching_type = 0;
  std::string data;
  friend bool operator==(const Tlsa&, const Tlsa&) = default;
};
struct Soa {  // RFC 1035 §3.3.13
  Name primary;
  Name mailbox;
  uint32_t serial = 0;
  uint32_t refresh = 0;
  uint32_t retry = 0;
  uint32_t expire = 0;
  uint32_t minimum = 0;  // seconds for which "does not exist" may be believed (RFC 2308 §4)
  friend bool operator==(const Soa&, const Soa&) = default;
};
struct Other {  // any other type: the octets as they came (names in them may be compressed)
  std::string data;
  friend bool operator==(const Other&, const Other&) = default;
};
using RecordData = std::variant<Other, Address, Target, Mx, Txt, Tlsa, Soa>;

// Octets that the data takes, roughly as on the wire.
size_t OctetsOf(const RecordData& data);

struct Record {
  Name owner;
  Type type{};
  uint16_t record_class = kClassIn;
  uint32_t ttl_seconds = 0;  // one with the highest bit set was read as 0 (RFC 2181 §8)
  RecordData data;

  friend bool operator==(const Record&, const Record&) = default;
};

// Reads the record at `offset` and sets `offset` behind it.
// Errors: the message ends within it; data of a known type that is not what its length says
Parsed<Record> ReadRecord(std::string_view message, size_t& offset);
// Sets `offset` behind the record without looking at its data.
Parsed<Type> SkipRecord(std::string_view message, size_t& offset);
// Appends the record, no name compressed.
void AppendRecord(std::string& to, const Record& record);

}  // namespace postern::dns
