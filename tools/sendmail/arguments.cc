#include "tools/sendmail/arguments.h"

#include "common/base/escape.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"
#include "common/smtp/xtext.h"

namespace postern::sendmail {
namespace {

constexpr std::string_view kWithValue = "fFrCNVROBLXhpAoeb";
// Said by many programs, and without meaning here.
constexpr std::string_view kWithoutMeaning = "nmGUs";

Parsed<std::string> NotifyOf(std::string_view text) {
  const std::string upper = smtp::AsciiUpper(text);
  if (upper == "NEVER") return upper;
  for (std::string_view left = upper;;) {
    const std::string_view word = left.substr(0, left.find(','));
    if (word != "SUCCESS" && word != "FAILURE" && word != "DELAY") {
      return Malformed("-N takes never, or some of success,failure,delay with commas, not " +
                       Escaped(text));
    }
    if (word.size() == left.size()) return upper;
    left.remove_prefix(word.size() + 1);
  }
}

Parsed<Mode> ModeOf(std::string_view letter) {
  if (letter == "m") return Mode::kSubmit;
  if (letter == "p") return Mode::kList;
  if (letter == "s") return Mode::kServe;
  if (letter == "i") return Mode::kAliases;
  if (letter == "d" || letter == "D")
    return Malformed("-bd: the server is a service of its own (systemctl start postern)");
  return Malformed("-b" + Escaped(letter) + " is not supported: -bm, -bp, -bs and -bi are");
}

// "[<]address[>]"; "" and "<>" are the null sender.
std::string SenderOf(std::string_view text) {
  if (text.starts_with('<') && text.ends_with('>')) text = text.substr(1, text.size() - 2);
  return std::string(text);
}

ParseError Wrong(std::string text) { return {.reason = std::move(text)}; }

std::optional<ParseError> Take(char letter, const std::string& value, Options& options) {
  switch (letter) {
    case 'f':
    case 'r':
      options.sender = SenderOf(value);
      break;
    case 'F':
      options.full_name = value;
      break;
    case 'C':
      options.config = value;
      break;
    case 'N': {
      const Parsed<std::string> notify = NotifyOf(value);
      if (!notify.has_value()) return notify.error();
      options.notify = *notify;
      break;
    }
    case 'R':
      options.ret = smtp::AsciiUpper(value);
      if (options.ret != "FULL" && options.ret != "HDRS")
        return Wrong("-R takes full or hdrs, not " + Escaped(value));
      break;
    case 'V':
      if (smtp::EncodeXtext(value).size() > smtp::kMaxEnvid)
        return Wrong("the envelope id of -V is longer than RFC 3461 allows");
      options.envid = value;
      break;
    case 'o':
      if (value == "i") options.dots_are_text = true;
      break;
    case 'b': {
      const Parsed<Mode> mode = ModeOf(value);
      if (!mode.has_value()) return mode.error();
      options.mode = *mode;
      break;
    }
    default:
      break;
  }
  return std::nullopt;
}

// -q, -q30m (the server looks after the queue by itself: once now is all there is to do), -qI ID.
std::optional<ParseError> TakeQueueRun(std::string_view rest, Options& options) {
  options.mode = Mode::kFlush;
  if (rest.starts_with('I')) options.queue_id = rest.substr(1);
  if (rest.starts_with('R') || rest.starts_with('S'))
    return Wrong("-q" + Escaped(rest) + " is not supported: see postern queue flush --destination");
  return std::nullopt;
}

}  // namespace

Parsed<Options> ParseArguments(std::string_view name, const std::vector<std::string>& arguments) {
  Options options;
  if (name == "mailq") options.mode = Mode::kList;
  if (name == "newaliases") options.mode = Mode::kAliases;
  size_t i = 0;
  for (; i < arguments.size() && arguments[i] != "--"; ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() < 2 || argument[0] != '-') {
      options.arguments.push_back(argument);
      continue;
    }
    for (size_t at = 1; at < argument.size(); ++at) {
      const char letter = argument[at];
      if (kWithValue.contains(letter)) {
        std::string value = argument.substr(at + 1);
        if (at + 1 == argument.size()) {
          if (i + 1 == arguments.size())
            return Malformed("-" + std::string(1, letter) + " needs a value");
          value = arguments[++i];
        }
        if (auto wrong = Take(letter, value, options)) return std::unexpected(*std::move(wrong));
        break;
      }
      if (letter == 'd') break;  // debugging, its level behind it
      if (letter == 'q') {
        if (auto wrong = TakeQueueRun(std::string_view(argument).substr(at + 1), options))
          return std::unexpected(*std::move(wrong));
        if (argument.substr(at) == "qI") {
          if (i + 1 == arguments.size()) return Malformed("-qI needs a queue id");
          options.queue_id = arguments[++i];
        }
        break;
      }
      if (letter == 't') {
        options.take_recipients = true;
      } else if (letter == 'i') {
        options.dots_are_text = true;
      } else if (letter == 'v') {
        options.verbose = true;
      } else if (letter == 'I') {
        options.mode = Mode::kAliases;
      } else if (!kWithoutMeaning.contains(letter)) {
        return Malformed("unknown option -" + Escaped(std::string_view(&letter, 1)));
      }
    }
  }
  for (++i; i < arguments.size(); ++i) options.arguments.push_back(arguments[i]);
  return options;
}

}  // namespace postern::sendmail
