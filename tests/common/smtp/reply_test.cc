#include "common/smtp/reply.h"

#include <gtest/gtest.h>

#include <string>

#include "common/smtp/limits.h"
#include "common/smtp/replies.h"

namespace postern::smtp {
namespace {

TEST(EnhancedCode, IsParsedExactly) {
  EXPECT_EQ(EnhancedCode::Parse("5.1.1"), (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(EnhancedCode::Parse("2.0.0"), (EnhancedCode{2, 0, 0}));
  EXPECT_EQ(EnhancedCode::Parse("4.999.999"), (EnhancedCode{4, 999, 999}));
  for (const char* bad : {"", "5", "5.1", "5.1.", "3.0.0", "1.0.0", "6.0.0", "5.1000.1", "5.1.1000",
                          "5.01.1", "5.1.1 ", " 5.1.1", "5.1.1.1", "5,1,1", "55.1.1", "5.-1.1"}) {
    EXPECT_FALSE(EnhancedCode::Parse(bad).has_value()) << bad;
  }
  EXPECT_EQ((EnhancedCode{5, 7, 27}).ToString(), "5.7.27");
  EXPECT_EQ(EnhancedCode().ToString(), "");
}

TEST(Reply, EveryLineHasItsCodes) {
  EXPECT_EQ(FormatReply({250, {2, 0, 0}, "OK"}), "250 2.0.0 OK\r\n");
  EXPECT_EQ(FormatReply({354, {}, "go on"}), "354 go on\r\n");
  EXPECT_EQ(FormatReply({550, {5, 1, 1}, "one\ntwo"}), "550-5.1.1 one\r\n550 5.1.1 two\r\n");
  EXPECT_EQ(FormatReply({250, {}, ""}), "250 \r\n");
  EXPECT_EQ(FormatReply({250, {}, "a\n"}), "250-a\r\n250 \r\n");
}

TEST(Reply, ForeignWordsMakeNoLines) {
  EXPECT_EQ(FormatReply({550, {}, std::string("a\r250 ok\x7f\t\0b", 12)}), "550 a?250 ok???b\r\n");
  EXPECT_EQ(FormatReply({550, {}, "\xc3\xbc"}), "550 \xc3\xbc\r\n");
}

TEST(Reply, LongLinesAreBroken) {
  // 512 with code, space and CRLF.
  const std::string fits(kReplyLine - 6, 'x');
  EXPECT_EQ(FormatReply({250, {}, fits}), "250 " + fits + "\r\n");
  EXPECT_EQ(FormatReply({250, {}, fits + 'y'}), "250-" + fits + "\r\n250 y\r\n");
  EXPECT_EQ(FormatReply({250, {}, fits + "\nz"}), "250-" + fits + "\r\n250 z\r\n");
  // After a space where there is one.
  const std::string words = std::string(400, 'a') + ' ' + std::string(300, 'b');
  EXPECT_EQ(
      FormatReply({250, {2, 0, 0}, words}),
      "250-2.0.0 " + std::string(400, 'a') + " \r\n250 2.0.0 " + std::string(300, 'b') + "\r\n");
}

TEST(Reply, LongLinesAreNotBrokenWithinACharacter) {
  for (size_t shift = 0; shift < 4; ++shift) {
    std::string text(shift, 'x');
    while (text.size() < 2000) text += "\xf0\x9f\x98\x80";
    const std::string wire = FormatReply({250, {}, text});
    std::string joined;
    for (size_t at = 0; at < wire.size();) {
      const size_t end = wire.find("\r\n", at);
      EXPECT_LE(end + 2 - at, kReplyLine);
      const std::string line = wire.substr(at + 4, end - at - 4);
      EXPECT_NE(static_cast<uint8_t>(line[0]) & 0xC0, 0x80);
      joined += line;
      at = end + 2;
    }
    EXPECT_EQ(joined, text);
  }
}

TEST(Reply, IsOneLineForLogs) {
  EXPECT_EQ((Reply{550, {5, 1, 1}, "no such user\nsorry"}).ToString(),
            "550 5.1.1 no such user; sorry");
  EXPECT_EQ((Reply{250, {}, ""}).ToString(), "250");
}

TEST(Replies, ClassesOfBothCodesAgree) {
  const FixedReply table[] = {kOk,
                              kFlushed,
                              kSenderOk,
                              kRecipientOk,
                              kChunkOk,
                              kMessageOk,
                              kGoodbye,
                              kReadyForTls,
                              kHelp,
                              kVrfy,
                              kUnrecognized,
                              kLineTooLong,
                              kSyntax,
                              kSenderSyntax,
                              kRecipientSyntax,
                              kUnknownParameter,
                              kNotImplemented,
                              kNoSuchTopic,
                              kExpnOff,
                              kTlsOff,
                              kAuthOff,
                              kBadSequence,
                              kNeedHello,
                              kNeedEhlo,
                              kNestedMail,
                              kNeedMail,
                              kNeedRcpt,
                              kNoValidRecipients,
                              kBdatUnderWay,
                              kBinaryNeedsBdat,
                              kNoRelay,
                              kUnknownUser,
                              kMailboxDisabled,
                              kSenderDomainUnknown,
                              kSenderNullMx,
                              kRecipientNullMx,
                              kSenderRefused,
                              kRecipientRefused,
                              kClientRefused,
                              kNeedsUtf8,
                              kUtf8NotPossible,
                              kUtf8HeaderNotPossible,
                              kAuthRequired,
                              kTlsRequired,
                              kTooManyRecipients,
                              kMessageTooBig,
                              kHeaderTooBig,
                              kTooManyHops,
                              kTooManyMessages,
                              kTooManyErrors,
                              kTooManyConnections,
                              kBusy,
                              kBareNewline,
                              kNulOctet,
                              kContentRefused,
                              kBareNewlineInCommand,
                              kEarlyTalker,
                              kPipeliningEarly,
                              kForeignProtocol,
                              kLocalTrouble,
                              kNoSpace,
                              kShuttingDown,
                              kTimeout,
                              kNotNow,
                              kTryAgain};
  for (const FixedReply& fixed : table) {
    const Reply reply = fixed;
    SCOPED_TRACE(reply.ToString());
    EXPECT_EQ(reply.klass(), reply.enhanced.klass);
    EXPECT_FALSE(reply.text.empty());
    if (reply != kHelp.Get())
      EXPECT_EQ(FormatReply(reply).find("\r\n"), FormatReply(reply).size() - 2);
    std::string wire;
    fixed.AppendTo(wire);
    EXPECT_EQ(wire, FormatReply(reply));
  }
  EXPECT_FALSE(kStartData.enhanced.present());  // 3yz has none (RFC 2034 §4)
}

TEST(Replies, EachKindOfBadCommandHasItsCodes) {
  using Kind = CommandError::Kind;
  struct {
    Kind kind;
    const char* codes;
  } const rows[] = {
      {Kind::kUnrecognized, "500 5.5.2 why"},     {Kind::kTooLong, "500 5.5.2 why"},
      {Kind::kSyntax, "501 5.5.4 why"},           {Kind::kSenderSyntax, "501 5.1.7 why"},
      {Kind::kRecipientSyntax, "501 5.1.3 why"},  {Kind::kParameterSyntax, "501 5.5.4 why"},
      {Kind::kUnknownParameter, "555 5.5.4 why"}, {Kind::kParameterNotAllowed, "555 5.5.4 why"},
      {Kind::kNonAsciiAddress, "553 5.6.7 why"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(CommandErrorReply({row.kind, "why"}).ToString(), row.codes);
    EXPECT_NE(CommandErrorReply({row.kind, ""}).text, "");
  }
}

TEST(Replies, HelpKnowsEachCommandThatItLists) {
  const std::string list = HelpReply("").text.substr(0, HelpReply("").text.find('\n'));
  for (size_t at = 0; at < list.size(); at += 5) {
    const std::string verb = list.substr(at, 4);
    SCOPED_TRACE(verb);
    const Reply reply = HelpReply(verb);
    EXPECT_EQ(reply.code, 214);
    EXPECT_TRUE(reply.text.starts_with(verb)) << reply.text;
  }
  EXPECT_EQ(HelpReply("mail"), HelpReply("MAIL"));
  for (const char* topic : {"EXPN", "STARTTLS", "mai", "mail ", "mail from", "\xff"})
    EXPECT_EQ(HelpReply(topic).ToString(), "504 5.5.4 no help on that") << topic;
}

TEST(Replies, GreetingsBeginWithTheHostAndHaveNoEnhancedCode) {
  EXPECT_EQ(FormatReply(Greeting("mx.example.org", "ESMTP")), "220 mx.example.org ESMTP\r\n");
  EXPECT_EQ(FormatReply(Greeting("mx.example.org", "")), "220 mx.example.org\r\n");
  EXPECT_EQ(FormatReply(HelloReply("mx.example.org")), "250 mx.example.org\r\n");
  EXPECT_EQ(FormatReply(EhloReply("mx.example.org", {"PIPELINING", "SIZE 100"})),
            "250-mx.example.org\r\n250-PIPELINING\r\n250 SIZE 100\r\n");
  EXPECT_EQ(Accepted("ABC").ToString(), "250 2.0.0 message accepted as ABC");
  EXPECT_EQ(kNoRelay.With("x.example").text, "relaying denied: x.example");
}

}  // namespace
}  // namespace postern::smtp
