#include "tools/sendmail/pacer.h"

#include <gtest/gtest.h>

namespace postern::sendmail {
namespace {

TEST(Pacer, EachCommandWaitsForTheReplyBefore) {
  Pacer pacer;
  pacer.FromClient("EHLO a\r\nMAIL FROM:<>\r\nQU");
  EXPECT_EQ(pacer.Take(), "");  // the greeting first
  pacer.FromServer("220 h");
  EXPECT_EQ(pacer.Take(), "");
  pacer.FromServer("ost\r\n");
  EXPECT_EQ(pacer.Take(), "EHLO a\r\n");
  EXPECT_EQ(pacer.Take(), "");
  pacer.FromServer("250-one\r\n250-two\r\n");
  EXPECT_EQ(pacer.Take(), "");
  pacer.FromServer("250 three\r\n");
  EXPECT_EQ(pacer.Take(), "MAIL FROM:<>\r\n");
  pacer.FromServer("250\r\n");
  EXPECT_EQ(pacer.Take(), "");  // half a command
  pacer.ClientEnded();
  EXPECT_FALSE(pacer.finished());
  EXPECT_EQ(pacer.Take(), "QU");
  EXPECT_TRUE(pacer.finished());
}

TEST(Pacer, ContentGoesAtOnceUpToItsEnd) {
  Pacer pacer;
  pacer.FromServer("220 h\r\n");
  pacer.FromClient("DATA\r\n.x\r\nlf\n.\r\n..\r\n.\r\nQUIT\r\n");
  EXPECT_EQ(pacer.Take(), "DATA\r\n");
  pacer.FromServer("354 go\r\n");
  EXPECT_EQ(pacer.Take(), ".x\r\nlf\n.\r\n..\r\n.\r\n");
  pacer.FromServer("250 ok\r\n");
  EXPECT_EQ(pacer.Take(), "QUIT\r\n");
}

TEST(Pacer, EmptyContentEndsWithItsFirstLine) {
  Pacer pacer;
  pacer.FromServer("220 h\r\n");
  pacer.FromClient("DATA\r\n.\r\nQUIT\r\n");
  EXPECT_EQ(pacer.Take(), "DATA\r\n");
  pacer.FromServer("354 go\r\n");
  EXPECT_EQ(pacer.Take(), ".\r\n");
}

TEST(Pacer, ARefusedDataLeavesTheScriptToItsCommands) {
  Pacer pacer;
  pacer.FromServer("220 h\r\n");
  pacer.FromClient("DATA\r\nSubject: x\r\n");
  EXPECT_EQ(pacer.Take(), "DATA\r\n");
  pacer.FromServer("503 no\r\n");
  EXPECT_EQ(pacer.Take(), "Subject: x\r\n");
  EXPECT_EQ(pacer.Take(), "");
}

TEST(Pacer, ChunksGoWithTheirCommand) {
  Pacer pacer;
  pacer.FromServer("220 h\r\n");
  pacer.FromClient("bdat 6\r\na\r\n");
  EXPECT_EQ(pacer.Take(), "bdat 6\r\na\r\n");
  pacer.FromClient("b\r\nBDAT 0 LAST\r\n");
  EXPECT_EQ(pacer.Take(), "b\r\n");  // six octets are there; the reply is not
  pacer.FromServer("250 ok\r\n");
  EXPECT_EQ(pacer.Take(), "BDAT 0 LAST\r\n");
  pacer.FromServer("250 ok\r\n");
  pacer.FromClient("BDAT 9999999999999999999\r\nQUIT\r\n");
  EXPECT_EQ(pacer.Take(), "BDAT 9999999999999999999\r\n");  // the server refuses it
  EXPECT_EQ(pacer.pending(), 6u);
}

}  // namespace
}  // namespace postern::sendmail
