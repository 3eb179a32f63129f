#include "common/dns/record.h"

#include <gtest/gtest.h>

#include "tests/common/dns/builder.h"

namespace postern::dns {
namespace {

using namespace test;
using std::string_literals::operator""s;

// A record owned by the root, with these data.
std::string Wire(Type type, std::string_view data, uint32_t ttl = 5) {
  std::string bytes;
  Record record{.type = type, .ttl_seconds = ttl, .data = Other{std::string(data)}};
  AppendRecord(bytes, record);
  return bytes;
}

TEST(Record, EveryTypeIsReadAsItWasWritten) {
  const Record records[] = {
      A("a.example", "192.0.2.1"),
      Aaaa("a.example", "2001:db8::1"),
      Aaaa("mapped.example", "::ffff:192.0.2.1"),
      MxOf("example", 10, "mx.example"),
      MxOf("example", 0, "."),
      Cname("www.example", "example"),
      Make("1.2.0.192.in-addr.arpa", Type::kPtr, Target{N("host.example")}),
      Make("example", Type::kNs, Target{N("ns.example")}),
      Make("example", Type::kTxt, Txt{{"v=spf1 ", "-all", ""}}),
      Make("_25._tcp.mx.example", Type::kTlsa, Tlsa{3, 1, 1, "\0\1\2"s}),
      SoaOf("example", 3600, 60),
      Make("example", static_cast<Type>(65280), Other{"anything"}),
      Make("example", static_cast<Type>(65280), Other{""}),
  };
  for (const Record& record : records) {
    SCOPED_TRACE(record.owner.ToText() + " " + TypeName(record.type));
    std::string bytes;
    AppendRecord(bytes, record);
    size_t offset = 0;
    const Parsed<Record> read = ReadRecord(bytes, offset);
    ASSERT_TRUE(read.has_value()) << read.error().reason;
    EXPECT_EQ(*read, record);
    EXPECT_EQ(offset, bytes.size());
    size_t skipped = 0;
    EXPECT_EQ(SkipRecord(bytes, skipped).value(), record.type);
    EXPECT_EQ(skipped, bytes.size());
  }
}

TEST(Record, StringsOfATextRecordAreJoinedWithNothingBetween) {
  EXPECT_EQ((Txt{{"v=spf1 ", "-all"}}.Joined()), "v=spf1 -all");
}

TEST(Record, DataThatIsNotWhatItsLengthSaysIsRefused) {
  const struct {
    const char* label;
    Type type;
    std::string data;
  } rows[] = {
      {"A of 3 octets", Type::kA, "abc"},
      {"A of 5 octets", Type::kA, "abcde"},
      {"AAAA of 4 octets", Type::kAaaa, "abcd"},
      {"MX without a host", Type::kMx, "\0\5"s},
      {"MX with octets behind the host", Type::kMx, "\0\5\0x"s},
      {"MX whose host ends beyond the data", Type::kMx, "\0\5\3ab"s},
      {"CNAME of no octets", Type::kCname, ""},
      {"CNAME with octets behind", Type::kCname, "\1a\0x"s},
      {"TXT of no strings", Type::kTxt, ""},
      {"TXT string beyond the data", Type::kTxt, "\4abc"},
      {"TLSA without data", Type::kTlsa, "\3\1\1"},
      {"SOA cut off", Type::kSoa, "\0\0"s + std::string(19, 'x')},
      {"SOA too long", Type::kSoa, "\0\0"s + std::string(21, 'x')},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    const std::string bytes = Wire(row.type, row.data);
    size_t offset = 0;
    EXPECT_FALSE(ReadRecord(bytes, offset).has_value());
    // Another record may follow: it must not help.
    const std::string more = bytes + std::string(300, '\0');
    offset = 0;
    EXPECT_FALSE(ReadRecord(more, offset).has_value());
  }
}

TEST(Record, ACutOffRecordIsRefusedWhereverItEnds) {
  std::string bytes;
  AppendRecord(bytes, MxOf("example.org", 10, "mx.example.org"));
  for (size_t length = 0; length < bytes.size(); ++length) {
    size_t offset = 0;
    EXPECT_FALSE(ReadRecord(std::string_view(bytes).substr(0, length), offset).has_value());
    offset = 0;
    EXPECT_FALSE(SkipRecord(std::string_view(bytes).substr(0, length), offset).has_value());
  }
}

TEST(Record, ATimeToLiveWithTheHighestBitIsZero) {
  const struct {
    uint32_t wire, read;
  } rows[] = {{0x7FFFFFFF, 0x7FFFFFFF}, {0x80000000, 0}, {0xFFFFFFFF, 0}};
  for (const auto& row : rows) {
    size_t offset = 0;
    EXPECT_EQ(ReadRecord(Wire(Type::kA, "abcd", row.wire), offset)->ttl_seconds, row.read);
  }
}

TEST(Record, TypesHaveNames) {
  EXPECT_EQ(TypeName(Type::kTlsa), "TLSA");
  EXPECT_EQ(TypeName(static_cast<Type>(65280)), "TYPE65280");
}

}  // namespace
}  // namespace postern::dns
