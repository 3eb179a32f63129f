#include "common/mime/header_scanner.h"

#include <gtest/gtest.h>

#include <string>

namespace postern::mime {
namespace {

HeaderScanner Scanned(std::string_view message, size_t step) {
  HeaderScanner scanner(HeaderScanner::Values::kKeep);
  for (size_t at = 0; at < message.size(); at += step) scanner.Scan(message.substr(at, step));
  scanner.Finish();
  return scanner;
}

TEST(HeaderScanner, FindsTheEndHoweverTheMessageIsCut) {
  struct {
    const char* what;
    std::string message;
    size_t octets;
    int fields;
  } const rows[] = {
      {"ordinary", "A: b\r\nC: d\r\n\r\nbody: x\r\n", 14, 2},
      {"no body", "A: b\r\n\r\n", 8, 1},
      {"no empty line", "A: b\r\nC: d\r\n", 12, 2},
      {"ends within a value", "A: b", 4, 1},
      {"ends within a name", "A: b\r\nSub", 6, 1},
      {"empty message", "", 0, 0},
      {"empty header", "\r\nbody", 2, 0},
      {"no header", "Hello there,\r\nthis is body\r\n", 0, 0},
      {"body right behind the header", "A: b\r\nno field\r\n\r\n", 6, 1},
      {"folded", "A: b\r\n c: d\r\n\te\r\n\r\nx: y\r\n", 19, 1},
      {"blank first line", " x: y\r\nA: b\r\n", 0, 0},
      {"white space alone continues", "A: b\r\n \r\nC: d\r\n\r\n", 17, 2},
      {"space in front of the colon", "A : b\r\n\r\n", 9, 1},
      {"mbox line", "From a@b Tue\r\nA: b\r\n\r\n", 0, 0},
      {"bare LF", "A: b\nC: d\n\nbody", 11, 2},
      {"CR at line start", "A: b\r\n\rX: y\r\n", 6, 1},
      {"control in a name", "A: b\r\nB\x01: c\r\n", 6, 1},
      {"8bit in a name", "A: b\r\n\xc3\xbc: c\r\n", 6, 1},
      {"colon first", "A: b\r\n: c\r\n", 6, 1},
      {"long name", std::string(500, 'X') + ": y\r\n\r\n", 507, 1},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    for (size_t step = 1; step <= row.message.size() + 1; ++step) {
      const HeaderScanner scanner = Scanned(row.message, step);
      EXPECT_EQ(scanner.octets(), row.octets);
      EXPECT_EQ(scanner.fields(), row.fields);
      EXPECT_TRUE(scanner.ended());
    }
  }
}

TEST(HeaderScanner, HasNotEndedWhileTheHeaderMayGoOn) {
  HeaderScanner scanner;
  scanner.Scan("A: b\r\n");
  EXPECT_FALSE(scanner.ended());
  scanner.Scan("\r");
  EXPECT_FALSE(scanner.ended());
  scanner.Scan("\n");
  EXPECT_TRUE(scanner.ended());
  scanner.Scan("Received: in the body\r\n");
  EXPECT_EQ(scanner.received_fields(), 0);
  EXPECT_EQ(scanner.octets(), 8u);
}

TEST(HeaderScanner, CountsTheFieldsThatMatter) {
  const std::string message =
      "Return-Path: <a@b>\r\nReceived: x\r\nRECEIVED: y\r\n by z\r\nreceived:\r\n"
      "X-Received: no\r\nReceive: no\r\nFrom: a\r\nFROM: b\r\nDate: c\r\nMessage-ID: <d>\r\n"
      "Delivered-To: a@b\r\n\r\nReceived: body\r\n";
  for (size_t step = 1; step <= message.size(); ++step) {
    const HeaderScanner scanner = Scanned(message, step);
    EXPECT_EQ(scanner.received_fields(), 3);
    EXPECT_EQ(scanner.from_fields(), 2);
    EXPECT_EQ(scanner.date_fields(), 1);
    EXPECT_EQ(scanner.message_id_fields(), 1);
    EXPECT_EQ(scanner.return_path_fields(), 1);
    EXPECT_EQ(scanner.delivered_to_fields(), 1);
    EXPECT_TRUE(scanner.has_from() && scanner.has_date() && scanner.has_message_id());
    EXPECT_FALSE(scanner.has_8bit());
  }
  EXPECT_FALSE(Scanned("A: b\r\n\r\n", 1).has_from());
}

TEST(HeaderScanner, SeesEightBitValuesInTheHeaderAlone) {
  EXPECT_TRUE(Scanned("A: \xc3\xbc\r\n\r\n", 1).has_8bit());
  EXPECT_TRUE(Scanned("A: x\r\n \xc3\xbc\r\n\r\n", 100).has_8bit());
  EXPECT_FALSE(Scanned("A: x\r\n\r\n\xc3\xbc", 1).has_8bit());
}

TEST(HeaderScanner, KeepsDeliveredToUnfolded) {
  const std::string message =
      "Delivered-To: a@b \r\ndelivered-to:\r\n\t c@d\r\nDelivered-To:\r\n\r\n";
  for (size_t step = 1; step <= message.size(); ++step) {
    EXPECT_EQ(Scanned(message, step).delivered_to(), (std::vector<std::string>{"a@b", "c@d", ""}));
  }
  HeaderScanner dropping;
  dropping.Scan(message);
  EXPECT_TRUE(dropping.delivered_to().empty());
  EXPECT_EQ(dropping.delivered_to_fields(), 3);
}

TEST(HeaderScanner, WhatItKeepsIsBounded) {
  std::string message;
  for (size_t i = 0; i < kMaxDeliveredTo + 1; ++i) {
    message += "Delivered-To:" + std::string(kMaxValueOctets + 1, 'x') + "\r\n";
  }
  for (const size_t step : {1, 1000}) {
    const HeaderScanner scanner = Scanned(message, step);
    ASSERT_EQ(scanner.delivered_to().size(), kMaxDeliveredTo);
    EXPECT_EQ(scanner.delivered_to().front().size(), kMaxValueOctets);
    EXPECT_EQ(scanner.delivered_to_fields(), static_cast<int>(kMaxDeliveredTo) + 1);
  }
}

}  // namespace
}  // namespace postern::mime
