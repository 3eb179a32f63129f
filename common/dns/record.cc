#include "common/dns/record.h"

#include <array>
#include <utility>

#include "common/dns/limits.h"
#include "common/dns/wire.h"

namespace postern::dns {
namespace {

// Type, class, TTL and data length, behind the owner's name.
constexpr size_t kFixedOctets = 10;
constexpr uint32_t kMaxTtlOnWire = 0x7FFFFFFF;

// The data of one record: `message` up to `end`, names may point to before `at`.
struct DataReader {
  std::string_view message;
  size_t at;
  size_t end;

  size_t left() const { return end - at; }
  std::string_view rest() const { return message.substr(at, left()); }

  Parsed<Name> ReadName() {
    // What lies behind the data is not the name's.
    Parsed<Name> name = Name::Read(message.substr(0, end), at);
    return name;
  }
};

Parsed<RecordData> WrongLength(const DataReader& reader, Type type) {
  return Malformed("data of " + TypeName(type) + " has a wrong length", reader.at);
}

Parsed<RecordData> ReadAddress(DataReader& in, Type type) {
  const std::string_view octets = in.rest();
  if (type == Type::kA) {
    if (octets.size() != 4) return WrongLength(in, type);
    return Address{IpAddress::V4(Load32(octets, 0))};
  }
  if (octets.size() != 16) return WrongLength(in, type);
  std::array<uint8_t, 16> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = Load8(octets, i);
  return Address{IpAddress::V6(bytes)};
}

Parsed<RecordData> ReadTarget(DataReader& in, Type type) {
  Parsed<Name> name = in.ReadName();
  if (!name.has_value()) return std::unexpected(std::move(name).error());
  if (in.left() != 0) return WrongLength(in, type);
  return Target{*std::move(name)};
}

Parsed<RecordData> ReadMx(DataReader& in) {
  if (in.left() < 3) return WrongLength(in, Type::kMx);
  const uint16_t preference = Load16(in.message, in.at);
  in.at += 2;
  Parsed<Name> exchange = in.ReadName();
  if (!exchange.has_value()) return std::unexpected(std::move(exchange).error());
  if (in.left() != 0) return WrongLength(in, Type::kMx);
  return Mx{preference, *std::move(exchange)};
}

Parsed<RecordData> ReadTxt(DataReader& in) {
  Txt txt;
  while (in.left() > 0) {
    const size_t length = Load8(in.message, in.at);
    if (length > in.left() - 1) return WrongLength(in, Type::kTxt);
    txt.strings.emplace_back(in.message.substr(in.at + 1, length));
    in.at += 1 + length;
  }
  if (txt.strings.empty()) return WrongLength(in, Type::kTxt);
  return txt;
}

Parsed<RecordData> ReadTlsa(DataReader& in) {
  if (in.left() < 4) return WrongLength(in, Type::kTlsa);
  const std::string_view octets = in.rest();
  return Tlsa{Load8(octets, 0), Load8(octets, 1), Load8(octets, 2), std::string(octets.substr(3))};
}

Parsed<RecordData> ReadSoa(DataReader& in) {
  Soa soa;
  for (Name* part : {&soa.primary, &soa.mailbox}) {
    Parsed<Name> name = in.ReadName();
    if (!name.has_value()) return std::unexpected(std::move(name).error());
    *part = *std::move(name);
  }
  if (in.left() != 20) return WrongLength(in, Type::kSoa);
  for (uint32_t* number : {&soa.serial, &soa.refresh, &soa.retry, &soa.expire, &soa.minimum}) {
    *number = Load32(in.message, in.at);
    in.at += 4;
  }
  return soa;
}

Parsed<RecordData> ReadData(DataReader in, Type type) {
  switch (type) {
    case Type::kA:
    case Type::kAaaa:
      return ReadAddress(in, type);
    case Type::kCname:
    case Type::kPtr:
    case Type::kNs:
      return ReadTarget(in, type);
    case Type::kMx:
      return ReadMx(in);
    case Type::kTxt:
      return ReadTxt(in);
    case Type::kTlsa:
      return ReadTlsa(in);
    case Type::kSoa:
      return ReadSoa(in);
    case Type::kOpt:
      break;
  }
  return Other{std::string(in.rest())};
}

// The owner and the fixed fields; `offset` is behind the data afterwards, `data_at` at its start.
Parsed<Record> ReadHead(std::string_view message, size_t& offset, size_t& data_at) {
  Parsed<Name> owner = Name::Read(message, offset);
  if (!owner.has_value()) return std::unexpected(std::move(owner).error());
  if (message.size() - offset < kFixedOctets)
    return Malformed("message ends within a record", offset);
  Record record;
  record.owner = *std::move(owner);
  record.type = static_cast<Type>(Load16(message, offset));
  record.record_class = Load16(message, offset + 2);
  record.ttl_seconds = Load32(message, offset + 4);
  const size_t length = Load16(message, offset + 8);
  data_at = offset + kFixedOctets;
  if (message.size() - data_at < length) return Malformed("message ends within a record", offset);
  offset = data_at + length;
  return record;
}

struct DataWriter {
  std::string& to;
  Type type;

  void operator()(const Other& other) { to += other.data; }
  void operator()(const Address& address) {
    // A mapped IPv6 address has become an IPv4 one: what belongs to an AAAA has 16 octets again.
    if (type == Type::kAaaa && address.ip.is_v4()) to += std::string(10, '\0') + "\xFF\xFF";
    to += address.ip.bytes();
  }
  void operator()(const Target& target) { to += target.name.wire(); }
  void operator()(const Mx& mx) {
    Append16(to, mx.preference);
    to += mx.exchange.wire();
  }
  void operator()(const Txt& txt) {
    for (const std::string& string : txt.strings) {
      Append8(to, static_cast<uint8_t>(string.size()));
      to += string;
    }
  }
  void operator()(const Tlsa& tlsa) {
    for (const uint8_t octet : {tlsa.usage, tlsa.selector, tlsa.matching_type}) Append8(to, octet);
    to += tlsa.data;
  }
  void operator()(const Soa& soa) {
    to += soa.primary.wire();
    to += soa.mailbox.wire();
    for (const uint32_t number : {soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum})
      Append32(to, number);
  }
};

}  // namespace

std::string TypeName(Type type) {
  switch (type) {
    case Type::kA:
      return "A";
    case Type::kNs:
      return "NS";
    case Type::kCname:
      return "CNAME";
    case Type::kSoa:
      return "SOA";
    case Type::kPtr:
      return "PTR";
    case Type::kMx:
      return "MX";
    case Type::kTxt:
      return "TXT";
    case Type::kAaaa:
      return "AAAA";
    case Type::kOpt:
      return "OPT";
    case Type::kTlsa:
      return "TLSA";
  }
  return "TYPE" + std::to_string(static_cast<unsigned>(type));
}

std::string Txt::Joined() const {
  std::string joined;
  for (const std::string& string : strings) joined += string;
  return joined;
}

size_t OctetsOf(const RecordData& data) {
  std::string octets;
  std::visit(DataWriter{octets, Type::kA}, data);
  return octets.size();
}

Parsed<Record> ReadRecord(std::string_view message, size_t& offset) {
  size_t data_at = 0;
  Parsed<Record> record = ReadHead(message, offset, data_at);
  if (!record.has_value()) return record;
  if (record->ttl_seconds > kMaxTtlOnWire && record->type != Type::kOpt) record->ttl_seconds = 0;
  Parsed<RecordData> data = ReadData({message, data_at, offset}, record->type);
  if (!data.has_value()) return std::unexpected(std::move(data).error());
  record->data = *std::move(data);
  return record;
}

Parsed<Type> SkipRecord(std::string_view message, size_t& offset) {
  size_t data_at = 0;
  const Parsed<Record> head = ReadHead(message, offset, data_at);
  if (!head.has_value()) return std::unexpected(head.error());
  return head->type;
}

void AppendRecord(std::string& to, const Record& record) {
  to += record.owner.wire();
  Append16(to, static_cast<uint16_t>(record.type));
  Append16(to, record.record_class);
  Append32(to, record.ttl_seconds);
  const size_t length_at = to.size();
  Append16(to, 0);
  std::visit(DataWriter{to, record.type}, record.data);
  const size_t length = to.size() - length_at - 2;
  to[length_at] = static_cast<char>(length >> 8);
  to[length_at + 1] = static_cast<char>(length & 0xFF);
}

}  // namespace postern::dns
