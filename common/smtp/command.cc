#include "common/smtp/command.h"

#include <algorithm>
#include <vector>

#include "common/base/escape.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"
#include "common/smtp/xtext.h"

namespace postern::smtp {
namespace {

using Kind = CommandError::Kind;
using Result = std::expected<Command, CommandError>;

std::unexpected<CommandError> Error(Kind kind, std::string reason) {
  return std::unexpected(CommandError{kind, std::move(reason)});
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string_view WithoutLeading(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

Result ParseHello(bool extended, std::string_view argument) {
  argument = WithoutLeading(argument);
  if (argument.empty())
    return Error(Kind::kSyntax, extended ? "EHLO needs a host name" : "HELO needs a host name");
  if (argument.size() > kMaxDomain || !IsAllVisible(argument) || !IsValidUtf8(argument)) {
    return Error(Kind::kSyntax, "the host name is too long or holds forbidden characters");
  }
  return Hello{.extended = extended,
               .name = std::string(argument),
               .well_formed = IsDomainName(argument, Utf8::kAllowed) || IsAddressLiteral(argument)};
}

struct Parameter {
  std::string keyword;  // upper case
  std::string_view value;
  bool has_value = false;
};

// esmtp-param (RFC 5321 §4.1.2): keyword, perhaps "=" and a value without spaces or "=".
std::expected<std::vector<Parameter>, CommandError> SplitParameters(std::string_view text) {
  std::vector<Parameter> parameters;
  while (!text.empty()) {
    if (text.front() != ' ')
      return Error(Kind::kParameterSyntax, "a space must separate path and parameters");
    text = WithoutLeading(text);
    if (text.empty()) break;
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    Parameter parameter;
    const size_t equals = word.find('=');
    parameter.keyword = AsciiUpper(word.substr(0, equals));
    parameter.has_value = equals != std::string_view::npos;
    if (parameter.has_value) parameter.value = word.substr(equals + 1);
    const auto known = [&](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (parameter.keyword.empty() || parameter.keyword.front() == '-' ||
        !std::all_of(parameter.keyword.begin(), parameter.keyword.end(), known)) {
      return Error(Kind::kParameterSyntax, "a parameter's keyword is malformed");
    }
    if (parameter.has_value && (parameter.value.empty() || !IsAllVisible(parameter.value))) {
      return Error(Kind::kParameterSyntax,
                   "parameter " + parameter.keyword + " has an empty or malformed value");
    }
    for (const Parameter& earlier : parameters) {
      if (earlier.keyword == parameter.keyword) {
        return Error(Kind::kParameterSyntax, "parameter " + parameter.keyword + " is given twice");
      }
    }
    parameters.push_back(std::move(parameter));
  }
  return parameters;
}

std::unexpected<CommandError> BadValue(const Parameter& parameter) {
  return Error(Kind::kParameterSyntax,
               "parameter " + parameter.keyword + " has a value that is not allowed");
}

using Applied = std::expected<void, CommandError>;

std::unexpected<CommandError> Unknown(const Parameter& parameter) {
  return Error(Kind::kUnknownParameter,
               "parameter " + parameter.keyword.substr(0, 32) + " is not supported");
}

std::unexpected<CommandError> NotOffered(const Parameter& parameter) {
  return Error(Kind::kParameterNotAllowed,
               "parameter " + parameter.keyword + " belongs to an extension that is not offered");
}

Applied ApplySize(const Parameter& parameter, Mail& mail) {
  if (parameter.value.empty() || parameter.value.size() > kMaxSizeDigits)
    return BadValue(parameter);
  uint64_t size = 0;
  bool overflow = false;  // 20 digits may say more than 64 bits hold: too large in any case
  for (const char c : parameter.value) {
    if (!IsDigit(c)) return BadValue(parameter);
    overflow |= __builtin_mul_overflow(size, uint64_t{10}, &size);
    overflow |= __builtin_add_overflow(size, static_cast<uint64_t>(c - '0'), &size);
  }
  mail.size_octets = overflow ? ~uint64_t{0} : size;
  return {};
}

Applied ApplyBody(const Parameter& parameter, const CommandContext& context, Mail& mail) {
  if (EqualsIgnoringCase(parameter.value, "7BIT")) {
    mail.body = BodyType::kSevenBit;
  } else if (EqualsIgnoringCase(parameter.value, "8BITMIME")) {
    mail.body = BodyType::kEightBit;
  } else if (EqualsIgnoringCase(parameter.value, "BINARYMIME")) {
    if (!context.binary_offered) return NotOffered(parameter);
    mail.body = BodyType::kBinary;
  } else {
    return BadValue(parameter);
  }
  return {};
}

Applied ApplyRet(const Parameter& parameter, Mail& mail) {
  const bool full = EqualsIgnoringCase(parameter.value, "FULL");
  if (!full && !EqualsIgnoringCase(parameter.value, "HDRS")) return BadValue(parameter);
  mail.ret = full ? Return::kFull : Return::kHeaders;
  return {};
}

Applied ApplyEnvid(const Parameter& parameter, Mail& mail) {
  if (parameter.value.size() > kMaxEnvid) return BadValue(parameter);
  Parsed<std::string> envid = DecodeXtext(parameter.value);
  // Printable ASCII (RFC 3461 §4.4): it goes into a header field of the notice.
  const auto printable = [](char c) { return c >= 32 && c <= 126; };
  if (!envid.has_value() || envid->empty() || !std::all_of(envid->begin(), envid->end(), printable))
    return BadValue(parameter);
  mail.envid = *std::move(envid);
  return {};
}

// RFC 4954 §5: an addr-spec or "<>" in xtext.
Applied ApplyAuth(const Parameter& parameter, Mail& mail) {
  if (parameter.value.size() > kMaxAuthParameter) return BadValue(parameter);
  const Parsed<std::string> address = DecodeXtext(parameter.value);
  if (!address.has_value()) return BadValue(parameter);
  if (*address == "<>") {
    mail.auth = ReversePath();
    return {};
  }
  Parsed<Mailbox> mailbox = ParseMailbox(*address, Utf8::kAllowed);
  if (!mailbox.has_value()) return BadValue(parameter);
  mail.auth = ReversePath{.null = false, .mailbox = *std::move(mailbox)};
  return {};
}

Applied ApplyMailParameter(const Parameter& parameter, const CommandContext& context, Mail& mail) {
  const std::string_view keyword = parameter.keyword;
  if (keyword == "SIZE") {
    return context.size_offered ? ApplySize(parameter, mail) : NotOffered(parameter);
  }
  if (keyword == "BODY") {
    const bool offered = context.eightbit_offered || context.binary_offered;
    return offered ? ApplyBody(parameter, context, mail) : NotOffered(parameter);
  }
  if (keyword == "SMTPUTF8") {
    if (!context.smtputf8_offered) return NotOffered(parameter);
    if (parameter.has_value) return BadValue(parameter);
    mail.smtputf8 = true;
    return {};
  }
  if (keyword == "RET") {
    return context.dsn_offered ? ApplyRet(parameter, mail) : NotOffered(parameter);
  }
  if (keyword == "ENVID") {
    return context.dsn_offered ? ApplyEnvid(parameter, mail) : NotOffered(parameter);
  }
  if (keyword == "AUTH") {
    return context.auth_offered ? ApplyAuth(parameter, mail) : NotOffered(parameter);
  }
  return Unknown(parameter);
}

// RFC 3461 §4.1: NEVER alone, or a list of the others.
bool ParseNotify(std::string_view value, uint8_t& notify) {
  while (true) {
    const size_t comma = value.find(',');
    const std::string word = AsciiUpper(value.substr(0, comma));
    const uint8_t bit = word == "NEVER"     ? kNotifyNever
                        : word == "SUCCESS" ? kNotifySuccess
                        : word == "FAILURE" ? kNotifyFailure
                        : word == "DELAY"   ? kNotifyDelay
                                            : 0;
    if (bit == 0) return false;
    notify |= bit;
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  return notify == kNotifyNever || (notify & kNotifyNever) == 0;
}

// RFC 3461 §4.2, RFC 6533 §3: "rfc822;xtext", "utf-8;..." or another registered type.
bool ParseOrcpt(std::string_view value, bool smtputf8, std::string& orcpt) {
  const size_t semicolon = value.find(';');
  if (value.size() > kMaxOrcpt || semicolon == value.npos || semicolon == 0) return false;
  const std::string type = AsciiLower(value.substr(0, semicolon));
  const auto atom = [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-'; };
  if (!std::all_of(type.begin(), type.end(), atom)) return false;
  const bool utf8 = type == "utf-8";
  const std::string_view encoded = value.substr(semicolon + 1);
  const Parsed<std::string> address =
      utf8 ? DecodeUtf8Address(encoded, smtputf8 ? Utf8::kAllowed : Utf8::kRefused)
           : DecodeXtext(encoded);
  if (!address.has_value() || address->empty()) return false;
  // It goes into a header field of the notice: no control characters, and ASCII but for utf-8.
  const auto fits = [&](char c) { return IsAscii(c) ? c >= 32 && c != 127 : utf8; };
  if (!std::all_of(address->begin(), address->end(), fits)) return false;
  orcpt = type + ';' + *address;
  return true;
}

Applied ApplyRcptParameter(const Parameter& parameter, const CommandContext& context, Rcpt& rcpt) {
  const bool notify = parameter.keyword == "NOTIFY";
  if (!notify && parameter.keyword != "ORCPT") return Unknown(parameter);
  if (!context.dsn_offered) return NotOffered(parameter);
  const bool good = notify ? ParseNotify(parameter.value, rcpt.notify)
                           : ParseOrcpt(parameter.value, context.smtputf8, rcpt.orcpt);
  if (!good) return BadValue(parameter);
  return {};
}

// "FROM:" or "TO:" in front of the path; one space behind it is a common mistake and harmless.
bool TakeKeyword(std::string_view& argument, std::string_view keyword) {
  argument = WithoutLeading(argument);
  if (!EqualsIgnoringCase(argument.substr(0, keyword.size()), keyword)) return false;
  argument.remove_prefix(keyword.size());
  if (!argument.empty() && argument.front() == ' ') argument.remove_prefix(1);
  return true;
}

// Whether SMTPUTF8 is among the parameters: must be known before the path can be judged. A quoted
// local part may hold the word too; then the path is judged leniently and the parameter is missed
// below.
bool AnnouncesUtf8(std::string_view argument) {
  constexpr std::string_view kWord = "SMTPUTF8";
  for (size_t at = argument.find(' '); at != argument.npos; at = argument.find(' ')) {
    argument.remove_prefix(at + 1);
    if (EqualsIgnoringCase(argument.substr(0, argument.find(' ')), kWord)) return true;
  }
  return false;
}

// The parameters behind a path, each given to `apply`.
template <class Apply>
Applied ApplyParameters(std::string_view text, const CommandContext& context, Apply apply) {
  if (text.empty()) return {};
  const auto parameters = SplitParameters(text);
  if (!parameters.has_value()) return std::unexpected(parameters.error());
  if (!parameters->empty() && !context.extended)
    return Error(Kind::kParameterNotAllowed, "parameters need EHLO");
  for (const Parameter& parameter : *parameters) {
    if (Applied applied = apply(parameter); !applied.has_value()) return applied;
  }
  return {};
}

// The error of a path: that UTF-8 is not allowed here, if the path is good otherwise.
template <class Take>
std::unexpected<CommandError> PathError(std::string_view argument, Kind kind,
                                        const ParseError& error, Take take) {
  if (!IsAllAscii(argument) && take(argument, Utf8::kAllowed).has_value())
    return Error(Kind::kNonAsciiAddress, "the address needs SMTPUTF8");
  return Error(kind, error.reason);
}

Result ParseMail(std::string_view argument, const CommandContext& context) {
  if (!TakeKeyword(argument, "FROM:")) return Error(Kind::kSyntax, "expected MAIL FROM:<address>");
  const bool utf8 = context.extended && context.smtputf8_offered && AnnouncesUtf8(argument);
  Parsed<ReversePath> path = TakeReversePath(argument, utf8 ? Utf8::kAllowed : Utf8::kRefused);
  if (!path.has_value())
    return PathError(argument, Kind::kSenderSyntax, path.error(), TakeReversePath);
  Mail mail{.from = *std::move(path)};
  const auto apply = [&](const Parameter& p) { return ApplyMailParameter(p, context, mail); };
  if (Applied applied = ApplyParameters(argument, context, apply); !applied.has_value())
    return std::unexpected(std::move(applied).error());
  if (!mail.smtputf8 && mail.from.mailbox.needs_utf8())
    return Error(Kind::kNonAsciiAddress, "the address needs SMTPUTF8");
  return mail;
}

Result ParseRcpt(std::string_view argument, const CommandContext& context) {
  if (!TakeKeyword(argument, "TO:")) return Error(Kind::kSyntax, "expected RCPT TO:<address>");
  const Utf8 utf8 = context.smtputf8 ? Utf8::kAllowed : Utf8::kRefused;
  Parsed<ForwardPath> path = TakeForwardPath(argument, utf8);
  if (!path.has_value())
    return PathError(argument, Kind::kRecipientSyntax, path.error(), TakeForwardPath);
  Rcpt rcpt{.to = *std::move(path)};
  const auto apply = [&](const Parameter& p) { return ApplyRcptParameter(p, context, rcpt); };
  if (Applied applied = ApplyParameters(argument, context, apply); !applied.has_value())
    return std::unexpected(std::move(applied).error());
  return rcpt;
}

// RFC 3030 §2: "BDAT" SP size [ SP "LAST" ].
Result ParseBdat(std::string_view argument) {
  argument = WithoutLeading(argument);
  const std::string_view digits = argument.substr(0, argument.find(' '));
  std::string_view rest = WithoutLeading(argument.substr(digits.size()));
  Bdat bdat;
  if (digits.empty() || digits.size() > 18)
    return Error(Kind::kSyntax, "expected BDAT octets [LAST]");
  for (const char c : digits) {
    if (c < '0' || c > '9') return Error(Kind::kSyntax, "expected BDAT octets [LAST]");
    bdat.octets = bdat.octets * 10 + static_cast<uint64_t>(c - '0');
  }
  if (!rest.empty()) {
    if (!EqualsIgnoringCase(rest, "LAST"))
      return Error(Kind::kSyntax, "expected BDAT octets [LAST]");
    bdat.last = true;
  }
  return bdat;
}

template <class C>
Result WithoutArgument(std::string_view argument, std::string_view verb) {
  if (!argument.empty()) return Error(Kind::kSyntax, std::string(verb) + " takes no argument");
  return C{};
}

// VRFY, EXPN, HELP, ETRN, NOOP: words for people. Control characters could not be logged or echoed.
Applied CheckWords(std::string_view words) {
  const auto control = [](char c) { return IsAscii(c) && c != ' ' && c != '\t' && !IsVisible(c); };
  if (std::any_of(words.begin(), words.end(), control) || !IsValidUtf8(words))
    return Error(Kind::kSyntax, "the argument holds characters that are not allowed");
  return {};
}

template <class C>
Result WithWords(std::string_view argument, std::string_view verb) {
  if (argument.empty()) return Error(Kind::kSyntax, std::string(verb) + " needs an argument");
  if (Applied checked = CheckWords(argument); !checked.has_value())
    return std::unexpected(std::move(checked).error());
  return C{std::string(argument)};
}

// Whatever stands behind it is ignored (RFC 5321 §4.1.1.9), as long as it is text.
Result ParseNoop(std::string_view argument) {
  if (Applied checked = CheckWords(argument); !checked.has_value())
    return std::unexpected(std::move(checked).error());
  return Noop{};
}

Result ParseHelp(std::string_view argument) {
  if (argument.empty()) return Help{};
  return WithWords<Help>(argument, "HELP");
}

// RFC 4954 §4: "AUTH" SP mechanism [SP initial-response].
Result ParseAuth(std::string_view argument) {
  const std::string_view mechanism = argument.substr(0, argument.find(' '));
  const std::string_view rest = WithoutLeading(argument.substr(mechanism.size()));
  const auto known = [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '_'; };
  if (mechanism.empty() || mechanism.size() > kMaxMechanism ||
      !std::all_of(mechanism.begin(), mechanism.end(), known))
    return Error(Kind::kSyntax, "expected AUTH mechanism [initial-response]");
  const auto base64 = [](char c) {
    return IsAlpha(c) || IsDigit(c) || c == '+' || c == '/' || c == '=';
  };
  if (!std::all_of(rest.begin(), rest.end(), base64))
    return Error(Kind::kSyntax, "the initial response is no base64");
  Auth auth{.mechanism = AsciiUpper(mechanism)};
  if (!rest.empty()) auth.initial_response = std::string(rest);
  return auth;
}

struct Verb {
  std::string_view name;  // upper-case
  Result (*parse)(std::string_view argument, const CommandContext& context);
};

// The most frequent first.
constexpr Verb kVerbs[] = {
    {"RCPT", ParseRcpt},
    {"MAIL", ParseMail},
    {"DATA", [](std::string_view a, auto&) { return WithoutArgument<Data>(a, "DATA"); }},
    {"EHLO", [](std::string_view a, auto&) { return ParseHello(true, a); }},
    {"QUIT", [](std::string_view a, auto&) { return WithoutArgument<Quit>(a, "QUIT"); }},
    {"BDAT", [](std::string_view a, auto&) { return ParseBdat(a); }},
    {"RSET", [](std::string_view a, auto&) { return WithoutArgument<Rset>(a, "RSET"); }},
    {"HELO", [](std::string_view a, auto&) { return ParseHello(false, a); }},
    {"STARTTLS",
     [](std::string_view a, auto&) { return WithoutArgument<StartTls>(a, "STARTTLS"); }},
    {"AUTH", [](std::string_view a, auto&) { return ParseAuth(a); }},
    {"NOOP", [](std::string_view a, auto&) { return ParseNoop(a); }},
    {"HELP", [](std::string_view a, auto&) { return ParseHelp(a); }},
    {"VRFY", [](std::string_view a, auto&) { return WithWords<Vrfy>(a, "VRFY"); }},
    {"EXPN", [](std::string_view a, auto&) { return WithWords<Expn>(a, "EXPN"); }},
    {"ETRN", [](std::string_view a, auto&) { return WithWords<Etrn>(a, "ETRN"); }},
    {"SEND", [](std::string_view, auto&) { return Result(Obsolete{}); }},
    {"SOML", [](std::string_view, auto&) { return Result(Obsolete{}); }},
    {"SAML", [](std::string_view, auto&) { return Result(Obsolete{}); }},
    {"TURN", [](std::string_view, auto&) { return Result(Obsolete{}); }},
    {"GET", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"POST", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"PUT", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"HEAD", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"DELETE", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"OPTIONS", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"CONNECT", [](std::string_view, auto&) { return Result(Foreign{}); }},
    {"USER", [](std::string_view, auto&) { return Result(Foreign{}); }},
};

}  // namespace

Result ParseCommand(std::string_view line, const CommandContext& context) {
  line = Trimmed(line);
  const std::string_view verb = line.substr(0, line.find(' '));
  const std::string_view argument = WithoutLeading(line.substr(verb.size()));
  for (const Verb& known : kVerbs) {
    if (!EqualsIgnoringCase(verb, known.name)) continue;
    const size_t limit = known.name == "AUTH" ? kMaxAuthLine : kMaxCommandLine;
    if (line.size() + 2 > limit) return Error(Kind::kTooLong, "command line too long");
    return known.parse(argument, context);
  }
  return Error(Kind::kUnrecognized, "command not recognized");
}

}  // namespace postern::smtp
