// common/smtp/command.h — one command line, parsed (RFC 5321 §4.1.1 and the extensions we offer).
//
// Pure grammar: whether a command fits the moment is the session's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/smtp/address.h"

namespace postern::smtp {

enum class BodyType : uint8_t { kSevenBit, kEightBit, kBinary };  // RFC 6152, RFC 3030
enum class Return : uint8_t { kNotGiven, kFull, kHeaders };       // RFC 3461 §4.3

// NOTIFY= (RFC 3461 §4.1) as bits; 0: not given. kNotifyNever stands alone.
inline constexpr uint8_t kNotifyNever = 1;
inline constexpr uint8_t kNotifySuccess = 2;
inline constexpr uint8_t kNotifyFailure = 4;
inline constexpr uint8_t kNotifyDelay = 8;

struct Hello {
  bool extended = false;  // EHLO
  std::string name;       // as given: printable, at most kMaxDomain octets
  // Whether `name` is a domain name or address literal; clients that are wrong here still send
  // mail.
  bool well_formed = true;
};
struct Mail {
  ReversePath from;
  std::optional<uint64_t> size_octets;  // more than 64 bits hold: the greatest value
  std::optional<BodyType> body;         // not given: 7BIT by the standard
  bool smtputf8 = false;
  Return ret = Return::kNotGiven;
  std::string envid;                // decoded; empty: not given
  std::optional<ReversePath> auth;  // AUTH= (RFC 4954 §5): who submitted it; null: "<>"
};
struct Rcpt {
  ForwardPath to;
  uint8_t notify = 0;
  std::string orcpt;  // "type;address", type lower-case, address decoded; empty: not given
};
struct Data {};
struct Bdat {
  uint64_t octets = 0;
  bool last = false;
};
struct Rset {};
struct Noop {};
struct Quit {};
struct Help {
  std::string topic;
};
struct Vrfy {
  std::string who;
};
struct Expn {
  std::string list;
};
struct StartTls {};
struct Auth {
  std::string mechanism;                        // upper-case
  std::optional<std::string> initial_response;  // as on the wire: base64, or "=" for an empty one
};
struct Etrn {
  std::string node;
};
struct Obsolete {};  // SEND, SOML, SAML, TURN: of RFC 821 alone; 502 (S04)
// A request of another protocol: a web browser or proxy was made to talk to us. Hang up.
struct Foreign {};

using Command = std::variant<Hello, Mail, Rcpt, Data, Bdat, Rset, Noop, Quit, Help, Vrfy, Expn,
                             StartTls, Auth, Etrn, Obsolete, Foreign>;

// Why a line is no command. replies.h has the reply to each kind; `reason` is words for it, without
// bytes of the line.
struct CommandError {
  enum class Kind : uint8_t {
    kUnrecognized,         // 500 5.5.2
    kTooLong,              // 500 5.5.2
    kSyntax,               // 501 5.5.4
    kSenderSyntax,         // 501 5.1.7
    kRecipientSyntax,      // 501 5.1.3
    kParameterSyntax,      // 501 5.5.4
    kUnknownParameter,     // 555 5.5.4
    kParameterNotAllowed,  // 555 5.5.4: known, but not now (after HELO, or not offered)
    kNonAsciiAddress,      // 553 5.6.7: an address needs SMTPUTF8 (RFC 6531 §3.5)
  };
  Kind kind = Kind::kSyntax;
  std::string reason;
};

// What the grammar depends on.
struct CommandContext {
  bool extended = true;          // EHLO was said: parameters are allowed
  bool smtputf8 = false;         // MAIL said SMTPUTF8: so may RCPT, VRFY and EXPN
  bool smtputf8_offered = true;  // in our EHLO answer; likewise the rest
  bool size_offered = true;      //
  bool eightbit_offered = true;  //
  bool binary_offered = true;    // BODY=BINARYMIME
  bool dsn_offered = true;       //
  bool auth_offered = false;     // AUTH= on MAIL
};

// `line` without its CRLF. Verbs and keywords in any case; white space behind the line, and one
// space behind the colon of MAIL FROM: and RCPT TO:, are let pass as clients send them.
std::expected<Command, CommandError> ParseCommand(std::string_view line,
                                                  const CommandContext& context);

}  // namespace postern::smtp
