// common/smtp/address.h — mailboxes and paths (RFC 5321 §4.1.2, RFC 6531 §3.3) as values.
//
// Strict: no comments, folding or obsolete forms. A source route is read and dropped (RFC 5321
// §3.3, Appendix C; S07), so that all decisions are about the final mailbox. Two spellings of one
// local part ("a.b" with and without quotes) have one value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::smtp {

// Whether addresses may hold UTF-8 (RFC 6531): only in a transaction that said SMTPUTF8.
enum class Utf8 : uint8_t { kRefused, kAllowed };

// What stands behind the '@' (RFC 5321 §4.1.3).
enum class DomainKind : uint8_t { kName, kIpv4Literal, kIpv6Literal };

// A local part and a domain, or an address literal.
struct Mailbox {
  std::string local_part;  // unquoted: the characters it means; may be empty ("" in quotes)
  std::string domain;      // lower-case in ASCII; a literal as "[192.0.2.1]", "[IPv6:2001:db8::1]"

  DomainKind domain_kind() const;
  bool is_literal() const { return !domain.empty() && domain.front() == '['; }
  // Whether it can travel with SMTPUTF8 only.
  bool needs_utf8() const;
  // "local@domain" as on the wire, the local part quoted only where it must be.
  std::string ToString() const;
  friend bool operator==(const Mailbox&, const Mailbox&) = default;
};

// "local@domain", without brackets; at most kMaxPath - 2 octets.
Parsed<Mailbox> ParseMailbox(std::string_view text, Utf8 utf8);

// A reverse-path: null ("<>"), or a mailbox.
struct ReversePath {
  bool null = true;
  Mailbox mailbox;
  // The address without brackets; empty for the null path.
  std::string ToString() const { return null ? std::string() : mailbox.ToString(); }
  // "<...>", as behind MAIL FROM:.
  std::string ToPath() const { return '<' + ToString() + '>'; }
  friend bool operator==(const ReversePath&, const ReversePath&) = default;
};

// A forward-path: a mailbox, or "postmaster" alone (RFC 5321 §4.5.1).
struct ForwardPath {
  bool postmaster = false;  // without a domain; `mailbox` is empty then
  Mailbox mailbox;
  // The address without brackets.
  std::string ToString() const { return postmaster ? "postmaster" : mailbox.ToString(); }
  // "<...>", as behind RCPT TO:.
  std::string ToPath() const { return '<' + ToString() + '>'; }
  friend bool operator==(const ForwardPath&, const ForwardPath&) = default;
};

// Parse "<...>" at the start of `text` and take it off; at most kMaxPath octets. On failure `text`
// stays as it was.
Parsed<ReversePath> TakeReversePath(std::string_view& text, Utf8 utf8);
Parsed<ForwardPath> TakeForwardPath(std::string_view& text, Utf8 utf8);

// The inverse of ToString(): "" is the null path, "postmaster" alone the postmaster.
Parsed<ReversePath> ParseReversePath(std::string_view text, Utf8 utf8);
Parsed<ForwardPath> ParseForwardPath(std::string_view text, Utf8 utf8);

// Letters, digits, hyphens and underscores between dots (§4.1.2 Domain; names with an underscore
// exist and send mail), labels of 1 to 63 octets, at most 255 in all, no dot at the end; with
// Utf8::kAllowed also U-labels (valid UTF-8; domain.h examines them further).
bool IsDomainName(std::string_view text, Utf8 utf8);
// "[192.0.2.1]", "[IPv6:...]" (§4.1.3). Of general literals the tag must be registered, and none
// but IPv6 is: others are refused.
bool IsAddressLiteral(std::string_view text);

// Local parts that mean a route by another name: user%host, host!user, "user@host" (S07).
bool HasRoutedLocalPart(const Mailbox& mailbox);
// "postmaster" in any case, at whatever domain (RFC 5321 §4.5.1).
bool IsPostmaster(const Mailbox& mailbox);

}  // namespace postern::smtp
