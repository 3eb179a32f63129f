#include "common/dns/message.h"

#include <utility>

#include "common/dns/limits.h"
#include "common/dns/wire.h"

namespace postern::dns {
namespace {

constexpr uint16_t kQr = 0x8000, kAa = 0x0400, kTc = 0x0200, kRd = 0x0100, kRa = 0x0080,
                   kAd = 0x0020, kCd = 0x0010;
constexpr uint16_t kRcodeBits = 0x000F;
constexpr uint32_t kDnssecOk = 0x8000;

struct Counts {
  uint16_t questions, answers, authorities, additional;
};

Header ReadHeader(std::string_view bytes) {
  const uint16_t flags = Load16(bytes, 2);
  return {.id = Load16(bytes, 0),
          .response = (flags & kQr) != 0,
          .opcode = static_cast<uint8_t>(flags >> 11 & 0xF),
          .authoritative = (flags & kAa) != 0,
          .truncated = (flags & kTc) != 0,
          .recursion_desired = (flags & kRd) != 0,
          .recursion_available = (flags & kRa) != 0,
          .authentic_data = (flags & kAd) != 0,
          .checking_disabled = (flags & kCd) != 0,
          .rcode = static_cast<Rcode>(flags & kRcodeBits)};
}

uint16_t FlagsOf(const Header& header) {
  const unsigned flags =
      (header.response ? kQr : 0u) | unsigned{header.opcode & 0xFu} << 11 |
      (header.authoritative ? kAa : 0u) | (header.truncated ? kTc : 0u) |
      (header.recursion_desired ? kRd : 0u) | (header.recursion_available ? kRa : 0u) |
      (header.authentic_data ? kAd : 0u) | (header.checking_disabled ? kCd : 0u) |
      (static_cast<unsigned>(header.rcode) & kRcodeBits);
  return static_cast<uint16_t>(flags);
}

Parsed<Message> ReadHead(std::string_view bytes, size_t& offset, Counts& counts) {
  if (bytes.size() < kHeaderOctets) return Malformed("message is shorter than its header");
  Message message;
  message.header = ReadHeader(bytes);
  counts = {Load16(bytes, 4), Load16(bytes, 6), Load16(bytes, 8), Load16(bytes, 10)};
  offset = kHeaderOctets;
  if (counts.questions > 1) return Malformed("message has several questions", 4);
  if (counts.questions == 0) return message;
  Parsed<Name> name = Name::Read(bytes, offset);
  if (!name.has_value()) return std::unexpected(std::move(name).error());
  if (bytes.size() - offset < 4) return Malformed("message ends within the question", offset);
  message.question = Question{*std::move(name), static_cast<Type>(Load16(bytes, offset)),
                              Load16(bytes, offset + 2)};
  offset += 4;
  return message;
}

// Reads `count` records into `section`, as many as are kept.
Parsed<bool> ReadSection(std::string_view bytes, size_t& offset, uint16_t count,
                         std::vector<Record>& section) {
  for (uint16_t i = 0; i < count; ++i) {
    if (section.size() >= kMaxSectionRecords) {
      const Parsed<Type> skipped = SkipRecord(bytes, offset);
      if (!skipped.has_value()) return std::unexpected(skipped.error());
      continue;
    }
    Parsed<Record> record = ReadRecord(bytes, offset);
    if (!record.has_value()) return std::unexpected(std::move(record).error());
    section.push_back(*std::move(record));
  }
  return count > kMaxSectionRecords;
}

// Looks for OPT among the additional records (RFC 6891 §6.1.1: at most one, owned by the root).
Parsed<bool> ReadAdditional(std::string_view bytes, size_t& offset, uint16_t count,
                            Message& message) {
  for (uint16_t i = 0; i < count; ++i) {
    const size_t start = offset;
    const Parsed<Type> type = SkipRecord(bytes, offset);
    if (!type.has_value()) return std::unexpected(type.error());
    if (*type != Type::kOpt) continue;
    if (message.edns.has_value()) return Malformed("message has two OPT records", start);
    size_t again = start;
    const Parsed<Record> opt = ReadRecord(bytes, again);
    if (!opt.has_value()) return std::unexpected(opt.error());
    if (!opt->owner.is_root()) return Malformed("OPT is not owned by the root", start);
    message.edns = Edns{.udp_payload_octets = opt->record_class,
                        .version = static_cast<uint8_t>(opt->ttl_seconds >> 16 & 0xFF),
                        .dnssec_ok = (opt->ttl_seconds & kDnssecOk) != 0};
    const uint32_t upper = opt->ttl_seconds >> 24;
    message.header.rcode =
        static_cast<Rcode>(upper << 4 | static_cast<uint32_t>(message.header.rcode));
  }
  return true;
}

void AppendOpt(std::string& to, const Edns& edns, Rcode rcode) {
  Record opt;
  opt.type = Type::kOpt;
  opt.record_class = edns.udp_payload_octets;
  opt.ttl_seconds = static_cast<uint32_t>(rcode) >> 4 << 24 | uint32_t{edns.version} << 16 |
                    (edns.dnssec_ok ? kDnssecOk : 0);
  AppendRecord(to, opt);
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::string RcodeName(Rcode rcode) {
  switch (rcode) {
    case Rcode::kNoError:
      return "NOERROR";
    case Rcode::kFormatError:
      return "FORMERR";
    case Rcode::kServerFailure:
      return "SERVFAIL";
    case Rcode::kNameError:
      return "NXDOMAIN";
    case Rcode::kNotImplemented:
      return "NOTIMP";
    case Rcode::kRefused:
      return "REFUSED";
    case Rcode::kBadVersion:
      return "BADVERS";
  }
  return "RCODE" + std::to_string(static_cast<unsigned>(rcode));
}

Parsed<Message> ParseHead(std::string_view bytes) {
  size_t offset = 0;
  Counts counts{};
  return ReadHead(bytes, offset, counts);
}

Parsed<Message> ParseMessage(std::string_view bytes) {
  size_t offset = 0;
  Counts counts{};
  Parsed<Message> message = ReadHead(bytes, offset, counts);
  if (!message.has_value()) return message;
  const std::pair<uint16_t, std::vector<Record>*> sections[] = {
      {counts.answers, &message->answers}, {counts.authorities, &message->authorities}};
  for (const auto& [count, section] : sections) {
    const Parsed<bool> dropped = ReadSection(bytes, offset, count, *section);
    if (!dropped.has_value()) return std::unexpected(dropped.error());
    message->records_dropped = message->records_dropped || *dropped;
  }
  const Parsed<bool> additional = ReadAdditional(bytes, offset, counts.additional, *message);
  if (!additional.has_value()) return std::unexpected(additional.error());
  return message;
}

std::string Encode(const Message& message) {
  std::string bytes;
  Append16(bytes, message.header.id);
  Append16(bytes, FlagsOf(message.header));
  Append16(bytes, message.question.has_value() ? 1 : 0);
  Append16(bytes, static_cast<uint16_t>(message.answers.size()));
  Append16(bytes, static_cast<uint16_t>(message.authorities.size()));
  Append16(bytes, message.edns.has_value() ? 1 : 0);
  if (message.question.has_value()) {
    bytes += message.question->name.wire();
    Append16(bytes, static_cast<uint16_t>(message.question->type));
    Append16(bytes, message.question->question_class);
  }
  for (const Record& record : message.answers) AppendRecord(bytes, record);
  for (const Record& record : message.authorities) AppendRecord(bytes, record);
  if (message.edns.has_value()) AppendOpt(bytes, *message.edns, message.header.rcode);
  return bytes;
}

std::string BuildQuery(const Name& name, Type type, const QueryOptions& options) {
  Message query;
  query.header.id = options.id;
  query.header.recursion_desired = true;
  query.header.authentic_data = options.want_ad;
  query.question = Question{name, type, kClassIn};
  if (options.edns) {
    query.edns = Edns{.udp_payload_octets = kUdpPayloadOctets, .dnssec_ok = options.dnssec_ok};
  }
  return Encode(query);
}

Name RandomiseCase(const Name& name, std::string_view random) {
  std::string text = name.Lower().ToText();
  // Escapes hold no letters, so every letter of the text is one of the name.
  size_t bit = 0;
  for (char& c : text) {
    if (!IsLetter(c) || bit / 8 >= random.size()) continue;
    if ((static_cast<unsigned>(random[bit / 8]) >> (bit % 8) & 1) != 0)
      c = static_cast<char>(c & ~0x20);
    ++bit;
  }
  return Name::FromText(text).value_or(name);
}

Match MatchResponse(const Message& response, uint16_t id, const Question& asked) {
  if (!response.header.response || response.header.opcode != 0 || response.header.id != id)
    return Match::kNo;
  if (!response.question.has_value() || *response.question != asked) return Match::kNo;
  return response.question->name.wire() == asked.name.wire() ? Match::kYes : Match::kCaseDiffers;
}

}  // namespace postern::dns
