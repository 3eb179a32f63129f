// Addresses and paths: what parses prints, and what is printed parses to the same value.
//
// Covers: common/smtp/address.cc common/smtp/domain.cc common/smtp/xtext.cc
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/base/escape.h"
#include "common/smtp/address.h"
#include "common/smtp/domain.h"
#include "common/smtp/limits.h"
#include "common/smtp/xtext.h"

namespace {

using namespace postern;
using namespace postern::smtp;

void CheckMailbox(const Mailbox& mailbox, Utf8 utf8) {
  const std::string text = mailbox.ToString();
  CHECK(ParseMailbox(text, utf8) == mailbox);
  CHECK(text.size() <= kMaxPath - 2);
  CHECK(text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos);
  CHECK(IsValidUtf8(text));
  CHECK(utf8 == Utf8::kAllowed || !mailbox.needs_utf8());
  CHECK(mailbox.is_literal() == IsAddressLiteral(mailbox.domain));
}

void CheckPaths(std::string_view text, Utf8 utf8) {
  if (const Parsed<Mailbox> mailbox = ParseMailbox(text, utf8)) CheckMailbox(*mailbox, utf8);
  std::string_view rest = text;
  if (const Parsed<ReversePath> path = TakeReversePath(rest, utf8)) {
    CHECK(text.ends_with(rest) && rest.size() < text.size());
    CHECK(ParseReversePath(path->ToString(), utf8) == *path);
  } else {
    CHECK(rest == text);
  }
  if (const Parsed<ForwardPath> path = TakeForwardPath(rest = text, utf8)) {
    CHECK(ParseForwardPath(path->ToString(), utf8) == *path);
    std::string_view again = rest;
    const std::string printed = path->ToPath();
    CHECK(TakeForwardPath(again = printed, utf8) == *path && again.empty());
  }
}

void CheckEncodings(std::string_view text) {
  CHECK(DecodeXtext(EncodeXtext(text)) == text);
  for (const Utf8 utf8 : {Utf8::kRefused, Utf8::kAllowed}) {
    const Parsed<std::string> decoded = DecodeUtf8Address(text, utf8);
    if (!decoded.has_value()) continue;
    CHECK(IsValidUtf8(*decoded));
    const std::string encoded = EncodeUtf8Address(*decoded, Utf8::kRefused);
    // A space decodes, and encodes to a form the grammar has for it.
    CHECK(DecodeUtf8Address(encoded, Utf8::kRefused) == *decoded);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  CheckPaths(text, Utf8::kRefused);
  CheckPaths(text, Utf8::kAllowed);
  CheckEncodings(text);
  if (const Parsed<std::string> ascii = ToAscii(text)) {
    CHECK(IsDomainName(*ascii, Utf8::kRefused));
    CHECK(ToAscii(*ascii) == *ascii);
  }
  if (const Parsed<std::string> unicode = ToUnicode(text)) {
    CHECK(IsDomainName(*unicode, Utf8::kAllowed));
  }
  return 0;
}
