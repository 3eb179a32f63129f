#include "tools/sendmail/message.h"

#include <algorithm>
#include <initializer_list>

#include "common/base/escape.h"
#include "common/mime/date.h"
#include "common/mime/header_edit.h"
#include "common/mime/header_field.h"
#include "common/smtp/ascii.h"
#include "tools/sendmail/addresses.h"

namespace postern::sendmail {
namespace {

// Takes a line off the front, its newline of whatever kind too. Several CRs are what programs make
// of CRLF on the way through a terminal or a text mode.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  size_t newline = text.find_first_not_of('\r');
  if (newline != std::string_view::npos && text[newline] == '\n') {
    text.remove_prefix(newline + 1);
  } else if (!text.empty()) {
    text.remove_prefix(1);  // a CR alone
  }
  return line;
}

std::string ToCrlf(std::string_view text, bool dots_are_text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32);
  for (bool first = true; !text.empty(); first = false) {
    const std::string_view line = TakeLine(text);
    if (line == "." && !dots_are_text) break;
    if (first && (line.starts_with("From ") || line.starts_with(">From "))) continue;
    out += line;
    out += "\r\n";
  }
  return out;
}

// Every field of that name: the values, as they are folded. Header lines end in CRLF.
std::vector<std::string> FieldsOf(std::string_view header, std::string_view name) {
  std::vector<std::string> values;
  bool taking = false;
  while (!header.empty()) {
    const std::string_view line = header.substr(0, header.find("\r\n"));
    header.remove_prefix(std::min(line.size() + 2, header.size()));
    if (line.starts_with(' ') || line.starts_with('\t')) {
      if (taking) values.back() += line;
      continue;
    }
    const size_t colon = std::min(line.find(':'), line.size());
    const size_t end = line.substr(0, colon).find_last_not_of(" \t");
    taking = colon < line.size() && smtp::EqualsIgnoringCase(line.substr(0, end + 1), name);
    if (taking) values.emplace_back(line.substr(colon + 1));
  }
  return values;
}

bool Has(std::string_view header, std::string_view name) { return !FieldsOf(header, name).empty(); }

std::vector<std::string> RecipientsOf(std::string_view header) {
  std::vector<std::string> addresses;
  const auto take = [&](std::initializer_list<std::string_view> names) {
    bool any = false;
    for (const std::string_view name : names) {
      for (const std::string& value : FieldsOf(header, name)) {
        any = true;
        for (std::string& address : AddressesOf(value)) addresses.push_back(std::move(address));
      }
    }
    return any;
  };
  if (!take({"Resent-To", "Resent-Cc", "Resent-Bcc"})) take({"To", "Cc", "Bcc"});
  return addresses;
}

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view three = bytes.substr(i, 3);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < three.size() ? static_cast<unsigned char>(three[k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      text += k <= three.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// Words of at most 75 characters, none of which cuts a character of UTF-8 (RFC 2047 §2, §5).
std::string EncodedWords(std::string_view name) {
  constexpr size_t kOctetsInWord = 45;  // 60 of base64
  std::string words;
  while (!name.empty()) {
    size_t take = 0;
    while (take < name.size()) {
      const size_t step = std::max<size_t>(Utf8SequenceLength(name.substr(take)), 1);
      if (take + step > kOctetsInWord) break;
      take += step;
    }
    words += (words.empty() ? "=?UTF-8?B?" : " =?UTF-8?B?") + Base64(name.substr(0, take)) + "?=";
    name.remove_prefix(take);
  }
  return words;
}

}  // namespace

std::string FromField(const std::string& full_name, const std::string& address) {
  if (full_name.empty()) return mime::FormatField("From", address);
  if (!smtp::IsAllAscii(full_name) && IsValidUtf8(full_name))
    return mime::FormatField("From", EncodedWords(full_name) + " <" + address + ">");
  std::string quoted = "\"";
  for (const char c : full_name) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += smtp::IsAscii(c) ? c : '?';
  }
  return mime::FormatField("From", quoted + "\" <" + address + ">");
}

Prepared Prepare(std::string_view text, const Draft& draft) {
  Prepared prepared;
  const std::string crlf = ToCrlf(text, draft.dots_are_text);
  const mime::SplitMessage split = mime::SplitHeader(crlf, crlf.size() + 1);
  std::string header(split.header);
  if (draft.take_recipients) {
    prepared.addresses = RecipientsOf(header);
    header = mime::WithoutBcc(header);
  }
  if (!Has(header, "From")) header += FromField(draft.full_name, draft.own_address);
  if (!Has(header, "Date")) header += "Date: " + mime::FormatDate(draft.unix_seconds) + "\r\n";
  if (!Has(header, "Message-ID")) header += "Message-ID: <" + draft.unique + ">\r\n";
  prepared.utf8_header = !smtp::IsAllAscii(header) && IsValidUtf8(header);
  prepared.has_8bit = !smtp::IsAllAscii(header) || !smtp::IsAllAscii(split.body);
  prepared.content = header + "\r\n" + std::string(split.body);
  return prepared;
}

}  // namespace postern::sendmail
