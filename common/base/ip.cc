#include "common/base/ip.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace postern {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Four decimal numbers; leading zeros are refused, since some programs read them as octal.
Parsed<uint32_t> ParseDottedQuad(std::string_view text, size_t start) {
  uint32_t address = 0;
  size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (at >= text.size() || text[at] != '.')
        return Malformed("an IPv4 address has four numbers", start + at);
      ++at;
    }
    const size_t begin = at;
    uint32_t value = 0;
    while (at < text.size() && IsDigit(text[at]) && at - begin < 4)
      value = value * 10 + static_cast<uint32_t>(text[at++] - '0');
    if (at == begin) return Malformed("a number is missing in the IPv4 address", start + at);
    if (at - begin > 1 && text[begin] == '0')
      return Malformed("a number in the IPv4 address starts with zero", start + begin);
    if (value > 255) return Malformed("a number in the IPv4 address is above 255", start + begin);
    address = address << 8 | value;
  }
  if (at != text.size()) return Malformed("something follows the IPv4 address", start + at);
  return address;
}

// Collects the 16-bit groups of an IPv6 address and the place of "::" (RFC 4291 §2.2).
class V6Parser {
 public:
  explicit V6Parser(std::string_view text) : text_(text) {}

  Parsed<std::array<uint8_t, 16>> Parse() {
    if (text_.starts_with("::")) {
      gap_ = 0;
      at_ = 2;
    }
    bool first = true;
    while (at_ < text_.size()) {
      if (!first)
        if (auto colon = Separator(); !colon) return std::unexpected(colon.error());
      first = false;
      if (at_ == text_.size()) break;  // "1::"
      if (auto group = Group(); !group) return std::unexpected(group.error());
    }
    if (!gap_ && count_ < 8) return Malformed("the IPv6 address is too short", at_);
    if (gap_ && count_ > 7) return Malformed("the IPv6 address is too long", at_);
    return Expand();
  }

 private:
  // ":" or, once, "::"; a single colon at the end is refused.
  Parsed<bool> Separator() {
    if (text_[at_] != ':') return Malformed("an IPv6 group has one to four hex digits", at_);
    ++at_;
    if (at_ < text_.size() && text_[at_] == ':') {
      if (gap_) return Malformed("an IPv6 address has \"::\" once at most", at_);
      gap_ = count_;
      ++at_;
    } else if (at_ == text_.size()) {
      return Malformed("the IPv6 address ends in a colon", at_);
    }
    return true;
  }

  Parsed<bool> Group() {
    const std::string_view rest = text_.substr(at_);
    const size_t end = std::min(rest.find(':'), rest.size());
    if (end == rest.size() && rest.find('.') != rest.npos) return DottedTail(rest);
    if (count_ == 8) return Malformed("the IPv6 address is too long", at_);
    uint16_t value = 0;
    for (size_t i = 0; i < std::min<size_t>(end, 4); ++i) {
      const int digit = HexValue(rest[i]);
      if (digit < 0) return Malformed("not a hex digit in the IPv6 address", at_ + i);
      value = static_cast<uint16_t>(value << 4 | digit);
    }
    if (end == 0 || end > 4) return Malformed("an IPv6 group has one to four hex digits", at_);
    groups_[count_++] = value;
    at_ += end;
    return true;
  }

  Parsed<bool> DottedTail(std::string_view rest) {
    if (count_ > 6) return Malformed("the IPv6 address is too long", at_);
    const Parsed<uint32_t> quad = ParseDottedQuad(rest, at_);
    if (!quad) return std::unexpected(quad.error());
    groups_[count_++] = static_cast<uint16_t>(*quad >> 16);
    groups_[count_++] = static_cast<uint16_t>(*quad);
    at_ = text_.size();
    return true;
  }

  std::array<uint8_t, 16> Expand() const {
    std::array<uint8_t, 16> bytes{};
    const size_t head = gap_.value_or(count_);
    for (size_t i = 0; i < count_; ++i) {
      const size_t to = i < head ? i : 8 - (count_ - i);
      bytes[2 * to] = static_cast<uint8_t>(groups_[i] >> 8);
      bytes[2 * to + 1] = static_cast<uint8_t>(groups_[i]);
    }
    return bytes;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::array<uint16_t, 8> groups_{};
  size_t count_ = 0;
  std::optional<size_t> gap_;
};

// The longest run of two or more zero groups, the first of equals (RFC 5952 §4.2).
std::pair<int, int> LongestZeroRun(const std::array<uint16_t, 8>& groups) {
  int best = -1, best_length = 1;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[static_cast<size_t>(end)] == 0) ++end;
    if (end - i > best_length) {
      best = i;
      best_length = end - i;
    }
    i = std::max(end, i + 1);
  }
  return {best, best_length};
}

std::string V6Text(const std::array<uint8_t, 16>& bytes) {
  std::array<uint16_t, 8> groups;
  for (size_t i = 0; i < 8; ++i)
    groups[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  const auto [gap, length] = LongestZeroRun(groups);
  std::string text;
  for (int i = 0; i < 8; ++i) {
    if (i == gap) {
      text += "::";
      i += length - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    char digits[4];
    const auto end = std::to_chars(digits, digits + 4, groups[static_cast<size_t>(i)], 16).ptr;
    text.append(digits, end);
  }
  return text;
}

Parsed<uint16_t> ParsePort(std::string_view text, size_t offset) {
  if (text.empty()) return Malformed("the port is missing", offset);
  uint32_t port = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!IsDigit(text[i])) return Malformed("the port is not a number", offset + i);
    port = port * 10 + static_cast<uint32_t>(text[i] - '0');
    if (port > 65535) return Malformed("the port is above 65535", offset);
  }
  if (text.size() > 1 && text[0] == '0') return Malformed("the port starts with zero", offset);
  return static_cast<uint16_t>(port);
}

// "host" and the port's text behind the last colon, or what stands in brackets.
struct HostAndPort {
  std::string_view host;
  size_t host_offset = 0;
  std::optional<std::string_view> port;
  size_t port_offset = 0;
  bool bracketed = false;
};

Parsed<HostAndPort> SplitPort(std::string_view text) {
  HostAndPort split;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == text.npos) return Malformed("the bracket is not closed", text.size());
    split.host = text.substr(1, close - 1);
    split.host_offset = 1;
    split.bracketed = true;
    if (close + 1 == text.size()) return split;
    if (text[close + 1] != ':')
      return Malformed("a colon and the port follow the bracket", close + 1);
    split.port_offset = close + 2;
    split.port = text.substr(close + 2);
    return split;
  }
  const size_t colon = text.find(':');
  if (colon != text.npos && text.find(':', colon + 1) != text.npos)
    return Malformed("an IPv6 address with a port is written in brackets, [address]:port", colon);
  split.host = text.substr(0, colon);
  if (colon != text.npos) {
    split.port_offset = colon + 1;
    split.port = text.substr(colon + 1);
  }
  return split;
}

std::string WithPort(std::string_view host, bool bracket, uint16_t port) {
  std::string text;
  if (bracket) text += '[';
  text += host;
  if (bracket) text += ']';
  text += ':';
  return text + std::to_string(port);
}

// Letters, digits, hyphens and underscores in labels of 1 to 63 octets (RFC 1035 §2.3.4).
Parsed<std::string> ParseHostName(std::string_view text) {
  if (text.empty()) return Malformed("the host is missing");
  if (text.size() > 253) return Malformed("the host name is longer than 253 octets", 253);
  std::string name;
  size_t label = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c =
        text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c == '.') {
      if (label == i) return Malformed("the host name has an empty label", i);
      if (text[i - 1] == '-') return Malformed("a label of the host name ends in a hyphen", i - 1);
      label = i + 1;
    } else if (c == '-' && i == label) {
      return Malformed("a label of the host name starts with a hyphen", i);
    } else if (!((c >= 'a' && c <= 'z') || IsDigit(c) || c == '-' || c == '_')) {
      return Malformed("a character is not allowed in a host name", i);
    } else if (i - label >= 63) {
      return Malformed("a label of the host name is longer than 63 octets", i);
    }
    name += c;
  }
  if (label == text.size()) return Malformed("the host name ends in a dot", text.size() - 1);
  if (text.back() == '-')
    return Malformed("a label of the host name ends in a hyphen", text.size() - 1);
  return name;
}

std::unexpected<ParseError> Shifted(ParseError error, size_t offset) {
  error.offset += offset;
  return std::unexpected(std::move(error));
}

}  // namespace

IpAddress IpAddress::V4(uint32_t host_order) {
  IpAddress address;
  address.family_ = Family::kV4;
  for (size_t i = 0; i < 4; ++i)
    address.bytes_[i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
  return address;
}

IpAddress IpAddress::V6(const std::array<uint8_t, 16>& bytes) {
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  IpAddress address;
  if (std::memcmp(bytes.data(), kMapped, sizeof kMapped) == 0) {
    address.family_ = Family::kV4;
    std::memcpy(address.bytes_.data(), bytes.data() + 12, 4);
    return address;
  }
  address.family_ = Family::kV6;
  address.bytes_ = bytes;
  return address;
}

Parsed<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.empty()) return Malformed("the IP address is missing");
  if (text.find(':') == text.npos) {
    const Parsed<uint32_t> quad = ParseDottedQuad(text, 0);
    if (!quad) return std::unexpected(quad.error());
    return V4(*quad);
  }
  const Parsed<std::array<uint8_t, 16>> bytes = V6Parser(text).Parse();
  if (!bytes) return std::unexpected(bytes.error());
  return V6(*bytes);
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  if (!is_v6()) return false;
  return bytes_[15] == 1 &&
         std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; });
}

std::string_view IpAddress::bytes() const {
  const size_t length = is_v4() ? 4 : is_v6() ? 16 : 0;
  return {reinterpret_cast<const char*>(bytes_.data()), length};
}

std::string IpAddress::ToString() const {
  if (is_v6()) return V6Text(bytes_);
  if (!is_v4()) return "-";
  std::string text = std::to_string(bytes_[0]);
  for (size_t i = 1; i < 4; ++i) text.append(".").append(std::to_string(bytes_[i]));
  return text;
}

IpNetwork IpNetwork::Of(const IpAddress& address, int prefix_bits) {
  IpNetwork network;
  std::array<uint8_t, 16> bytes{};
  const std::string_view from = address.bytes();
  network.prefix_bits_ = std::clamp(prefix_bits, 0, static_cast<int>(from.size()) * 8);
  for (size_t i = 0; i < from.size(); ++i) {
    const int kept = std::clamp(network.prefix_bits_ - static_cast<int>(i) * 8, 0, 8);
    bytes[i] = static_cast<uint8_t>(static_cast<uint8_t>(from[i]) & (0xff00 >> kept));
  }
  if (address.is_v4()) {
    network.address_ = IpAddress::V4(static_cast<uint32_t>(bytes[0]) << 24 | bytes[1] << 16 |
                                     bytes[2] << 8 | bytes[3]);
  } else if (address.is_v6()) {
    network.address_ = IpAddress::V6(bytes);
  }
  return network;
}

Parsed<IpNetwork> IpNetwork::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  const Parsed<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  // Cutting bits of an IPv4-mapped address would need its 96 leading ones: say the plain form.
  if (address->is_v4() && text.substr(0, slash).find(':') != text.npos)
    return Malformed("an IPv4 network is written as such, " + address->ToString());
  const int longest = address->is_v4() ? 32 : 128;
  if (slash == text.npos) return Of(*address, longest);
  const Parsed<uint16_t> bits = ParsePort(text.substr(slash + 1), slash + 1);
  if (!bits || *bits > longest)
    return Malformed("the prefix length is a number from 0 to " + std::to_string(longest),
                     slash + 1);
  IpNetwork network = Of(*address, *bits);
  if (network.address() != *address)
    return Malformed("bits are set beyond the prefix; probably meant: " + network.ToString(), 0);
  return network;
}

bool IpNetwork::Contains(const IpAddress& address) const {
  if (address.family() != address_.family() || address.family() == IpAddress::Family::kNone)
    return false;
  return Of(address, prefix_bits_).address_ == address_;
}

std::string IpNetwork::ToString() const {
  return address_.ToString() + "/" + std::to_string(prefix_bits_);
}

Parsed<SocketAddress> SocketAddress::Parse(std::string_view text) {
  const Parsed<HostAndPort> split = SplitPort(text);
  if (!split) return std::unexpected(split.error());
  const Parsed<IpAddress> ip = IpAddress::Parse(split->host);
  if (!ip) return Shifted(ip.error(), split->host_offset);
  if (split->bracketed != (split->host.find(':') != std::string_view::npos))
    return Malformed("brackets are for IPv6 addresses", 0);
  if (!split->port) return Malformed("a colon and the port are missing", text.size());
  const Parsed<uint16_t> port = ParsePort(*split->port, split->port_offset);
  if (!port) return std::unexpected(port.error());
  return SocketAddress{*ip, *port};
}

SocketAddress SocketAddress::From(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &storage, sizeof in);
    return {IpAddress::V4(ntohl(in.sin_addr.s_addr)), ntohs(in.sin_port)};
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 in6;
    std::memcpy(&in6, &storage, sizeof in6);
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return {IpAddress::V6(bytes), ntohs(in6.sin6_port)};
  }
  return {};
}

socklen_t SocketAddress::ToSockaddr(sockaddr_storage& storage) const {
  storage = {};
  const std::string_view bytes = ip.bytes();
  if (ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&storage, &in, sizeof in);
    return sizeof in;
  }
  if (ip.is_v6()) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&in6.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&storage, &in6, sizeof in6);
    return sizeof in6;
  }
  return 0;
}

std::string SocketAddress::ToString() const { return WithPort(ip.ToString(), ip.is_v6(), port); }

Parsed<HostPort> HostPort::Parse(std::string_view text) {
  HostPort result;
  if (const Parsed<IpAddress> bare = IpAddress::Parse(text)) {
    result.host = bare->ToString();
    return result;
  }
  const Parsed<HostAndPort> split = SplitPort(text);
  if (!split) return std::unexpected(split.error());
  if (split->bracketed) {
    const Parsed<IpAddress> ip = IpAddress::Parse(split->host);
    if (!ip) return Shifted(ip.error(), split->host_offset);
    result.host = ip->ToString();
  } else if (const Parsed<IpAddress> ip = IpAddress::Parse(split->host)) {
    result.host = ip->ToString();
  } else {
    const Parsed<std::string> name = ParseHostName(split->host);
    if (!name) return std::unexpected(name.error());
    // A name whose last label is all digits is a mistyped address (RFC 3696 §2).
    const std::string_view last = std::string_view(*name).substr(name->rfind('.') + 1);
    if (std::all_of(last.begin(), last.end(), IsDigit))
      return Malformed("neither an IP address nor a host name");
    result.host = *name;
  }
  if (split->port) {
    const Parsed<uint16_t> port = ParsePort(*split->port, split->port_offset);
    if (!port) return std::unexpected(port.error());
    if (*port == 0) return Malformed("the port is zero", split->port_offset);
    result.port = *port;
  }
  return result;
}

std::string HostPort::ToString() const {
  const bool v6 = host.find(':') != std::string::npos;
  if (port != 0) return WithPort(host, v6, port);
  return v6 ? "[" + host + "]" : host;
}

}  // namespace postern
