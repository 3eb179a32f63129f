#include "daemons/deliver/text.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::deliver {
namespace {

TEST(CrlfToLf, DoesNotDependOnWhereTheTextIsCut) {
  const std::string text = "a\r\nb\rc\r\r\n\r\nend\r";
  const std::string expected = "a\nb\rc\r\n\nend\r";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    CrlfToLf converter;
    std::string out;
    converter.Append(text.substr(0, cut), out);
    converter.Append(text.substr(cut), out);
    converter.Finish(out);
    EXPECT_EQ(out, expected) << cut;
  }
}

TEST(MboxQuoter, QuotesFromLinesReversiblyWhereverTheyAreCut) {
  const std::string text = "From me\n>From you\nFromage\n>>>x\n\nbody From here\nlast";
  const std::string expected = ">From me\n>>From you\nFromage\n>>>x\n\nbody From here\nlast\n\n";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    MboxQuoter quoter;
    std::string out;
    quoter.Append(text.substr(0, cut), out);
    quoter.Append(text.substr(cut), out);
    quoter.Finish(out);
    EXPECT_EQ(out, expected) << cut;
  }
}

TEST(FromLine, HasTheDateAsMailReadersExpectIt) {
  EXPECT_EQ(FromLine("a@example.org", 1795510800), "From a@example.org Tue Nov 24 09:00:00 2026\n");
  EXPECT_EQ(FromLine("", 1793523600), "From MAILER-DAEMON Sun Nov  1 09:00:00 2026\n");
}

TEST(DeliveryFields, ForeignLineBreaksMakeNoFields) {
  EXPECT_EQ(DeliveryFields("a@x\r\nEvil: 1", "b@y"),
            "Return-Path: <a@x??Evil: 1>\nDelivered-To: b@y\n");
}

TEST(WithoutReturnPaths, DropsThoseOfOthersAndNothingElse) {
  EXPECT_EQ(
      WithoutReturnPaths(
          "Subject: x\r\nReturn-Path: <evil@x>\r\n\tfolded\r\nTo: y\r\n\r\nReturn-Path: body\r\n"),
      "Subject: x\r\nTo: y\r\n\r\nReturn-Path: body\r\n");
}

}  // namespace
}  // namespace postern::deliver
