#include "common/dns/message.h"

#include <gtest/gtest.h>

#include "common/dns/limits.h"
#include "tests/common/dns/builder.h"

namespace postern::dns {
namespace {

using namespace test;
using std::string_literals::operator""s;

TEST(Message, AQueryAsksForRecursionAndOffersWhatWeTake) {
  const std::string query = BuildQuery(N("a.org"), Type::kMx, {.id = 0xABCD});
  EXPECT_EQ(query,
            "\xAB\xCD\x01\x20\0\1\0\0\0\0\0\1"  // RD, AD
            "\1a\3org\0\0\x0F\0\1"              // MX IN
            "\0\0\x29\x04\xD0\0\0\0\0\0\0"s);   // OPT, 1232 octets
  const std::string plain = BuildQuery(N("a.org"), Type::kMx, {.id = 1, .edns = false});
  EXPECT_EQ(plain, "\0\1\x01\x20\0\1\0\0\0\0\0\0\1a\3org\0\0\x0F\0\1"s);
  const Parsed<Message> secure =
      ParseMessage(BuildQuery(N("a.org"), Type::kA, {.want_ad = false, .dnssec_ok = true}));
  EXPECT_TRUE(secure->edns->dnssec_ok);
  EXPECT_FALSE(secure->header.authentic_data);
}

TEST(Message, WhatIsEncodedIsParsedTheSame) {
  Message message = Response("example.org", Type::kMx, Rcode::kBadVersion);
  message.header.authoritative = message.header.truncated = true;
  message.header.authentic_data = message.header.checking_disabled = true;
  message.header.opcode = 5;
  message.answers = {MxOf("example.org", 10, "mx.example.org"), A("x.example.org", "192.0.2.7")};
  message.authorities = {SoaOf("example.org", 60, 30)};
  message.edns = Edns{.udp_payload_octets = 4096, .version = 0, .dnssec_ok = true};
  const Parsed<Message> parsed = ParseMessage(Encode(message));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().reason;
  EXPECT_EQ(*parsed, message);
}

TEST(Message, AMessageCutOffAnywhereIsRefused) {
  Message message = Response("example.org", Type::kA);
  message.answers = {A("example.org", "192.0.2.1")};
  message.authorities = {SoaOf("example.org", 60, 30)};
  message.edns = Edns{};
  const std::string bytes = Encode(message);
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(ParseMessage(std::string_view(bytes).substr(0, length)).has_value()) << length;
}

TEST(Message, BrokenMessagesAreRefused) {
  Message two_opt = Response("a", Type::kA);
  two_opt.edns = Edns{};
  std::string bytes = Encode(two_opt);
  bytes += bytes.substr(bytes.size() - 11);
  bytes[11] = 2;
  EXPECT_EQ(ParseMessage(bytes).error().reason, "message has two OPT records");

  std::string two_questions = Encode(Response("a", Type::kA));
  two_questions[5] = 2;
  two_questions += "\1b\0\0\1\0\1"s;
  EXPECT_EQ(ParseMessage(two_questions).error().reason, "message has several questions");

  std::string owned = Encode(Response("a", Type::kA)) + "\1x\0\0\x29\4\0\0\0\0\0\0\0"s;
  owned[11] = 1;
  EXPECT_EQ(ParseMessage(owned).error().reason, "OPT is not owned by the root");
}

TEST(Message, SectionsAreBoundedAndTheRestIsStillRead) {
  Message message = Response("a", Type::kA);
  for (size_t i = 0; i < kMaxSectionRecords; ++i) message.answers.push_back(A("a", "192.0.2.1"));
  EXPECT_FALSE(ParseMessage(Encode(message))->records_dropped);
  message.answers.push_back(A("a", "192.0.2.1"));
  message.authorities = {SoaOf("a", 60, 30)};
  const Parsed<Message> parsed = ParseMessage(Encode(message));
  EXPECT_TRUE(parsed->records_dropped);
  EXPECT_EQ(parsed->answers.size(), kMaxSectionRecords);
  EXPECT_EQ(parsed->authorities.size(), 1u);
}

TEST(Message, TheHeadOfATruncatedMessageCanBeRead) {
  Message message = Response("a", Type::kA);
  message.header.truncated = true;
  std::string bytes = Encode(message);
  bytes[7] = 9;  // says that answers follow
  EXPECT_FALSE(ParseMessage(bytes).has_value());
  const Parsed<Message> head = ParseHead(bytes);
  ASSERT_TRUE(head.has_value());
  EXPECT_TRUE(head->header.truncated);
  EXPECT_EQ(head->question->name, N("a"));
}

TEST(Message, OnlyTheAnswerToTheQuestionMatches) {
  const Question asked{N("MaiL.example"), Type::kA, kClassIn};
  const Message good = Response("MaiL.example", Type::kA);
  const uint16_t id = good.header.id;
  EXPECT_EQ(MatchResponse(good, id, asked), Match::kYes);
  EXPECT_EQ(MatchResponse(Response("mail.example", Type::kA), id, asked), Match::kCaseDiffers);
  EXPECT_EQ(MatchResponse(good, id + 1, asked), Match::kNo);
  EXPECT_EQ(MatchResponse(Response("evil.example", Type::kA), id, asked), Match::kNo);
  EXPECT_EQ(MatchResponse(Response("MaiL.example", Type::kMx), id, asked), Match::kNo);
  Message other = good;
  other.header.response = false;
  EXPECT_EQ(MatchResponse(other, id, asked), Match::kNo);
  other = good;
  other.header.opcode = 4;
  EXPECT_EQ(MatchResponse(other, id, asked), Match::kNo);
  other = good;
  other.question->question_class = 3;
  EXPECT_EQ(MatchResponse(other, id, asked), Match::kNo);
  other = good;
  other.question.reset();
  EXPECT_EQ(MatchResponse(other, id, asked), Match::kNo);
}

TEST(Message, CaseComesFromTheRandomBits) {
  EXPECT_EQ(RandomiseCase(N("aB-1.cd"), "\x0F").ToText(), "AB-1.CD");
  EXPECT_EQ(RandomiseCase(N("aB-1.cd"), "\x05").ToText(), "Ab-1.Cd");
  EXPECT_EQ(RandomiseCase(N("aB-1.cd"), "").ToText(), "ab-1.cd");
  EXPECT_EQ(RandomiseCase(Name(), "\xFF").ToText(), ".");
  EXPECT_EQ(RandomiseCase(N(R"(a\255\.b)"), "\xFF").ToText(), R"(A\255\.B)");
}

TEST(Message, ResponseCodesHaveNames) {
  EXPECT_EQ(RcodeName(Rcode::kServerFailure), "SERVFAIL");
  EXPECT_EQ(RcodeName(static_cast<Rcode>(11)), "RCODE11");
}

}  // namespace
}  // namespace postern::dns
