#include "common/ipc/codec.h"

#include <gtest/gtest.h>

#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "tests/common/ipc/sample_job.h"

namespace postern::ipc {
namespace {

namespace delivery = protocol::delivery;
namespace policy = protocol::policy;

TEST(Codec, WhatIsDecodedIsEncodedAgainTheSame) {
  std::string bytes;
  ASSERT_TRUE(Encode(SampleJob(), bytes));
  const Parsed<delivery::Job> job = Decode<delivery::Job>(bytes);
  ASSERT_TRUE(job.has_value()) << job.error().reason;
  EXPECT_EQ(job->recipients[1].address, "c@example.org");
  EXPECT_EQ(job->inline_content, SampleJob().inline_content);
  std::string again;
  ASSERT_TRUE(Encode(*job, again));
  EXPECT_EQ(bytes, again);
}

TEST(Codec, EveryTruncationAndATrailingOctetAreRefused) {
  std::string bytes;
  ASSERT_TRUE(Encode(SampleJob(), bytes));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Decode<delivery::Job>(std::string_view(bytes).substr(0, length)).has_value())
        << length;
  }
  EXPECT_FALSE(Decode<delivery::Job>(bytes + '\0').has_value());
}

TEST(Codec, BoundsHoldAtTheirEdgeOnBothSides) {
  policy::RecipientQuestion question;
  question.recipient = std::string(protocol::kMaxAddress, 'a');
  std::string bytes;
  EXPECT_TRUE(Encode(question, bytes));
  EXPECT_TRUE(Decode<policy::RecipientQuestion>(bytes).has_value());
  question.recipient += 'a';
  std::string over;
  EXPECT_FALSE(Encode(question, over));
  EXPECT_FALSE(Decode<policy::RecipientQuestion>(over).has_value());
}

TEST(Codec, AnEnumeratorBeyondTheLastIsRefused) {
  policy::Verdict verdict;
  std::string bytes;
  ASSERT_TRUE(Encode(verdict, bytes));
  bytes[0] = static_cast<char>(policy::kLastDecision);
  EXPECT_TRUE(Decode<policy::Verdict>(bytes).has_value());
  bytes[0] = static_cast<char>(policy::kLastDecision + 1);
  EXPECT_FALSE(Decode<policy::Verdict>(bytes).has_value());
}

TEST(Codec, PrintingEscapesForeignText) {
  policy::RecipientQuestion question;
  question.helo = "evil\r\nline";
  EXPECT_NE(ToText(question).find("helo=\"evil\\r\\nline\""), std::string::npos)
      << ToText(question);
}

// One field of every kind.
enum class Colour : uint8_t { kRed, kGreen };
struct Part {
  static constexpr bool kHasFields = true;
  std::string text;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("part_text", m.text, 4);
  }
};
struct Everything {
  bool flag = false;
  uint8_t small = 0;
  int64_t large = 0;
  Colour colour = Colour::kRed;
  std::string text;
  std::optional<uint16_t> maybe;
  std::vector<std::string> texts;
  std::vector<Part> parts;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    v("flag", m.flag);
    v("small", m.small);
    v("large", m.large);
    v("colour", m.colour, uint64_t{1});
    v("text", m.text, 4);
    v("maybe", m.maybe);
    v("texts", m.texts, 2, 3);
    v("parts", m.parts, 2);
  }
};

Everything Sample() {
  return {.flag = true,
          .small = 200,
          .large = -2,
          .colour = Colour::kGreen,
          .text = "four",
          .maybe = 513,
          .texts = {"abc", ""},
          .parts = {{.text = "x"}, {.text = "four"}}};
}

TEST(Codec, EveryKindOfFieldIsLaidOutAsItIsSaid) {
  std::string bytes;
  ASSERT_TRUE(Encode(Sample(), bytes));
  const char expected[] =
      "\x01\xc8\xfe\xff\xff\xff\xff\xff\xff\xff\x01\x04\0\0\0four\x01\x01\x02"
      "\x02\0\0\0\x03\0\0\0abc\0\0\0\0\x02\0\0\0\x01\0\0\0x\x04\0\0\0four";
  EXPECT_EQ(bytes, std::string(expected, sizeof expected - 1));
  EXPECT_EQ(ToText(*Decode<Everything>(bytes)),
            "flag=1 small=200 large=-2 colour=1 text=\"four\" maybe=513 texts=[\"abc\", \"\"] "
            "parts=[{part_text=\"x\"}, {part_text=\"four\"}]");
}

TEST(Codec, WhatIsWrongIsNamed) {
  const auto reason = [](std::string bytes, size_t at, char to) {
    bytes[at] = to;
    const auto read = Decode<Everything>(bytes);
    return read.has_value() ? std::string("decoded") : read.error().reason;
  };
  std::string good;
  ASSERT_TRUE(Encode(Sample(), good));
  const struct {
    const char* label;
    size_t at;
    char to;
    const char* reason;
  } rows[] = {
      {"a flag of 2", 0, 2, "field flag is cut off or out of bounds"},
      {"a colour that is none", 10, 2, "field colour is cut off or out of bounds"},
      {"a text of 5", 11, 5, "field text is cut off or out of bounds"},
      {"present or not, twice", 19, 2, "field maybe is cut off or out of bounds"},
      {"three texts", 22, 3, "field texts is cut off or out of bounds"},
      {"a text of four among them", 26, 4, "field texts is cut off or out of bounds"},
      {"three parts", 37, 3, "field parts is cut off or out of bounds"},
      {"a part's text of five", 41, 5, "field part_text is cut off or out of bounds"},
      {"one part less than there are", 37, 1, "octets follow the message"},
      {"a count of four thousand million", 25, '\xff', "field texts is cut off or out of bounds"},
  };
  for (const auto& row : rows) EXPECT_EQ(reason(good, row.at, row.to), row.reason) << row.label;
}

TEST(Codec, ADecoderThatFailedTouchesNothingMore) {
  Decoder decoder(std::string_view("\x02\x07\x07\x07", 4));
  bool flag = false;
  uint8_t number = 1;
  std::string text = "as it was";
  std::vector<std::string> texts = {"as it was"};
  std::optional<uint8_t> maybe = 9;
  decoder("flag", flag);
  EXPECT_FALSE(decoder.ok());
  decoder("number", number);
  decoder("text", text, 10);
  decoder("texts", texts, 10, 10);
  decoder("maybe", maybe);
  EXPECT_FALSE(decoder.ok());
  EXPECT_STREQ(decoder.failed_field(), "flag");
  EXPECT_EQ(number, 1);
  EXPECT_EQ(text, "as it was");
  EXPECT_EQ(texts.size(), 1u);
  EXPECT_EQ(maybe, 9);
}

TEST(Codec, ACountBeyondWhatIsThereAllocatesNothing) {
  std::string bytes("\xff\xff\xff\x7f", 4);
  Decoder decoder(bytes);
  std::vector<std::string> texts;
  decoder("texts", texts, uint64_t{1} << 32, 10);
  EXPECT_FALSE(decoder.ok());
  EXPECT_EQ(texts.capacity(), 0u);
}

TEST(Codec, AViewPointsIntoWhatWasDecoded) {
  std::string bytes;
  ASSERT_TRUE(Encode(SampleJob(), bytes));
  const auto job = Decode<delivery::Job>(bytes);
  ASSERT_TRUE(job.has_value());
  EXPECT_GE(job->inline_content.data(), bytes.data());
  EXPECT_LE(job->inline_content.data() + job->inline_content.size(), bytes.data() + bytes.size());
}

TEST(Codec, AnEncoderBeyondABoundStaysBad) {
  std::string out;
  Encoder encoder(out);
  encoder("text", std::string("five!"), 4);
  EXPECT_FALSE(encoder.ok());
  encoder("text", std::string("four"), 4);
  EXPECT_FALSE(encoder.ok());
}

TEST(Codec, ALongTextIsCutWhenPrinted) {
  policy::RecipientQuestion question;
  question.helo = std::string(500, 'h');
  EXPECT_LT(ToText(question).size(), 400u);
}

}  // namespace
}  // namespace postern::ipc
