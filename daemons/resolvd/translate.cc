#include "daemons/resolvd/translate.h"

#include <utility>

#include "common/dns/limits.h"

namespace postern::resolvd {
namespace {

namespace wire = protocol::dns;

constexpr size_t kMaxNameText = 255;  // octets of canonical_name in the message

wire::Status StatusOf(dns::Status status) {
  switch (status) {
    case dns::Status::kFound:
      return wire::Status::kFound;
    case dns::Status::kNoData:
      return wire::Status::kNoData;
    case dns::Status::kNxDomain:
      return wire::Status::kNoDomain;
    case dns::Status::kTemporaryFailure:
      break;
  }
  return wire::Status::kTemporaryFailure;
}

wire::Security SecurityOf(dns::Security security) {
  switch (security) {
    case dns::Security::kSecure:
      return wire::Security::kSecure;
    case dns::Security::kInsecure:
      return wire::Security::kInsecure;
    case dns::Security::kUnknown:
    case dns::Security::kBogus:  // a failure already
      break;
  }
  return wire::Security::kUnknown;
}

struct ToRecord {
  wire::Record operator()(const dns::Other& other) { return {.data = other.data}; }
  wire::Record operator()(const dns::Address& address) {
    return {.data = std::string(address.ip.bytes())};
  }
  wire::Record operator()(const dns::Target& target) {
    return {.data = target.name.Lower().ToText()};
  }
  wire::Record operator()(const dns::Mx& mx) {
    return {.preference = mx.preference, .data = mx.exchange.Lower().ToText()};
  }
  wire::Record operator()(const dns::Txt& txt) { return {.data = txt.Joined()}; }
  wire::Record operator()(const dns::Tlsa& tlsa) {
    const char head[] = {static_cast<char>(tlsa.usage), static_cast<char>(tlsa.selector),
                         static_cast<char>(tlsa.matching_type)};
    return {.data = std::string(head, sizeof head) + tlsa.data};
  }
  wire::Record operator()(const dns::Soa&) { return {}; }  // nobody can ask for it
};

wire::Answer TemporaryFailure(std::string_view reason) {
  wire::Answer failure;
  failure.reason = reason.substr(0, protocol::kMaxReason);
  return failure;
}

}  // namespace

std::optional<dns::Type> TypeOf(wire::RecordType type) {
  switch (type) {
    case wire::RecordType::kA:
    case wire::RecordType::kCname:
    case wire::RecordType::kPtr:
    case wire::RecordType::kMx:
    case wire::RecordType::kTxt:
    case wire::RecordType::kAaaa:
    case wire::RecordType::kTlsa:
      return static_cast<dns::Type>(type);
  }
  return std::nullopt;
}

wire::Answer ToMessage(const dns::Answer& answer, dns::Type type) {
  if (answer.truncated && (type == dns::Type::kTxt || type == dns::Type::kTlsa))
    return TemporaryFailure("the answer is larger than we take");
  wire::Answer message;
  message.status = StatusOf(answer.status);
  message.security = SecurityOf(answer.security);
  message.canonical_name = answer.canonical_name.Lower().ToText();
  message.ttl_seconds = answer.ttl_seconds;
  message.reason = answer.reason.substr(0, protocol::kMaxReason);
  if (message.canonical_name.size() > kMaxNameText) {
    return answer.status == dns::Status::kTemporaryFailure
               ? TemporaryFailure(answer.reason)
               : TemporaryFailure("the canonical name is no host's");
  }
  // The text of a name may take four times its octets, all of them escapes: such a name is no
  // host's, and what is left out of PTR or MX records is missed by nobody.
  size_t octets = 0;
  for (const dns::RecordData& data : answer.records) {
    wire::Record record = std::visit(ToRecord(), data);
    if (message.records.size() >= wire::kMaxRecords || record.data.size() > wire::kMaxData ||
        octets + record.data.size() > dns::kMaxAnswerOctets) {
      continue;
    }
    octets += record.data.size();
    message.records.push_back(std::move(record));
  }
  return message;
}

wire::Answer NotAName(std::string_view name, const ParseError& why) {
  wire::Answer answer;
  answer.status = wire::Status::kNoDomain;
  answer.canonical_name = name.substr(0, kMaxNameText);
  answer.reason = "no name of DNS: " + why.reason;
  return answer;
}

}  // namespace postern::resolvd
