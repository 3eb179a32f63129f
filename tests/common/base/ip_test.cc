#include "common/base/ip.h"

#include <gtest/gtest.h>

#include <cstring>

namespace postern {
namespace {

IpAddress Address(std::string_view text) {
  const Parsed<IpAddress> parsed = IpAddress::Parse(text);
  EXPECT_TRUE(parsed.has_value()) << text << ": " << parsed.error().reason;
  return parsed.value_or(IpAddress());
}

struct Spelling {
  std::string_view text;
  std::string_view canonical;
};

TEST(IpAddress, PrintsTheCanonicalFormOfWhatItParsed) {
  static constexpr Spelling kGood[] = {
      {"0.0.0.0", "0.0.0.0"},
      {"192.0.2.1", "192.0.2.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8::1", "2001:db8::1"},
      {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // one zero group is no run
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // the longest run
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // the first of equals
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
      {"1:2:3:4:5:6:192.0.2.33", "1:2:3:4:5:6:c000:221"},
      {"::ffff:192.0.2.1", "192.0.2.1"},  // IPv4-mapped: one client, one spelling
      {"::ffff:c000:201", "192.0.2.1"},
      {"::fffe:c000:201", "::fffe:c000:201"},
  };
  for (const auto& [text, canonical] : kGood) {
    const IpAddress address = Address(text);
    EXPECT_EQ(address.ToString(), canonical) << text;
    EXPECT_EQ(Address(address.ToString()), address) << text;
  }
}

TEST(IpAddress, RefusesEverythingElseWithTheOffset) {
  static constexpr struct {
    std::string_view text;
    size_t offset;
  } kBad[] = {
      {"", 0},
      {"1.2.3", 5},
      {"1.2.3.", 6},
      {"1.2.3.4.", 7},
      {"1.2.3.4 ", 7},
      {"256.0.0.1", 0},
      {"1.2.3.999", 6},
      {"1.2.3.04", 6},
      {"01.2.3.4", 0},
      {"1.2.3.4/8", 7},
      {"a.b.c.d", 0},
      {":", 0},
      {":1::", 0},
      {":::", 2},
      {"1:", 2},
      {"1::2::3", 5},
      {"1:2:3:4:5:6:7", 13},
      {"1:2:3:4:5:6:7:8:9", 16},
      {"1:2:3:4:5:6:7:8::", 17},
      {"1:2:3:4:5:6:7:192.0.2.1", 14},
      {"12345::", 0},
      {"g::", 0},
      {"::1%eth0", 3},
      {"[::1]", 0},
      {"::ffff:1.2.3.256", 13},
  };
  for (const auto& [text, offset] : kBad) {
    const Parsed<IpAddress> parsed = IpAddress::Parse(text);
    ASSERT_FALSE(parsed.has_value()) << text << " became " << parsed->ToString();
    EXPECT_EQ(parsed.error().offset, offset) << text << ": " << parsed.error().reason;
    EXPECT_FALSE(parsed.error().reason.empty());
  }
}

TEST(IpAddress, ADefaultOneIsNone) {
  EXPECT_EQ(IpAddress().family(), IpAddress::Family::kNone);
  EXPECT_EQ(IpAddress().ToString(), "-");
  EXPECT_EQ(IpAddress().bytes(), "");
  EXPECT_FALSE(IpAddress().is_loopback());
}

TEST(IpAddress, KnowsLoopback) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(Address(text).is_loopback()) << text;
  for (const char* text : {"126.255.255.255", "128.0.0.0", "::", "::2", "1::1", "0.0.0.1"})
    EXPECT_FALSE(Address(text).is_loopback()) << text;
}

TEST(IpAddress, GivesItsOctetsInNetworkOrder) {
  EXPECT_EQ(IpAddress::V4(0xc0000201).bytes(), std::string_view("\xc0\x00\x02\x01", 4));
  EXPECT_EQ(Address("::1").bytes().size(), 16u);
}

TEST(IpNetwork, ContainsWhatItsPrefixSays) {
  static constexpr struct {
    std::string_view network;
    std::string_view address;
    bool inside;
  } kRows[] = {
      {"192.0.2.0/24", "192.0.2.0", true},
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1/32", "192.0.2.2", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "1.2.3.4", false},
      {"::/0", "ffff::", true},
      {"2001:db8::/33", "2001:db8:7fff::", true},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"192.0.2.0/24", "::ffff:192.0.2.7", true},
  };
  for (const auto& row : kRows) {
    const Parsed<IpNetwork> network = IpNetwork::Parse(row.network);
    ASSERT_TRUE(network.has_value()) << row.network << ": " << network.error().reason;
    EXPECT_EQ(network->Contains(Address(row.address)), row.inside)
        << row.network << ' ' << row.address;
    EXPECT_EQ(IpNetwork::Parse(network->ToString()), *network);
  }
  EXPECT_FALSE(IpNetwork::Parse("0.0.0.0/0")->Contains(IpAddress()));
  EXPECT_FALSE(IpNetwork().Contains(IpAddress()));
}

TEST(IpNetwork, HostBitsAreRefusedNamingTheNetworkProbablyMeant) {
  const Parsed<IpNetwork> v4 = IpNetwork::Parse("192.0.2.7/24");
  ASSERT_FALSE(v4.has_value());
  EXPECT_EQ(v4.error().reason, "bits are set beyond the prefix; probably meant: 192.0.2.0/24");
  const Parsed<IpNetwork> v6 = IpNetwork::Parse("2001:db8::1/32");
  ASSERT_FALSE(v6.has_value());
  EXPECT_EQ(v6.error().reason, "bits are set beyond the prefix; probably meant: 2001:db8::/32");
}

TEST(IpNetwork, RefusesBadPrefixes) {
  for (const char* text : {"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/x", "192.0.2.0/08", "::/129",
                           "192.0.2/24", "::ffff:192.0.2.0/120", "/8", ""})
    EXPECT_FALSE(IpNetwork::Parse(text).has_value()) << text;
}

TEST(IpNetwork, OfCutsTheHostBitsOff) {
  EXPECT_EQ(IpNetwork::Of(Address("2001:db8:1:2:3::4"), 64).ToString(), "2001:db8:1:2::/64");
  EXPECT_EQ(IpNetwork::Of(Address("192.0.2.255"), 25).ToString(), "192.0.2.128/25");
  EXPECT_EQ(IpNetwork::Of(Address("192.0.2.255"), 99).ToString(), "192.0.2.255/32");
  EXPECT_EQ(IpNetwork::Of(Address("192.0.2.255"), 0).ToString(), "0.0.0.0/0");
}

TEST(SocketAddress, IsPrintedAsItIsParsed) {
  for (const char* text : {"192.0.2.1:25", "0.0.0.0:0", "[::]:25", "[2001:db8::1]:65535"}) {
    const Parsed<SocketAddress> address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.has_value()) << text << ": " << address.error().reason;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(SocketAddress, RefusesHalfAddresses) {
  for (const char* text :
       {"", "192.0.2.1", "192.0.2.1:", "192.0.2.1:x", "192.0.2.1:65536", "192.0.2.1:025", ":25",
        "::1:25", "[::1]", "[::1]25", "[::1:25", "[192.0.2.1]:25", "mx.example.org:25"})
    EXPECT_FALSE(SocketAddress::Parse(text).has_value()) << text;
}

TEST(SocketAddress, SurvivesTheKernelsForm) {
  for (const char* text : {"192.0.2.1:25", "[2001:db8::1]:2525"}) {
    const SocketAddress address = SocketAddress::Parse(text).value_or(SocketAddress());
    sockaddr_storage storage;
    const socklen_t length = address.ToSockaddr(storage);
    EXPECT_EQ(length, address.ip.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    EXPECT_EQ(SocketAddress::From(storage), address);
  }
}

TEST(SocketAddress, OtherFamiliesAreNone) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(SocketAddress::From(storage).ip.family(), IpAddress::Family::kNone);
  EXPECT_EQ(SocketAddress().ToSockaddr(storage), 0u);
  EXPECT_EQ(storage.ss_family, AF_UNSPEC);
}

TEST(HostPort, TakesNamesAndAddresses) {
  static constexpr struct {
    std::string_view text, host, printed;
    uint16_t port;
  } kGood[] = {
      {"mx.example.org:25", "mx.example.org", "mx.example.org:25", 25},
      {"MX.Example.ORG", "mx.example.org", "mx.example.org", 0},
      {"localhost:2525", "localhost", "localhost:2525", 2525},
      {"192.0.2.1:2525", "192.0.2.1", "192.0.2.1:2525", 2525},
      {"192.0.2.1", "192.0.2.1", "192.0.2.1", 0},
      {"[2001:DB8::1]:25", "2001:db8::1", "[2001:db8::1]:25", 25},
      {"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]", 0},
      {"2001:db8::1", "2001:db8::1", "[2001:db8::1]", 0},
      {"3com.example:25", "3com.example", "3com.example:25", 25},
  };
  for (const auto& row : kGood) {
    const Parsed<HostPort> parsed = HostPort::Parse(row.text);
    ASSERT_TRUE(parsed.has_value()) << row.text << ": " << parsed.error().reason;
    EXPECT_EQ(parsed->host, row.host);
    EXPECT_EQ(parsed->port, row.port);
    EXPECT_EQ(parsed->ToString(), row.printed);
    EXPECT_EQ(HostPort::Parse(parsed->ToString()), *parsed);
  }
}

TEST(HostPort, RefusesWhatIsNoHost) {
  for (const char* text :
       {"", ":25", "mx.example.org:", "mx.example.org:0", "mx.example.org:65536", "mx..example",
        ".example", "example.", "-a.example", "a-.example", "a-", "a b", "ex\xc3\xa4mple", "1.2.3",
        "1.2.3.256", "[mx.example.org]:25", "[::1]x", "a:b:c", "mx/25"})
    EXPECT_FALSE(HostPort::Parse(text).has_value()) << text;
}

TEST(HostPort, BoundsLabelsAndNames) {
  const std::string label(63, 'A');
  EXPECT_TRUE(HostPort::Parse(label).has_value());
  EXPECT_FALSE(HostPort::Parse(label + "a").has_value());
  const std::string longest = label + '.' + label + '.' + label + '.' + std::string(61, 'b');
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_TRUE(HostPort::Parse(longest).has_value());
  EXPECT_FALSE(HostPort::Parse(longest + "b").has_value());
}

}  // namespace
}  // namespace postern
