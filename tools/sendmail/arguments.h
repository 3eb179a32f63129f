// tools/sendmail/arguments.h — the command line of sendmail, mailq and newaliases. Pure.
//
// Letters may stand together ("-ti") and a value behind its letter or in the next argument, as
// getopt reads them: programs use every form.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/parse_error.h"

namespace postern::sendmail {

enum class Mode {
  kSubmit,   // -bm
  kList,     // -bp, mailq
  kFlush,    // -q
  kServe,    // -bs
  kAliases,  // -bi, -I, newaliases
};

struct Options {
  Mode mode = Mode::kSubmit;
  bool take_recipients = false;        // -t
  bool dots_are_text = false;          // -i, -oi: a line with a dot alone does not end the message
  bool verbose = false;                // -v: print what the server made of it
  std::optional<std::string> sender;   // -f; "" is the null sender; nullopt: the account's own
  std::string full_name;               // -F
  std::vector<std::string> arguments;  // recipients, as given
  std::string notify;                  // -N, as behind NOTIFY=
  std::string envid;                   // -V, not yet as xtext
  std::string ret;                     // -R, as behind RET=
  std::optional<std::string> config;   // -C
  std::string queue_id;                // -qI: this message alone
};

// `name` is what the program was called: "mailq" and "newaliases" are modes too.
// Errors say which argument is wrong; the exit status is EX_USAGE.
Parsed<Options> ParseArguments(std::string_view name, const std::vector<std::string>& arguments);

inline constexpr std::string_view kUsage =
    "usage: sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N never|success,failure,delay] [-R "
    "full|hdrs]\n"
    "         [-V ENVID] [-C FILE] [RECIPIENT...] <MESSAGE\n"
    "       sendmail -bs | -bp | -q | -qI ID\n";

}  // namespace postern::sendmail
