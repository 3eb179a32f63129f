#include "daemons/resolvd/translate.h"

#include <gtest/gtest.h>

#include "common/dns/limits.h"
#include "common/ipc/codec.h"
#include "tests/common/dns/builder.h"

namespace postern::resolvd {
namespace {

using dns::Type;
using dns::test::N;
using std::string_literals::operator""s;
namespace wire = protocol::dns;

dns::Answer Found(std::vector<dns::RecordData> records) {
  dns::Answer answer;
  answer.status = dns::Status::kFound;
  answer.security = dns::Security::kSecure;
  answer.canonical_name = N("Host.Example");
  answer.ttl_seconds = 7;
  answer.records = std::move(records);
  return answer;
}

TEST(Translate, EveryTypeHasItsForm) {
  const struct {
    Type type;
    dns::RecordData data;
    uint16_t preference;
    std::string octets;
  } rows[] = {
      {Type::kA, dns::Address{IpAddress::V4(0xC0000201)}, 0, "\xC0\0\2\1"s},
      {Type::kAaaa, dns::Address{IpAddress::Parse("::1").value()}, 0, std::string(15, '\0') + "\1"},
      {Type::kMx, dns::Mx{10, N("MX.Example")}, 10, "mx.example"},
      {Type::kMx, dns::Mx{0, N(".")}, 0, "."},
      {Type::kPtr, dns::Target{N("Host.example")}, 0, "host.example"},
      {Type::kTxt, dns::Txt{{"a", "B"}}, 0, "aB"},
      {Type::kTlsa, dns::Tlsa{3, 1, 2, "xyz"}, 0, "\3\1\2xyz"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(dns::TypeName(row.type));
    const wire::Answer message = ToMessage(Found({row.data}), row.type);
    EXPECT_EQ(message.status, wire::Status::kFound);
    EXPECT_EQ(message.security, wire::Security::kSecure);
    EXPECT_EQ(message.canonical_name, "host.example");
    EXPECT_EQ(message.ttl_seconds, 7u);
    ASSERT_EQ(message.records.size(), 1u);
    EXPECT_EQ(message.records[0].preference, row.preference);
    EXPECT_EQ(message.records[0].data, row.octets);
  }
}

TEST(Translate, OutcomesAndVerdictsKeepTheirMeaning) {
  dns::Answer answer;
  answer.status = dns::Status::kNxDomain;
  EXPECT_EQ(ToMessage(answer, Type::kA).status, wire::Status::kNoDomain);
  answer.status = dns::Status::kNoData;
  EXPECT_EQ(ToMessage(answer, Type::kA).status, wire::Status::kNoData);
  answer = dns::Failure(N("a"), std::string(5000, 'r'));
  answer.security = dns::Security::kBogus;
  const wire::Answer failure = ToMessage(answer, Type::kA);
  EXPECT_EQ(failure.status, wire::Status::kTemporaryFailure);
  EXPECT_EQ(failure.security, wire::Security::kUnknown);
  EXPECT_EQ(failure.reason.size(), protocol::kMaxReason);
}

TEST(Translate, HalfAPolicyIsNone) {
  dns::Answer answer = Found({dns::Txt{{"v=spf1"}}});
  answer.truncated = true;
  EXPECT_EQ(ToMessage(answer, Type::kTxt).status, wire::Status::kTemporaryFailure);
  answer.records = {dns::Mx{10, N("mx.example")}};
  EXPECT_EQ(ToMessage(answer, Type::kMx).status, wire::Status::kFound);
}

TEST(Translate, TheLargestAnswerFitsTheChannel) {
  std::vector<dns::RecordData> records;
  for (size_t i = 0; i < dns::kMaxRecords; ++i)
    records.push_back(dns::Txt{{std::string(dns::kMaxAnswerOctets / dns::kMaxRecords - 1, 'x')}});
  dns::Answer answer = Found(records);
  answer.reason = std::string(5000, 'r');
  std::string encoded;
  ASSERT_TRUE(ipc::Encode(ToMessage(answer, Type::kTxt), encoded));
  EXPECT_LE(encoded.size(), protocol::kSmtpcResolvd.max_payload_octets);
  // Names of nothing but escapes are the longest in text.
  std::string escapes;
  for (int i = 0; i < 120; ++i) escapes += "\\255.";
  records.assign(dns::kMaxRecords, dns::Target{N(escapes)});
  answer.records = records;
  encoded.clear();
  ASSERT_TRUE(ipc::Encode(ToMessage(answer, Type::kPtr), encoded));
  EXPECT_LE(encoded.size(), protocol::kSmtpcResolvd.max_payload_octets);
  answer.canonical_name = N(escapes);
  encoded.clear();
  const wire::Answer refused = ToMessage(answer, Type::kPtr);
  EXPECT_EQ(refused.status, wire::Status::kTemporaryFailure);
  EXPECT_TRUE(ipc::Encode(refused, encoded));
}

TEST(Translate, OnlyTypesThatAreProvidedForMayBeAsked) {
  EXPECT_EQ(TypeOf(wire::RecordType::kTlsa), Type::kTlsa);
  EXPECT_EQ(TypeOf(static_cast<wire::RecordType>(0)), std::nullopt);
  EXPECT_EQ(TypeOf(static_cast<wire::RecordType>(6)), std::nullopt);
}

TEST(Translate, WhatIsNoNameDoesNotExist) {
  const wire::Answer answer = NotAName("a..b", {.reason = "name has an empty label", .offset = 2});
  EXPECT_EQ(answer.status, wire::Status::kNoDomain);
  EXPECT_EQ(answer.reason, "no name of DNS: name has an empty label");
}

}  // namespace
}  // namespace postern::resolvd
