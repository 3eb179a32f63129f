// common/base/ip.h — IP addresses, networks and socket addresses as values. Pure: nothing is looked
// up.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern {

// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address (::ffff:a.b.c.d) becomes its IPv4 form on
// construction, so that one client has one spelling.
class IpAddress {
 public:
  enum class Family : uint8_t { kNone = 0, kV4 = 4, kV6 = 6 };

  IpAddress() = default;  // Family::kNone, prints as "-"
  static IpAddress V4(uint32_t host_order);
  static IpAddress V6(const std::array<uint8_t, 16>& bytes);
  // "192.0.2.1", "2001:db8::1"; no zone ids, no brackets, no leading zeros in a dotted quad.
  static Parsed<IpAddress> Parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kV4; }
  bool is_v6() const { return family_ == Family::kV6; }
  bool is_loopback() const;
  // 4 or 16 octets in network order (empty for kNone); the view lives as long as the object.
  std::string_view bytes() const;
  // The canonical text (RFC 5952 for IPv6).
  std::string ToString() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  template <class H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.family_, a.bytes_);
  }

 private:
  Family family_ = Family::kNone;
  std::array<uint8_t, 16> bytes_{};
};

// A prefix: "192.0.2.0/24", "2001:db8::/32"; a bare address is a full-length prefix. Bits beyond
// the prefix must be zero: Parse says which network was probably meant.
class IpNetwork {
 public:
  static Parsed<IpNetwork> Parse(std::string_view text);
  static IpNetwork Of(const IpAddress& address, int prefix_bits);  // cuts the host bits off

  const IpAddress& address() const { return address_; }
  int prefix_bits() const { return prefix_bits_; }
  bool Contains(const IpAddress& address) const;
  std::string ToString() const;

  friend bool operator==(const IpNetwork&, const IpNetwork&) = default;

 private:
  IpAddress address_;
  int prefix_bits_ = 0;
};

// Address and port, as sockets take them.
struct SocketAddress {
  IpAddress ip;
  uint16_t port = 0;

  // "192.0.2.1:25", "[2001:db8::1]:25".
  static Parsed<SocketAddress> Parse(std::string_view text);
  // From what the kernel filled in; kNone for other families.
  static SocketAddress From(const sockaddr_storage& storage);
  // Fills `storage`, returns its length.
  socklen_t ToSockaddr(sockaddr_storage& storage) const;
  std::string ToString() const;

  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};

// A host (name or IP literal) and a port, as the configuration names a next hop:
// "mx.example.org:25", "192.0.2.1:2525", "[2001:db8::1]:25". Port 0: not given.
struct HostPort {
  std::string host;  // lower case; an IP address in its canonical text, without brackets
  uint16_t port = 0;

  static Parsed<HostPort> Parse(std::string_view text);
  std::string ToString() const;

  friend auto operator<=>(const HostPort&, const HostPort&) = default;
};

}  // namespace postern
