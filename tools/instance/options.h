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
};

// Errors say which option lacks what.
Parsed<Options> ParseArguments(const std::vector<std::string_view>& arguments);

// "key=value" pairs for config::RenderToml; `root` is the directory's absolute path.
std::vector<std::pair<std::string, std::string>> ConfigurationOf(const Options& options,
                                                                 const std::string& root);

inline constexpr std::string_view kUsage =
    "usage: postern-instance DIR [--smtp ADDR:PORT]... [--domain D]... [--user NAME]...\n"
    "         [--relay D=HOST:PORT]... [--relay-for CIDR]... [--smarthost HOST:PORT]\n"
    "         [--dns HOST:PORT] [--retry SECONDS] [--io auto|uring|epoll] [--set KEY=VALUE]...\n";

}  // namespace postern::instance
