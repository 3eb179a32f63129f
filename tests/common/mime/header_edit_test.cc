#include "common/mime/header_edit.h"

#include <gtest/gtest.h>

#include <string>

#include "common/mime/header_scanner.h"
#include "common/mime/limits.h"

namespace postern::mime {
namespace {

TEST(SplitHeader, CutsAtTheEmptyLine) {
  struct {
    std::string content;
    std::string header;
    std::string body;
  } const rows[] = {
      {"A: b\r\n\r\nbody\r\n", "A: b\r\n", "body\r\n"},
      {"A: b\r\n c\r\nD: e\r\n\r\n\r\nbody", "A: b\r\n c\r\nD: e\r\n", "\r\nbody"},
      {"\r\nbody", "", "body"},
      {"body\r\n", "", "body\r\n"},
      {"A: b\r\nbody\r\n\r\n", "A: b\r\n", "body\r\n\r\n"},
      {"A: b\r\n", "A: b\r\n", ""},
      {"A: b", "A: b", ""},
      {"", "", ""},
      {" A: b\r\n", "", " A: b\r\n"},
      {"A: b\n\nbody", "A: b\n", "body"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.content);
    const SplitMessage split = SplitHeader(row.content, kMaxHeaderOctets);
    EXPECT_EQ(split.header, row.header);
    EXPECT_EQ(split.body, row.body);
    EXPECT_FALSE(split.cut);
    HeaderScanner scanner;
    scanner.Scan(row.content);
    scanner.Finish();
    EXPECT_EQ(scanner.octets(), row.content.size() - row.body.size()) << "as the scanner sees it";
  }
}

TEST(SplitHeader, IsBounded) {
  const std::string content = "A: b\r\nC: d\r\n\r\nbody";
  EXPECT_FALSE(SplitHeader(content, 12).cut);
  const SplitMessage cut = SplitHeader(content, 11);
  EXPECT_TRUE(cut.cut);
  EXPECT_EQ(cut.header, "A: b\r\n");
  EXPECT_EQ(cut.body, "C: d\r\n\r\nbody");
  EXPECT_TRUE(SplitHeader(content, 0).cut);
  EXPECT_EQ(SplitHeader(content, 0).header, "");
}

TEST(WithoutFields, LeavesEveryOtherOctet) {
  const std::string header =
      "Return-Path: <a@b>\r\nA:  b \r\n\tc\r\nreturn-path:\r\n <x>\r\n y\r\nBcc: "
      "z\r\nReturn-Pathy: k\r\n"
      "no field\r\nD : e\r\nRETURN-PATH : q\r\n";
  EXPECT_EQ(WithoutReturnPath(header),
            "A:  b \r\n\tc\r\nBcc: z\r\nReturn-Pathy: k\r\nno field\r\nD : e\r\n");
  EXPECT_EQ(WithoutFields(header, {}), header);
  EXPECT_EQ(WithoutBcc("To: a\r\nBcc: b,\r\n c\r\nresent-bcc: d\r\nX: e\r\n"), "To: a\r\nX: e\r\n");
  EXPECT_EQ(WithoutBcc(""), "");
  EXPECT_EQ(WithoutBcc("Bcc: a"), "");
}

TEST(FindField, GivesTheFirstValueUnfolded) {
  const std::string header = "Subject: a\r\n b\r\nFrom:x\r\nfrom: y\r\nEmpty:\r\n \r\n";
  EXPECT_EQ(FindField(header, "subject"), "a b");
  EXPECT_EQ(FindField(header, "FROM"), "x");
  EXPECT_EQ(FindField(header, "Empty"), "");
  EXPECT_EQ(FindField(header, "b"), std::nullopt);
  EXPECT_EQ(FindField("", "a"), std::nullopt);
}

}  // namespace
}  // namespace postern::mime
