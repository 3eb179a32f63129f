#include "tools/instance/options.h"

#include "common/config/render.h"

namespace postern::instance {
namespace {

bool IsNumber(std::string_view text) {
  if (text.empty() || text.size() > 9) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

bool IsSet(const Options& options, std::string_view key) {
  for (const std::string& setting : options.settings) {
    const auto pair = config::SplitKeyValue(setting);
    if (pair.has_value() && pair->first == key) return true;
  }
  return false;
}

}  // namespace

Parsed<Options> ParseArguments(const std::vector<std::string_view>& arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string name(arguments[i]);
    if (!name.starts_with("-")) {
      if (!options.directory.empty()) return Malformed("more than one directory is given: " + name);
      options.directory = name;
      continue;
    }
    if (name == "--help" || name == "-h") {
      options.help = true;
      return options;
    }
    std::string value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return Malformed(name + " needs a value, or is no option");
    }
    if (name == "--smtp") {
      options.listen.push_back(value);
    } else if (name == "--domain") {
      options.domains.push_back(value);
    } else if (name == "--user") {
      options.users.push_back(value);
    } else if (name == "--relay") {
      if (value.find('=') == std::string::npos)
        return Malformed("--relay takes DOMAIN=HOST:PORT, not " + value);
      options.relays.push_back(value);
    } else if (name == "--relay-for") {
      options.relay_for.push_back(value);
    } else if (name == "--smarthost") {
      options.smarthost = value;
    } else if (name == "--dns") {
      options.dns = value;
    } else if (name == "--retry") {
      if (!IsNumber(value)) return Malformed("--retry takes a number of seconds, not " + value);
      options.retry_seconds = value;
    } else if (name == "--io") {
      options.io = value;
    } else if (name == "--set") {
      if (!config::SplitKeyValue(value).has_value())
        return Malformed("--set takes KEY=VALUE, not " + value);
      options.settings.push_back(value);
    } else {
      return Malformed("unknown option " + name);
    }
  }
  if (options.directory.empty()) return Malformed("no directory is given");
  return options;
}

std::vector<std::pair<std::string, std::string>> ConfigurationOf(const Options& options,
                                                                 const std::string& root) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const auto add = [&](std::string key, std::string value) {
    pairs.emplace_back(std::move(key), std::move(value));
  };
  add("hostname",
      options.domains.empty() ? "mail.instance.example" : "mail." + options.domains.front());
  add("root", root);
  for (const std::string& domain : options.domains) add("domains", domain);
  for (const std::string& listen : options.listen) add("smtp.listen", listen);
  if (options.listen.empty() && !IsSet(options, "smtp.listen"))
    add("smtp.listen", "127.0.0.1:2525");
  if (options.users.empty()) add("local.users", "");  // not the system's accounts
  for (const std::string& user : options.users) add("local.users", user);
  for (const std::string& relay : options.relays) {
    add("relay.domains", relay.substr(0, relay.find('=')));
    add("outbound.routes", relay);
  }
  for (const std::string& network : options.relay_for) add("relay.networks", network);
  if (!options.smarthost.empty()) add("outbound.smarthost", options.smarthost);
  if (!options.dns.empty()) {
    add("dns.servers", options.dns);
    // A name server of the instance's own knows nothing of the root's key: with it, every answer
    // would be bogus. --set dns.trust_anchor=FILE still has the last word.
    add("dns.trust_anchor", "");
  }
  // Everything an instance is for happens on this machine.
  add("outbound.loopback_allowed", "true");
  if (!options.retry_seconds.empty()) {
    add("queue.retry_first", options.retry_seconds + "s");
    add("queue.retry_longest", options.retry_seconds + "s");
  }
  if (!options.io.empty()) add("io", options.io);
  for (const std::string& setting : options.settings) {
    if (auto pair = config::SplitKeyValue(setting); pair.has_value())
      pairs.push_back(*std::move(pair));
  }
  return pairs;
}

}  // namespace postern::instance
