#include "tools/sendmail/message.h"

#include <algorithm>

#include "common/mime/date.h"
#include "common/mime/header_edit.h"
#include "common/smtp/ascii.h"

namespace postern::sendmail {
namespace {

constexpr size_t kMaxHeader = 1 << 20;

std::string ToCrlf(std::string_view text, bool dots_are_text) {
  std::string out;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == "." && !dots_are_text) break;
    out += line;
    out += "\r\n";
  }
  return out;
}

// Every field of that name: the folded values.
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
    const size_t colon = line.find(':');
    taking =
        colon != std::string_view::npos && smtp::EqualsIgnoringCase(line.substr(0, colon), name);
    if (taking) values.emplace_back(line.substr(colon + 1));
  }
  return values;
}

}  // namespace

Options ParseArguments(std::string_view name, const std::vector<std::string>& arguments,
                       std::string& problem) {
  Options options;
  if (name == "mailq") options.mode = Options::Mode::kList;
  if (name == "newaliases") options.mode = Options::Mode::kAliases;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      options.recipients.insert(options.recipients.end(),
                                arguments.begin() + static_cast<ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      options.recipients.push_back(argument);
      continue;
    }
    // A value may follow its letter or be the next argument.
    const auto value = [&]() -> std::string {
      if (argument.size() > 2) return argument.substr(2);
      if (i + 1 < arguments.size()) return arguments[++i];
      problem = argument + " needs a value";
      return {};
    };
    switch (argument[1]) {
      case 't':
        options.take_recipients = true;
        break;
      case 'i':
        options.dots_are_text = true;
        break;
      case 'f':
      case 'r':
        options.sender = value();
        break;
      case 'F':
        options.full_name = value();
        break;
      case 'C':
        options.config = value();
        break;
      case 'N':
        options.notify = smtp::AsciiUpper(value());
        break;
      case 'V':
        options.envid = value();
        break;
      case 'R':
        options.ret = smtp::AsciiUpper(value());
        break;
      case 'o':
        if (argument == "-oi") options.dots_are_text = true;
        if (argument.size() == 2) value();
        break;
      case 'q':
        options.mode = Options::Mode::kFlush;
        break;
      case 'b':
        if (argument == "-bp") options.mode = Options::Mode::kList;
        if (argument == "-bs") options.mode = Options::Mode::kServe;
        if (argument == "-bi") options.mode = Options::Mode::kAliases;
        if (argument != "-bp" && argument != "-bs" && argument != "-bi" && argument != "-bm")
          problem = argument + " is not supported";
        break;
      // Said by many programs, and without meaning here.
      case 'B':
      case 'O':
      case 'L':
      case 'X':
      case 'h':
        value();
        break;
      case 'v':
      case 'G':
      case 'U':
      case 'n':
      case 'm':
        break;
      default:
        problem = "unknown option " + argument;
    }
  }
  return options;
}

std::vector<std::string> AddressesOf(std::string_view field) {
  std::vector<std::string> addresses;
  std::string word;  // the address or name so far
  std::string bracketed;
  bool quoted = false;
  bool in_brackets = false;
  int comment = 0;
  const auto finish = [&] {
    std::string& chosen = bracketed.empty() ? word : bracketed;
    std::erase_if(chosen, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });
    if (!chosen.empty()) addresses.push_back(chosen);
    word.clear();
    bracketed.clear();
  };
  for (size_t i = 0; i < field.size(); ++i) {
    const char c = field[i];
    std::string& to = in_brackets ? bracketed : word;
    if (c == '\\' && (quoted || comment > 0) && i + 1 < field.size()) {
      if (comment == 0) to += field.substr(i, 2);
      ++i;
    } else if (comment > 0) {
      comment += c == '(' ? 1 : c == ')' ? -1 : 0;
    } else if (c == '"') {
      quoted = !quoted;
      to += c;
    } else if (quoted) {
      to += c;
    } else if (c == '(') {
      ++comment;
    } else if (c == '<') {
      in_brackets = true;
    } else if (c == '>') {
      in_brackets = false;
    } else if (c == ':' && !in_brackets) {
      word.clear();  // a group's name
    } else if (c == ',' || c == ';') {
      finish();
    } else {
      to += c;
    }
  }
  finish();
  return addresses;
}

Prepared Prepare(std::string_view text, const Options& options, const std::string& own_address,
                 int64_t unix_seconds, const std::string& unique) {
  Prepared prepared;
  const std::string crlf = ToCrlf(text, options.dots_are_text);
  const mime::SplitMessage split = mime::SplitHeader(crlf, kMaxHeader);
  std::string header(split.header);
  prepared.recipients = options.recipients;
  if (options.take_recipients) {
    for (const char* name : {"To", "Cc", "Bcc"}) {
      for (const std::string& value : FieldsOf(header, name)) {
        for (std::string& address : AddressesOf(value))
          prepared.recipients.push_back(std::move(address));
      }
    }
    header = mime::WithoutBcc(header);
  }
  std::string added;
  if (FieldsOf(header, "From").empty()) {
    added += "From: " +
             (options.full_name.empty() ? own_address
                                        : '"' + options.full_name + "\" <" + own_address + '>') +
             "\r\n";
  }
  if (FieldsOf(header, "Date").empty()) added += "Date: " + mime::FormatDate(unix_seconds) + "\r\n";
  if (FieldsOf(header, "Message-ID").empty()) added += "Message-ID: <" + unique + ">\r\n";
  prepared.content = header + added + "\r\n" + std::string(split.body);
  return prepared;
}

}  // namespace postern::sendmail
