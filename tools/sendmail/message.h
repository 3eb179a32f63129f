// tools/sendmail/message.h — making a message out of what a program wrote to `sendmail`. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sendmail {

struct Options {
  bool take_recipients = false;  // -t
  bool dots_are_text = false;    // -i: a line with a dot alone does not end the message
  std::string sender;            // -f; empty: the account's own address
  std::string full_name;         // -F
  std::vector<std::string> recipients;
  enum class Mode {
    kSubmit,
    kList,
    kFlush,
    kServe,
    kAliases
  } mode = Mode::kSubmit;                            // -bm, -bp, -q, -bs, -bi
  std::string notify;                                // -N
  std::string envid;                                 // -V
  std::string ret;                                   // -R
  std::string config = "/etc/postern/postern.toml";  // -C
};

// `name` is what the program was called: "mailq" and "newaliases" are modes too. On a mistake
// `problem` is set and the exit status is EX_USAGE.
Options ParseArguments(std::string_view name, const std::vector<std::string>& arguments,
                       std::string& problem);

struct Prepared {
  std::string content;                  // CRLF lines
  std::vector<std::string> recipients;  // of the command line and, with -t, of To, Cc, Bcc
};

// LF becomes CRLF; From, Date and Message-ID are added where they are missing; with -t Bcc goes and
// the recipients are taken from the header. `own_address` is the sender's, `unique` makes the
// Message-ID.
Prepared Prepare(std::string_view text, const Options& options, const std::string& own_address,
                 int64_t unix_seconds, const std::string& unique);

// The addresses of a To, Cc or Bcc field: bare, in <>, with names and comments, in groups.
std::vector<std::string> AddressesOf(std::string_view field);

}  // namespace postern::sendmail
