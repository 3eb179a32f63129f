#include "common/smtp/address.h"

#include <cstdint>

#include "common/base/escape.h"
#include "common/base/ip.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"

namespace postern::smtp {
namespace {

bool IsAtext(char c) {
  return IsAlpha(c) || IsDigit(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

// The length of one character of a Dot-string's atom at the start of `text`; 0: none.
size_t AtomCharacter(std::string_view text, Utf8 utf8) {
  if (text.empty()) return 0;
  if (static_cast<uint8_t>(text[0]) >= 0x80)
    return utf8 == Utf8::kAllowed ? Utf8SequenceLength(text) : 0;
  return IsAtext(text[0]) ? 1 : 0;
}

bool IsDotString(std::string_view text) {
  bool in_atom = false;
  while (!text.empty()) {
    if (text[0] == '.') {
      if (!in_atom) return false;
      in_atom = false;
      text.remove_prefix(1);
      continue;
    }
    const size_t length = AtomCharacter(text, Utf8::kAllowed);
    if (length == 0) return false;
    in_atom = true;
    text.remove_prefix(length);
  }
  return in_atom;
}

struct Literal {
  bool v6 = false;
  std::string_view address;
};

// What is between the brackets.
Literal Dissect(std::string_view literal) {
  std::string_view inside = literal.substr(1, literal.size() - 2);
  const bool v6 = EqualsIgnoringCase(inside.substr(0, 5), "IPv6:");
  if (v6) inside.remove_prefix(5);
  return {v6, inside};
}

// A parser over one text that knows where it is.
class PathParser {
 public:
  PathParser(std::string_view text, Utf8 utf8) : text_(text), utf8_(utf8) {}

  size_t at() const { return at_; }
  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  std::string_view Rest() const { return text_.substr(at_); }
  std::unexpected<ParseError> Fail(std::string reason) const {
    return Malformed(std::move(reason), at_);
  }

  Parsed<std::string> LocalPart() {
    const size_t start = at_;
    Parsed<std::string> value = Peek() == '"' ? QuotedString() : DotString();
    if (value.has_value() && at_ - start > kMaxLocalPart) {
      return Malformed("local part is longer than 64 octets", start);
    }
    return value;
  }

  Parsed<std::string> Domain() {
    const size_t start = at_;
    if (Peek() == '[') {
      const size_t end = text_.find(']', at_);
      if (end == std::string_view::npos) return Fail("address literal does not end in ']'");
      const std::string_view literal = text_.substr(start, end + 1 - start);
      if (!IsAddressLiteral(literal))
        return Fail("address literal is not [IPv4] or [IPv6:address]");
      at_ = end + 1;
      return Canonical(literal);
    }
    while (at_ < text_.size() && text_[at_] != '>' && text_[at_] != ',' && text_[at_] != ':' &&
           text_[at_] != ' ')
      ++at_;
    const std::string_view name = text_.substr(start, at_ - start);
    if (name.empty()) return Malformed("domain is empty", start);
    if (!IsDomainName(name, utf8_)) return Malformed("domain is not a valid host name", start);
    return AsciiLower(name);
  }

  // "@a,@b:" in front of a mailbox; read and forgotten.
  Parsed<bool> SourceRoute() {
    if (Peek() != '@') return false;
    do {
      if (!Take('@')) return Fail("source route lacks '@'");
      if (Parsed<std::string> hop = Domain(); !hop.has_value()) return std::unexpected(hop.error());
    } while (Take(','));
    if (!Take(':')) return Fail("source route does not end in ':'");
    return true;
  }

 private:
  static std::string Canonical(std::string_view literal) {
    const Literal parts = Dissect(literal);
    if (!parts.v6) return '[' + IpAddress::Parse(parts.address)->ToString() + ']';
    // A mapped address stays as it was said: IpAddress would make an IPv4 address of it.
    const IpAddress address = *IpAddress::Parse(parts.address);
    return "[IPv6:" + (address.is_v4() ? AsciiLower(parts.address) : address.ToString()) + ']';
  }

  Parsed<std::string> DotString() {
    std::string value;
    for (;;) {
      const size_t atom = at_;
      while (const size_t length = AtomCharacter(Rest(), utf8_)) {
        value += text_.substr(at_, length);
        at_ += length;
      }
      if (at_ == atom)
        return Fail(atom == 0 || value.empty()
                        ? "local part is empty or begins with a forbidden character"
                        : "local part has an empty atom");
      if (!Take('.')) return value;
      value += '.';
    }
  }

  Parsed<std::string> QuotedString() {
    std::string value;
    Take('"');
    while (at_ < text_.size()) {
      if (Take('"')) return value;
      const bool escaped = Take('\\');
      const size_t length = QuotedCharacter(escaped);
      if (length == 0) return Fail("quoted local part holds an octet that is not allowed");
      value += text_.substr(at_, length);
      at_ += length;
    }
    return Fail("quoted local part does not end");
  }

  // qtextSMTP, or what may stand behind a backslash: its length here, 0 if there is none.
  size_t QuotedCharacter(bool escaped) const {
    if (at_ >= text_.size()) return 0;
    const char c = text_[at_];
    if (IsAscii(c)) return c >= 32 && c != 127 ? 1 : 0;
    return utf8_ == Utf8::kAllowed && !escaped ? Utf8SequenceLength(Rest()) : 0;
  }

  std::string_view text_;
  Utf8 utf8_;
  size_t at_ = 0;
};

Parsed<Mailbox> MailboxAt(PathParser& parser) {
  Parsed<std::string> local_part = parser.LocalPart();
  if (!local_part.has_value()) return std::unexpected(local_part.error());
  if (!parser.Take('@')) return parser.Fail("address lacks '@' and a domain");
  Parsed<std::string> domain = parser.Domain();
  if (!domain.has_value()) return std::unexpected(domain.error());
  return Mailbox{.local_part = *std::move(local_part), .domain = *std::move(domain)};
}

// "<", a route, and the mailbox up to ">".
Parsed<Mailbox> BracketedMailbox(PathParser& parser) {
  if (Parsed<bool> route = parser.SourceRoute(); !route.has_value())
    return std::unexpected(route.error());
  Parsed<Mailbox> mailbox = MailboxAt(parser);
  if (mailbox.has_value() && !parser.Take('>')) return parser.Fail("path does not end in '>'");
  if (mailbox.has_value() && parser.at() > kMaxPath)
    return Malformed("path is longer than 256 octets");
  return mailbox;
}

}  // namespace

DomainKind Mailbox::domain_kind() const {
  if (!is_literal()) return DomainKind::kName;
  if (domain.find(':') == std::string::npos) return DomainKind::kIpv4Literal;
  return DomainKind::kIpv6Literal;
}

bool Mailbox::needs_utf8() const { return !IsAllAscii(local_part) || !IsAllAscii(domain); }

std::string Mailbox::ToString() const {
  std::string text;
  if (IsDotString(local_part)) {
    text = local_part;
  } else {
    text = '"';
    for (const char c : local_part) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + '@' + domain;
}

bool IsDomainName(std::string_view text, Utf8 utf8) {
  if (text.empty() || text.size() > kMaxDomain) return false;
  size_t label = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || text[i] == '.') {
      if (label == 0 || label > kMaxLabel || text[i - 1] == '-') return false;
      label = 0;
      continue;
    }
    const char c = text[i];
    if (static_cast<uint8_t>(c) >= 0x80) {
      const size_t length = utf8 == Utf8::kAllowed ? Utf8SequenceLength(text.substr(i)) : 0;
      if (length == 0) return false;
      i += length - 1;
      label += length;
      continue;
    }
    // An underscore is no letter of a host name, but names with one send mail.
    if (!IsAlpha(c) && !IsDigit(c) && c != '_' && !(c == '-' && label > 0)) return false;
    ++label;
  }
  return true;
}

bool IsAddressLiteral(std::string_view text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  const Literal parts = Dissect(text);
  const bool colons = parts.address.find(':') != std::string_view::npos;
  return parts.v6 == colons && IpAddress::Parse(parts.address).has_value();
}

Parsed<Mailbox> ParseMailbox(std::string_view text, Utf8 utf8) {
  PathParser parser(text, utf8);
  Parsed<Mailbox> mailbox = MailboxAt(parser);
  if (mailbox.has_value() && !parser.Rest().empty())
    return parser.Fail("characters follow the address");
  if (mailbox.has_value() && text.size() > kMaxPath - 2)
    return Malformed("address is longer than 254 octets");
  return mailbox;
}

Parsed<ReversePath> TakeReversePath(std::string_view& text, Utf8 utf8) {
  PathParser parser(text, utf8);
  if (!parser.Take('<')) return parser.Fail("path does not begin with '<'");
  ReversePath path;
  if (!parser.Take('>')) {
    Parsed<Mailbox> mailbox = BracketedMailbox(parser);
    if (!mailbox.has_value()) return std::unexpected(mailbox.error());
    path = {.null = false, .mailbox = *std::move(mailbox)};
  }
  text = parser.Rest();
  return path;
}

Parsed<ForwardPath> TakeForwardPath(std::string_view& text, Utf8 utf8) {
  PathParser parser(text, utf8);
  if (!parser.Take('<')) return parser.Fail("path does not begin with '<'");
  if (EqualsIgnoringCase(parser.Rest().substr(0, 11), "postmaster>")) {
    text.remove_prefix(12);
    return ForwardPath{.postmaster = true, .mailbox = {}};
  }
  Parsed<Mailbox> mailbox = BracketedMailbox(parser);
  if (!mailbox.has_value()) return std::unexpected(mailbox.error());
  text = parser.Rest();
  return ForwardPath{.postmaster = false, .mailbox = *std::move(mailbox)};
}

Parsed<ReversePath> ParseReversePath(std::string_view text, Utf8 utf8) {
  if (text.empty()) return ReversePath();
  Parsed<Mailbox> mailbox = ParseMailbox(text, utf8);
  if (!mailbox.has_value()) return std::unexpected(std::move(mailbox).error());
  return ReversePath{.null = false, .mailbox = *std::move(mailbox)};
}

Parsed<ForwardPath> ParseForwardPath(std::string_view text, Utf8 utf8) {
  if (EqualsIgnoringCase(text, "postmaster")) return ForwardPath{.postmaster = true, .mailbox = {}};
  Parsed<Mailbox> mailbox = ParseMailbox(text, utf8);
  if (!mailbox.has_value()) return std::unexpected(std::move(mailbox).error());
  return ForwardPath{.postmaster = false, .mailbox = *std::move(mailbox)};
}

bool HasRoutedLocalPart(const Mailbox& mailbox) {
  return mailbox.local_part.find_first_of("%!@") != std::string::npos;
}

bool IsPostmaster(const Mailbox& mailbox) {
  return EqualsIgnoringCase(mailbox.local_part, "postmaster");
}

}  // namespace postern::smtp
