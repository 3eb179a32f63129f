// sendmail, mailq, newaliases: what programs call to send mail; see docs/man/sendmail.1. Speaks
// SMTP to the server's Unix socket, where the kernel says who calls: no set-uid, no set-gid.
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>

#include "common/base/unique_fd.h"
#include "common/config/parse.h"
#include "tools/sendmail/addresses.h"
#include "tools/sendmail/arguments.h"
#include "tools/sendmail/message.h"
#include "tools/sendmail/submission.h"

namespace {

using namespace postern;

constexpr char kDefaultConfig[] = "/etc/postern/postern.toml";
constexpr time_t kReplySeconds = 600;  // RFC 5321 §4.5.3.2.6, the longest of its limits

int Fail(const std::string& message, int status) {
  std::fprintf(stderr, "sendmail: %s\n", message.c_str());
  return status;
}

// A socket, or an error in `errno`.
UniqueFd ConnectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return {};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return {};
  const timeval limit{.tv_sec = kReplySeconds, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}

int FailToConnect(const config::Settings& settings) {
  const int error = errno;
  if (settings.smtp.socket.empty())
    return Fail("smtp.socket is empty in the configuration: there is nowhere to submit to",
                EX_CONFIG);
  return Fail("cannot reach the server at " + settings.smtp.socket + ": " + std::strerror(error) +
                  "; does it run? (postern ps)",
              EX_TEMPFAIL);
}

std::string AccountName() {
  const passwd* account = ::getpwuid(::getuid());
  return account != nullptr ? account->pw_name : "uid" + std::to_string(::getuid());
}

std::string UniqueName(const std::string& hostname) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()) + '.' +
         std::to_string(::getpid()) + '@' + hostname;
}

// Each once, in order; false if one is no address.
bool TakeRecipients(const std::vector<std::string>& addresses, const config::Settings& settings,
                    sendmail::Mail& mail) {
  const std::string& domain =
      settings.domains.empty() ? settings.hostname : settings.domains.front();
  bool ok = true;
  std::set<std::string> known;
  for (const std::string& address : addresses) {
    Parsed<smtp::ForwardPath> path = sendmail::PathOf(address, domain);
    if (!path.has_value()) {
      Fail(path.error().reason, EX_DATAERR);
      ok = false;
    } else if (known.insert(path->ToString()).second) {
      mail.recipients.push_back(*std::move(path));
    }
  }
  return ok;
}

int Submit(const sendmail::Options& options, const config::Settings& settings) {
  if (options.arguments.empty() && !options.take_recipients)
    return Fail("no recipients: name them, or use -t\n" + std::string(sendmail::kUsage), EX_USAGE);
  sendmail::Mail mail;
  const std::string own = AccountName() + '@' + settings.hostname;
  const std::string from = options.sender.value_or(own);
  if (!from.empty()) {
    const Parsed<smtp::ForwardPath> sender = sendmail::PathOf(from, settings.hostname);
    if (!sender.has_value()) return Fail("-f: " + sender.error().reason, EX_USAGE);
    mail.sender = {.null = false, .mailbox = sender->mailbox};
    if (sender->postmaster) mail.sender.mailbox = {"postmaster", settings.hostname};
  }
  std::vector<std::string> addresses;
  for (const std::string& argument : options.arguments) {
    for (std::string& address : sendmail::AddressesOf(argument))
      addresses.push_back(std::move(address));
  }
  const std::string text((std::istreambuf_iterator<char>(std::cin)),
                         std::istreambuf_iterator<char>());
  sendmail::Prepared prepared = sendmail::Prepare(
      text, {.take_recipients = options.take_recipients,
             .dots_are_text = options.dots_are_text,
             .full_name = options.full_name,
             .own_address = mail.sender.null ? own : mail.sender.ToString(),
             .unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count(),
             .unique = UniqueName(settings.hostname)});
  addresses.insert(addresses.end(), prepared.addresses.begin(), prepared.addresses.end());
  const bool all_are_addresses = TakeRecipients(addresses, settings, mail);
  if (!all_are_addresses && mail.recipients.empty()) return EX_DATAERR;
  if (mail.recipients.empty())
    return Fail("no recipients: the message has none in To, Cc or Bcc", EX_USAGE);
  mail.content = std::move(prepared.content);
  mail.has_8bit = prepared.has_8bit;
  mail.utf8_header = prepared.utf8_header;
  mail.notify = options.notify;
  mail.envid = options.envid;
  mail.ret = options.ret;
  const UniqueFd fd = ConnectTo(settings.smtp.socket);
  if (!fd) return FailToConnect(settings);
  const sendmail::Outcome outcome = sendmail::Submit(fd.get(), settings.hostname, mail);
  for (const std::string& problem : outcome.problems) Fail(problem, 0);
  if (options.verbose && !outcome.accepted.empty())
    std::printf("accepted: %s\n", outcome.accepted.c_str());
  return outcome.status == EX_OK && !all_are_addresses ? EX_DATAERR : outcome.status;
}

int Serve(const config::Settings& settings) {
  const UniqueFd fd = ConnectTo(settings.smtp.socket);
  if (!fd) return FailToConnect(settings);
  return sendmail::PassThrough(STDIN_FILENO, STDOUT_FILENO, fd.get());
}

// Has the operator's tool do it. Its exit statuses (tools/postern/server.h) become ours.
int RunTool(const std::string& config, std::vector<std::string> words) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "postern";
  words.insert(words.begin(), {"postern", "-c", config, "queue"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (const int failed =
          ::posix_spawn(&child, self.c_str(), nullptr, nullptr, arguments.data(), environ);
      failed != 0) {
    return Fail("cannot run " + self.string() + ": " + std::strerror(failed), EX_OSFILE);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return EX_SOFTWARE;
  switch (WEXITSTATUS(status)) {
    case 1:
      return EX_UNAVAILABLE;
    case 2:
      return EX_USAGE;
    default:
      return WEXITSTATUS(status);
  }
}

int WithSettings(const sendmail::Options& options, const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return Fail("cannot read " + file + ": name the configuration with -C or POSTERN_CONFIG",
                EX_CONFIG);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const config::Outcome outcome = config::Parse(text, std::filesystem::absolute(file).string());
  if (!outcome.ok()) return Fail(outcome.problems.front().ToString(), EX_CONFIG);
  switch (options.mode) {
    case sendmail::Mode::kList:
      return RunTool(file, {"list"});
    case sendmail::Mode::kFlush:
      if (!options.queue_id.empty()) return RunTool(file, {"requeue", options.queue_id});
      return RunTool(file, {"flush"});
    case sendmail::Mode::kServe:
      return Serve(*outcome.settings);
    default:
      return Submit(options, *outcome.settings);
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const std::string name =
      argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "sendmail";
  const Parsed<sendmail::Options> options = sendmail::ParseArguments(
      name, std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
  if (!options.has_value())
    return Fail(options.error().reason + "\n" + std::string(sendmail::kUsage), EX_USAGE);
  const char* environment = std::getenv("POSTERN_CONFIG");
  const std::string file =
      options->config.value_or(environment != nullptr ? environment : kDefaultConfig);
  if (options->mode == sendmail::Mode::kAliases) {
    std::printf("there is nothing to do: aliases need no rebuilding\n");
    return EX_OK;
  }
  return WithSettings(*options, file);
}
