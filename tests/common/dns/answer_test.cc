#include "common/dns/answer.h"

#include <gtest/gtest.h>

#include "common/dns/limits.h"
#include "tests/common/dns/builder.h"

namespace postern::dns {
namespace {

using namespace test;

Answer Read(const Message& message, std::string_view name, Type type) {
  return AnswerFrom(message, N(name), type, Security::kInsecure);
}

// c0 -> c1 -> ... -> c<links>, which has an address.
Message ChainOf(int links) {
  Message message = Response("c0", Type::kA);
  for (int i = links; i > 0; --i)
    message.answers.push_back(Cname("c" + std::to_string(i - 1), "c" + std::to_string(i)));
  message.answers.push_back(A("c" + std::to_string(links), "192.0.2.1"));
  return message;
}

TEST(Answer, RecordsOfTheTypeAndNameAloneAreTaken) {
  Message message = Response("a.example", Type::kA);
  Record other_class = A("a.example", "192.0.2.9");
  other_class.record_class = 3;
  message.answers = {A("a.example", "192.0.2.1", 50), A("A.EXAMPLE", "192.0.2.2", 40),
                     A("b.example", "192.0.2.3", 1), Aaaa("a.example", "2001:db8::1", 1),
                     other_class};
  const Answer answer = AnswerFrom(message, N("a.example"), Type::kA, Security::kSecure);
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(answer.security, Security::kSecure);
  EXPECT_EQ(answer.ttl_seconds, 40u);
  EXPECT_EQ(answer.canonical_name, N("a.example"));
  EXPECT_EQ(answer.records, (std::vector<RecordData>{Address{IpAddress::V4(0xC0000201)},
                                                     Address{IpAddress::V4(0xC0000202)}}));
  EXPECT_FALSE(answer.truncated);
}

TEST(Answer, ACnameIsFollowedAndItsTimeCounts) {
  Message message = Response("www.example", Type::kA);
  message.answers = {Cname("www.example", "host.example", 10), A("host.example", "192.0.2.1", 60)};
  const Answer answer = Read(message, "www.example", Type::kA);
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(answer.canonical_name, N("host.example"));
  EXPECT_EQ(answer.ttl_seconds, 10u);
}

TEST(Answer, WhoAsksForACnameGetsIt) {
  Message message = Response("www.example", Type::kCname);
  message.answers = {Cname("www.example", "host.example"), Cname("host.example", "x.example")};
  const Answer answer = Read(message, "www.example", Type::kCname);
  EXPECT_EQ(answer.status, Status::kFound);
  EXPECT_EQ(answer.records, (std::vector<RecordData>{Target{N("host.example")}}));
  EXPECT_EQ(answer.canonical_name, N("www.example"));
}

TEST(Answer, ChainsAreFollowedUpToTheLimit) {
  EXPECT_EQ(Read(ChainOf(kMaxCnames), "c0", Type::kA).status, Status::kFound);
  const Answer longer = Read(ChainOf(kMaxCnames + 1), "c0", Type::kA);
  EXPECT_EQ(longer.status, Status::kTemporaryFailure);
  EXPECT_EQ(longer.reason, "the chain of CNAMEs is a loop or longer than 8");
  // What messages before had counts too.
  const Message three = ChainOf(3);
  EXPECT_EQ(AnswerFrom(three, N("c0"), Type::kA, Security::kInsecure, 5).status, Status::kFound);
  EXPECT_EQ(AnswerFrom(three, N("c0"), Type::kA, Security::kInsecure, 6).status,
            Status::kTemporaryFailure);
  EXPECT_EQ(CountCnames(three, N("c0"), Type::kA), 3);
}

TEST(Answer, ALoopOfCnamesEnds) {
  for (const auto& [from, to] : {std::pair{"a", "a"}, std::pair{"a", "b"}}) {
    Message message = Response("a", Type::kA);
    message.answers = {Cname(from, to), Cname(to, from)};
    EXPECT_EQ(Read(message, "a", Type::kA).status, Status::kTemporaryFailure);
  }
}

TEST(Answer, NoDataAndNoDomainAreToldApart) {
  Message message = Response("a.example", Type::kMx);
  message.authorities = {SoaOf("example", 100, 70)};
  Answer answer = Read(message, "a.example", Type::kMx);
  EXPECT_EQ(answer.status, Status::kNoData);
  EXPECT_EQ(answer.ttl_seconds, 70u);
  EXPECT_EQ(answer.reason, "the name has no MX record");
  message.header.rcode = Rcode::kNameError;
  answer = Read(message, "a.example", Type::kMx);
  EXPECT_EQ(answer.status, Status::kNxDomain);
  EXPECT_EQ(answer.ttl_seconds, 70u);
}

TEST(Answer, ThatSomethingDoesNotExistIsRememberedByItsOwnSoaAlone) {
  const struct {
    const char* label;
    Record soa;
    uint32_t ttl;
  } rows[] = {
      {"the record's time is less", SoaOf("example", 20, 70), 20},
      {"a limit of ours", SoaOf("example", 1u << 20, 1u << 20), kMaxNegativeTtlSeconds},
      {"a zone the name is not in", SoaOf("example.net", 100, 70), 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.label);
    Message message = Response("a.example", Type::kA, Rcode::kNameError);
    message.authorities = {row.soa};
    EXPECT_EQ(Read(message, "a.example", Type::kA).ttl_seconds, row.ttl);
  }
  EXPECT_EQ(Read(Response("a.example", Type::kA), "a.example", Type::kA).ttl_seconds, 0u);
}

TEST(Answer, AChainThatLeavesTheMessageIsIncomplete) {
  Message message = Response("www.example", Type::kA);
  message.answers = {Cname("www.example", "host.other")};
  Answer answer = Read(message, "www.example", Type::kA);
  EXPECT_TRUE(answer.incomplete);
  EXPECT_EQ(answer.canonical_name, N("host.other"));
  message.authorities = {SoaOf("other", 60, 60)};
  answer = Read(message, "www.example", Type::kA);
  EXPECT_FALSE(answer.incomplete);
  EXPECT_EQ(answer.status, Status::kNoData);
}

TEST(Answer, OtherResponseCodesAndBogusAreTemporary) {
  const struct {
    Rcode rcode;
    const char* reason;
  } rows[] = {
      {Rcode::kServerFailure, "the name server says SERVFAIL"},
      {Rcode::kRefused, "the name server says REFUSED"},
      {Rcode::kFormatError, "the name server says FORMERR"},
      {static_cast<Rcode>(9), "the name server says RCODE9"},
  };
  for (const auto& row : rows) {
    Message message = Response("a", Type::kA, row.rcode);
    message.answers = {A("a", "192.0.2.1")};
    const Answer answer = Read(message, "a", Type::kA);
    EXPECT_EQ(answer.status, Status::kTemporaryFailure);
    EXPECT_EQ(answer.reason, row.reason);
    EXPECT_TRUE(answer.records.empty());
  }
  Message message = Response("a", Type::kA);
  message.answers = {A("a", "192.0.2.1")};
  const Answer bogus = AnswerFrom(message, N("a"), Type::kA, Security::kBogus);
  EXPECT_EQ(bogus.status, Status::kTemporaryFailure);
  EXPECT_EQ(bogus.security, Security::kBogus);
  EXPECT_TRUE(bogus.records.empty());
}

TEST(Answer, RecordsAreBoundedInNumber) {
  Message message = Response("a", Type::kA);
  for (size_t i = 0; i < kMaxRecords; ++i) message.answers.push_back(A("a", "192.0.2.1"));
  EXPECT_FALSE(Read(message, "a", Type::kA).truncated);
  message.answers.push_back(A("a", "192.0.2.1"));
  const Answer answer = Read(message, "a", Type::kA);
  EXPECT_TRUE(answer.truncated);
  EXPECT_EQ(answer.records.size(), kMaxRecords);
}

TEST(Answer, RecordsAreBoundedInOctets) {
  const auto txt = [](size_t data_octets) {
    Txt made;
    for (size_t left = data_octets; left > 0;) {
      const size_t piece = std::min<size_t>(left, 256);
      made.strings.emplace_back(piece - 1, 'x');
      left -= piece;
    }
    return Make("a", Type::kTxt, made);
  };
  Message message = Response("a", Type::kTxt);
  for (size_t i = 0; i < kMaxAnswerOctets / kMaxRecordOctets; ++i)
    message.answers.push_back(txt(kMaxRecordOctets));
  EXPECT_FALSE(Read(message, "a", Type::kTxt).truncated);
  message.answers.push_back(txt(1));
  EXPECT_TRUE(Read(message, "a", Type::kTxt).truncated);

  message.answers = {txt(kMaxRecordOctets + 1), txt(10)};
  const Answer answer = Read(message, "a", Type::kTxt);
  EXPECT_TRUE(answer.truncated);
  EXPECT_EQ(answer.records.size(), 1u);
  message.answers = {txt(kMaxRecordOctets + 1)};
  EXPECT_EQ(Read(message, "a", Type::kTxt).status, Status::kTemporaryFailure);
}

TEST(Answer, OutcomesHaveNames) {
  EXPECT_EQ(StatusName(Status::kFound), "found");
  EXPECT_EQ(StatusName(Status::kTemporaryFailure), "tempfail");
  EXPECT_EQ(SecurityName(Security::kSecure), "secure");
  EXPECT_EQ(SecurityName(Security::kUnknown), "unknown");
}

}  // namespace
}  // namespace postern::dns
