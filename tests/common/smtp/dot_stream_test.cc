#include "common/smtp/dot_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/smtp/byte_masks.h"

namespace postern::smtp {
namespace {

using Outcome = DotDecoder::Outcome;
using namespace std::string_view_literals;

struct Decoded {
  std::string content;
  bool ended = false;
  std::string rest;  // what follows the end
  bool bare = false;
  bool rejected = false;
  bool eight_bit = false;
  bool nul = false;
  uint64_t octets = 0;
  uint64_t longest = 0;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded Decode(std::string_view wire, size_t step, BareNewlines policy,
               Framing framing = Framing::kDots) {
  DotDecoder decoder(policy, framing);
  Decoded decoded;
  for (size_t at = 0; at < wire.size() && !decoded.ended; at += step) {
    const std::string piece_of_wire(wire.substr(at, step));
    std::string_view input = piece_of_wire;
    std::string_view piece;
    Outcome outcome;
    while ((outcome = decoder.Next(input, piece)) == Outcome::kPiece) decoded.content += piece;
    if (outcome == Outcome::kEnd) {
      decoded.ended = true;
      decoded.rest =
          std::string(input) + std::string(wire.substr(std::min(at + step, wire.size())));
    }
  }
  if (framing == Framing::kChunks) decoded.content += decoder.Finish();
  decoded.bare = decoder.has_bare_newline();
  decoded.rejected = decoder.rejected();
  decoded.eight_bit = decoder.has_8bit();
  decoded.nul = decoder.has_nul();
  decoded.octets = decoder.octets();
  decoded.longest = decoder.longest_line_octets();
  return decoded;
}

TEST(DotDecoder, OnlyCrlfDotCrlfEndsTheData) {
  struct {
    std::string_view wire;
    std::string_view content;
    bool ended;
    std::string_view rest = "";
  } const rows[] = {
      {".\r\n"sv, ""sv, true},
      {"a\r\n.\r\n"sv, "a\r\n"sv, true},
      {"a\r\n.\r\nQUIT\r\n"sv, "a\r\n"sv, true, "QUIT\r\n"sv},
      {"\r\n.\r\n"sv, "\r\n"sv, true},
      {"..\r\n.\r\n"sv, ".\r\n"sv, true},
      {"...a\r\n.\r\n"sv, "..a\r\n"sv, true},
      {".a\r\n.\r\n"sv, "a\r\n"sv, true},
      {"a.\r\n.\r\n"sv, "a.\r\n"sv, true},
      {"a\r\n.b\r\n.\r\n"sv, "a\r\nb\r\n"sv, true},
      {"a.b\r\n. \r\n.\r\n"sv, "a.b\r\n \r\n"sv, true},
      {"a"sv, "a"sv, false},
      {"a\r\n"sv, "a\r\n"sv, false},
      {"a\r\n."sv, "a\r\n"sv, false},
      {"a\r\n.\r"sv, "a\r\n"sv, false},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.wire));
    for (size_t step = 1; step <= row.wire.size(); ++step) {
      for (const BareNewlines policy : {BareNewlines::kReject, BareNewlines::kNormalise}) {
        const Decoded decoded = Decode(row.wire, step, policy);
        EXPECT_EQ(decoded.content, row.content);
        EXPECT_EQ(decoded.ended, row.ended);
        EXPECT_EQ(decoded.rest, row.rest);
        EXPECT_FALSE(decoded.bare);
        EXPECT_EQ(decoded.octets, row.content.size());
      }
    }
  }
}

// Each row is an end of data to some other program, and must be none to us: two messages in one
// would be smuggled past us (S03). Behind it follow a command and the true end.
TEST(DotDecoder, NoSmugglingFormEndsTheData) {
  struct {
    std::string_view form;
    std::string_view normalised;
  } const rows[] = {
      {"\n.\n"sv, "\r\n.\r\n"sv},                 // LF . LF
      {"\r.\r"sv, "\r\n.\r\n"sv},                 // CR . CR
      {"\n.\r\n"sv, "\r\n.\r\n"sv},               // LF . CRLF
      {"\r\n.\n"sv, "\r\n\r\n"sv},                // CRLF . LF
      {"\r.\r\n"sv, "\r\n.\r\n"sv},               // CR . CRLF
      {"\r\n.\r"sv, "\r\n\r\n"sv},                // CRLF . CR
      {"\n.\r"sv, "\r\n.\r\n"sv},                 // LF . CR
      {"\r.\n"sv, "\r\n.\r\n"sv},                 // CR . LF
      {"\n\r.\r\n"sv, "\r\n\r\n.\r\n"sv},         // LFCR . CRLF
      {"\r\r\n.\r\r\n"sv, "\r\n\r\n\r\n\r\n"sv},  // CRCRLF . CRCRLF
      {"\r\n.\r\r\n"sv, "\r\n\r\n\r\n"sv},        // CRLF . CRCRLF
      {"\r\0\n.\r\n"sv, "\r\n\0\r\n.\r\n"sv},     // CR NUL LF . CRLF
      {"\r\n.\r\0\n"sv, "\r\n\r\n\0\r\n"sv},      // CRLF . CR NUL LF
      {"\r\n\n.\r\n"sv, "\r\n\r\n.\r\n"sv},       // CRLF LF . CRLF
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.form));
    const std::string tail = "MAIL FROM:<admin@example.org>\r\n";
    const std::string wire = "a" + std::string(row.form) + tail + ".\r\nQUIT\r\n";
    for (size_t step = 1; step <= wire.size(); ++step) {
      const Decoded rejected = Decode(wire, step, BareNewlines::kReject);
      EXPECT_TRUE(rejected.rejected);
      EXPECT_TRUE(rejected.ended) << "at the true end";
      EXPECT_EQ(rejected.rest, "QUIT\r\n");
      EXPECT_EQ(rejected.content.find("MAIL"), std::string::npos);
      const Decoded normalised = Decode(wire, step, BareNewlines::kNormalise);
      EXPECT_TRUE(normalised.bare);
      EXPECT_FALSE(normalised.rejected);
      EXPECT_EQ(normalised.content, "a" + std::string(row.normalised) + tail);
      EXPECT_EQ(normalised.octets, normalised.content.size());
      EXPECT_EQ(normalised.rest, "QUIT\r\n");
      // Sent on, it is one message still: to the strictest reader and to the most lenient one.
      std::string sent;
      DotEncoder encoder;
      encoder.Append(normalised.content, sent);
      encoder.Finish(sent);
      const Decoded again = Decode(sent, sent.size(), BareNewlines::kReject);
      EXPECT_EQ(again.content, normalised.content);
      EXPECT_EQ(again.rest, "");
    }
  }
}

// The forms without a bare CR or LF: NULs around the dot.
TEST(DotDecoder, NulFormsAreContentAndAreReported) {
  for (const std::string_view form : {"\r\n.\0\r\n"sv, "\r\n\0.\r\n"sv, "\0\r\n.x\r\n"sv}) {
    const std::string wire = "a" + std::string(form) + "MAIL\r\n.\r\n";
    for (size_t step = 1; step <= wire.size(); ++step) {
      const Decoded decoded = Decode(wire, step, BareNewlines::kReject);
      EXPECT_TRUE(decoded.nul);
      EXPECT_TRUE(decoded.ended);
      EXPECT_EQ(decoded.rest, "");
      EXPECT_NE(decoded.content.find("MAIL"), std::string::npos);
    }
  }
}

TEST(DotDecoder, AfterARejectionNothingMoreIsHandedOut) {
  const Decoded decoded = Decode("a\r\nb\nc\r\nd\r\n.\r\nX", 100, BareNewlines::kReject);
  EXPECT_EQ(decoded.content, "a\r\nb");
  EXPECT_TRUE(decoded.ended);
  EXPECT_EQ(decoded.rest, "X");
  EXPECT_GT(decoded.octets, decoded.content.size()) << "what follows is counted still";
}

TEST(DotDecoder, ReportsWhatItSaw) {
  const std::string wire = "12345\r\n\xc3\xbc\r\n.12\r\n.\r\n";
  for (size_t step = 1; step <= wire.size(); ++step) {
    const Decoded decoded = Decode(wire, step, BareNewlines::kReject);
    EXPECT_TRUE(decoded.eight_bit);
    EXPECT_FALSE(decoded.nul);
    EXPECT_EQ(decoded.longest, 7u);
    EXPECT_EQ(decoded.octets, 15u);
  }
  EXPECT_FALSE(Decode("a\r\n.\r\n", 99, BareNewlines::kReject).eight_bit);
  EXPECT_EQ(Decode(std::string(3000, 'x'), 7, BareNewlines::kReject).longest, 3000u);
}

// Long input, so that whole blocks of 64 are passed, with each kind of event at each offset.
TEST(DotDecoder, BlocksAndOctetsAgree) {
  for (const std::string_view event :
       {"\r\n"sv, "\r\n..x"sv, "\r\n.x"sv, "\n"sv, "\r"sv, "\r\r\n"sv, "\xc3\xbc"sv, "\0"sv,
        "\r\n\r\n"sv, "\r\n.\n"sv, "\r\n.\r\nREST"sv}) {
    for (size_t offset = 0; offset < 200; ++offset) {
      const std::string wire =
          std::string(offset, 'x') + std::string(event) + std::string(150, 'y') + "\r\n.\r\n";
      for (const BareNewlines policy : {BareNewlines::kReject, BareNewlines::kNormalise}) {
        const Decoded bytewise = Decode(wire, 1, policy);
        EXPECT_EQ(Decode(wire, wire.size(), policy), bytewise);
        EXPECT_EQ(Decode(wire, 63, policy), bytewise);
        EXPECT_EQ(Decode(wire, 64, policy), bytewise);
      }
    }
  }
}

TEST(DotDecoder, PiecesPointIntoTheInput) {
  const std::string wire = std::string(100, 'x') + "\r\n" + std::string(100, 'y') + "\r\n.\r\n";
  DotDecoder decoder(BareNewlines::kReject);
  std::string_view input = wire;
  std::string_view piece;
  ASSERT_EQ(decoder.Next(input, piece), Outcome::kPiece);
  EXPECT_EQ(piece.data(), wire.data());
  EXPECT_EQ(piece.size(), 204u) << "all lines in one piece";
  EXPECT_EQ(decoder.Next(input, piece), Outcome::kEnd);
}

TEST(DotDecoder, ChunksHaveNoDots) {
  struct {
    std::string_view wire;
    std::string_view content;
    bool bare = false;
  } const rows[] = {
      {".\r\n"sv, ".\r\n"sv},       {"a\r\n.\r\nb\r\n..c"sv, "a\r\n.\r\nb\r\n..c"sv},
      {"a\nb"sv, "a\r\nb"sv, true}, {"a\r"sv, "a\r\n"sv, true},
      {"a\r\n"sv, "a\r\n"sv},
  };
  for (const auto& row : rows) {
    for (size_t step = 1; step <= row.wire.size(); ++step) {
      const Decoded decoded = Decode(row.wire, step, BareNewlines::kNormalise, Framing::kChunks);
      EXPECT_EQ(decoded.content, row.content);
      EXPECT_EQ(decoded.bare, row.bare);
      EXPECT_FALSE(decoded.ended);
      EXPECT_EQ(Decode(row.wire, step, BareNewlines::kReject, Framing::kChunks).rejected, row.bare);
    }
  }
}

std::string Encode(std::string_view content, size_t step, bool* normalised = nullptr) {
  DotEncoder encoder;
  std::string wire;
  for (size_t at = 0; at < content.size(); at += step)
    encoder.Append(content.substr(at, step), wire);
  encoder.Finish(wire);
  if (normalised != nullptr) *normalised = encoder.normalised();
  return wire;
}

TEST(DotEncoder, StuffsAndEnds) {
  struct {
    std::string_view content;
    std::string_view wire;
    bool normalised = false;
  } const rows[] = {
      {""sv, ".\r\n"sv},
      {"a\r\n"sv, "a\r\n.\r\n"sv},
      {"a"sv, "a\r\n.\r\n"sv},
      {"."sv, "..\r\n.\r\n"sv},
      {".\r\n"sv, "..\r\n.\r\n"sv},
      {"..\r\n.a\r\nb.\r\n"sv, "...\r\n..a\r\nb.\r\n.\r\n"sv},
      {"\r\n\r\n"sv, "\r\n\r\n.\r\n"sv},
      {"a\n.\n"sv, "a\r\n..\r\n.\r\n"sv, true},
      {"a\r.\r"sv, "a\r\n..\r\n.\r\n"sv, true},
      {"a\r\r\n"sv, "a\r\n\r\n.\r\n"sv, true},
      {"a\n\r\n"sv, "a\r\n\r\n.\r\n"sv, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(testing::PrintToString(row.content));
    for (size_t step = 1; step <= row.content.size() + 1; ++step) {
      bool normalised = false;
      EXPECT_EQ(Encode(row.content, step, &normalised), row.wire);
      EXPECT_EQ(normalised, row.normalised);
    }
  }
}

TEST(DotEncoder, DecodingGivesTheContentBack) {
  std::string content;
  for (size_t i = 0; i < 300; ++i) {
    content += std::string(i % 67, i % 3 == 0 ? '.' : 'x') + "\r\n";
    const std::string wire = Encode(content, 61);
    const Decoded decoded = Decode(wire, 97, BareNewlines::kReject);
    ASSERT_EQ(decoded.content, content);
    ASSERT_TRUE(decoded.ended);
    ASSERT_FALSE(decoded.bare);
  }
}

TEST(ByteMasks, BothFormsAgree) {
  char bytes[kMaskedOctets];
  for (int shift = 0; shift < 256; ++shift) {
    for (int i = 0; i < kMaskedOctets; ++i) bytes[i] = static_cast<char>(i * 7 + shift);
    const ByteMasks fast = MasksOf(bytes);
    const ByteMasks slow = MasksOfPortable(bytes);
    EXPECT_EQ(fast.cr, slow.cr);
    EXPECT_EQ(fast.lf, slow.lf);
    EXPECT_EQ(fast.dot, slow.dot);
    EXPECT_EQ(fast.nul, slow.nul);
    EXPECT_EQ(fast.high, slow.high);
  }
}

}  // namespace
}  // namespace postern::smtp
