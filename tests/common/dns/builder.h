// tests/common/dns/builder.h — short ways to write records and responses in tests.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "common/dns/answer.h"

namespace postern::dns::test {

inline Name N(std::string_view text) { return Name::FromText(text).value(); }

inline Record Make(std::string_view owner, Type type, RecordData data, uint32_t ttl = 300) {
  return {.owner = N(owner), .type = type, .ttl_seconds = ttl, .data = std::move(data)};
}
inline Record A(std::string_view owner, std::string_view ip, uint32_t ttl = 300) {
  return Make(owner, Type::kA, Address{IpAddress::Parse(ip).value()}, ttl);
}
inline Record Aaaa(std::string_view owner, std::string_view ip, uint32_t ttl = 300) {
  return Make(owner, Type::kAaaa, Address{IpAddress::Parse(ip).value()}, ttl);
}
inline Record MxOf(std::string_view owner, uint16_t preference, std::string_view exchange) {
  return Make(owner, Type::kMx, Mx{preference, N(exchange)});
}
inline Record Cname(std::string_view owner, std::string_view target, uint32_t ttl = 300) {
  return Make(owner, Type::kCname, Target{N(target)}, ttl);
}
inline Record SoaOf(std::string_view owner, uint32_t ttl, uint32_t minimum) {
  return Make(owner, Type::kSoa,
              Soa{.primary = N("ns." + std::string(owner)),
                  .mailbox = N("admin." + std::string(owner)),
                  .serial = 1,
                  .refresh = 2,
                  .retry = 3,
                  .expire = 4,
                  .minimum = minimum},
              ttl);
}

// A response to (`name`, `type`) with nothing in it yet.
inline Message Response(std::string_view name, Type type, Rcode rcode = Rcode::kNoError) {
  Message message;
  message.header.id = 0x1234;
  message.header.response = true;
  message.header.recursion_desired = true;
  message.header.recursion_available = true;
  message.header.rcode = rcode;
  message.question = Question{N(name), type, kClassIn};
  return message;
}

}  // namespace postern::dns::test
