#include "common/smtp/domain.h"

#include <idn2.h>

#include "common/base/escape.h"
#include "common/smtp/address.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

// U-labels shrink: in UTF-8 a valid name can be longer than its A-labels, yet not without bound.
constexpr size_t kMaxInput = 4 * kMaxDomain;

Parsed<std::string> Checked(std::string name, Utf8 utf8) {
  if (!IsDomainName(name, utf8)) return Malformed("domain is not a valid name");
  return name;
}

bool HasALabel(std::string_view lower) {
  return lower.starts_with("xn--") || lower.find(".xn--") != std::string_view::npos;
}

// Takes `text`, which libidn2 allocated if there was no error.
Parsed<std::string> Converted(int error, char* text, Utf8 utf8) {
  if (error != IDN2_OK) return Malformed(std::string("domain: ") + idn2_strerror(error));
  std::string lower = AsciiLower(text);
  idn2_free(text);
  return Checked(std::move(lower), utf8);
}

}  // namespace

Parsed<std::string> ToAscii(std::string_view domain) {
  if (IsAllAscii(domain)) return Checked(AsciiLower(domain), Utf8::kRefused);
  // libidn2 reads a C string: NUL would hide what is behind it.
  if (domain.size() > kMaxInput || !IsValidUtf8(domain) || domain.find('\0') != domain.npos) {
    return Malformed("domain is too long or no UTF-8");
  }
  char* text = nullptr;
  const int error =
      idn2_to_ascii_8z(std::string(domain).c_str(), &text, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  return Converted(error, text, Utf8::kRefused);
}

Parsed<std::string> ToUnicode(std::string_view domain) {
  // By way of the A-labels, so that each name has one U-label form.
  Parsed<std::string> ascii = ToAscii(domain);
  if (!ascii.has_value() || !HasALabel(*ascii)) return ascii;
  char* text = nullptr;
  const int error = idn2_to_unicode_8z8z(ascii->c_str(), &text, IDN2_NONTRANSITIONAL);
  return Converted(error, text, Utf8::kAllowed);
}

}  // namespace postern::smtp
