// tools/instance/options.h — the command line of postern-instance and the configuration it makes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/parse_error.h"

namespace postern::instance {

struct Options {
  std::string directory;  // as given
  std::vector<std::string> listen;
  std::vector<std::string> domains;
  std::vector<std::string> users;
  std::vector<std::string> relays;     // "domain=host:port"
  std::vector<std::string> relay_for;  // networks
  std::string smarthost;
  std::string dns;
  std::string retry_seconds;
  std::string io;
  std::vector<std::string> settings;  // "key=value", last word on everything
  bool help = false;                  // --help: nothing else counts
};

// Errors say which option lacks what.
Parsed<Options> ParseArguments(const std::vector<std::string_view>& arguments);

// "key=value" pairs for config::RenderToml; `root` is the directory's absolute path.
std::vector<std::pair<std::string, std::string>> ConfigurationOf(const Options& options,
                                                                 const std::string& root);

inline constexpr std::string_view kUsage =
    "usage: postern-instance DIR [OPTION VALUE]...\n"
    "\n"
    "Writes DIR/postern.toml and runs the server in the foreground, with everything under DIR, "
    "until\n"
    "SIGTERM. Prints \"ready\" once it accepts; DIR/postern.pid holds its pid. Started again on "
    "the\n"
    "same DIR it goes on where it stopped.\n"
    "\n"
    "  --smtp ADDR:PORT       listen there (127.0.0.1:2525); may be repeated\n"
    "  --domain D             a local domain; may be repeated\n"
    "  --user NAME            a mailbox at it: the Maildir DIR/mail/NAME; may be repeated\n"
    "  --relay D=HOST:PORT    take mail for D from anyone, send it there; may be repeated\n"
    "  --relay-for CIDR       clients there may send anywhere; may be repeated\n"
    "  --smarthost HOST:PORT  send all mail that is not local there\n"
    "  --dns HOST:PORT        ask this name server\n"
    "  --retry SECONDS        the first and the longest wait between two attempts\n"
    "  --io auto|uring|epoll  how to wait for events (auto)\n"
    "  --set KEY=VALUE        any setting (postern explain); the last word; lists grow; may be "
    "repeated\n";

}  // namespace postern::instance
