// sendmail, mailq, newaliases: what programs call to send mail. Speaks SMTP to the server's Unix
// socket; the kernel tells the server who calls. No set-uid, no set-gid.
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "common/base/unique_fd.h"
#include "common/config/parse.h"
#include "common/smtp/dot_stream.h"
#include "common/smtp/reply_parser.h"
#include "tools/sendmail/message.h"

namespace {

using namespace postern;

int Fail(const std::string& message, int status) {
  std::fprintf(stderr, "sendmail: %s\n", message.c_str());
  return status;
}

// A blocking dialogue.
class Dialogue {
 public:
  explicit Dialogue(int fd) : fd_(fd) {}

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // The next reply; code 0 when the server is gone.
  smtp::Reply Read() {
    char buffer[4096];
    for (;;) {
      std::string_view input = left_;
      const auto outcome = parser_.Next(input);
      left_ = std::string(input);
      if (outcome == smtp::ReplyParser::Outcome::kReply) return parser_.reply();
      if (outcome == smtp::ReplyParser::Outcome::kMalformed) return {};
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return {};
      left_.assign(buffer, static_cast<size_t>(got));
    }
  }
  smtp::Reply Ask(const std::string& command) {
    return Send(command + "\r\n") ? Read() : smtp::Reply{};
  }

 private:
  const int fd_;
  std::string left_;
  smtp::ReplyParser parser_;
};

UniqueFd ConnectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return {};
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return {};
  return fd;
}

int StatusOf(const smtp::Reply& reply, int permanent) {
  if (reply.code == 0 || reply.transient()) return EX_TEMPFAIL;
  return permanent;
}

int Submit(const sendmail::Options& options, const config::Settings& settings) {
  const passwd* account = ::getpwuid(::getuid());
  const std::string user =
      account != nullptr ? account->pw_name : "uid" + std::to_string(::getuid());
  const std::string own = options.sender.empty() ? user + '@' + settings.hostname : options.sender;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string unique =
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count()) + '.' +
      std::to_string(::getpid()) + '@' + settings.hostname;
  const std::string text((std::istreambuf_iterator<char>(std::cin)),
                         std::istreambuf_iterator<char>());
  sendmail::Prepared mail =
      sendmail::Prepare(text, options, own == "<>" ? user + '@' + settings.hostname : own,
                        std::chrono::duration_cast<std::chrono::seconds>(now).count(), unique);
  if (mail.recipients.empty())
    return Fail("no recipients: name them, or use -t with a To field", EX_USAGE);
  const UniqueFd fd = ConnectTo(settings.smtp.socket);
  if (!fd) return Fail("the server does not listen on " + settings.smtp.socket, EX_TEMPFAIL);
  Dialogue dialogue(fd.get());
  smtp::Reply reply = dialogue.Read();
  if (reply.positive()) reply = dialogue.Ask("EHLO " + settings.hostname);
  if (!reply.positive()) return Fail("greeting: " + reply.ToString(), EX_TEMPFAIL);
  std::string command = "MAIL FROM:<" + (own == "<>" ? "" : own) + ">";
  if (!options.ret.empty()) command += " RET=" + options.ret;
  if (!options.envid.empty()) command += " ENVID=" + options.envid;
  reply = dialogue.Ask(command);
  if (!reply.positive()) return Fail(own + ": " + reply.ToString(), StatusOf(reply, EX_DATAERR));
  int status = EX_OK;
  size_t accepted = 0;
  for (const std::string& recipient : mail.recipients) {
    // A bare name is a local account.
    const std::string address =
        recipient.find('@') == std::string::npos && !settings.domains.empty()
            ? recipient + '@' + settings.domains.front()
            : recipient;
    reply = dialogue.Ask("RCPT TO:<" + address + ">" +
                         (options.notify.empty() ? "" : " NOTIFY=" + options.notify));
    if (reply.positive()) {
      ++accepted;
      continue;
    }
    status = Fail(address + ": " + reply.ToString(), StatusOf(reply, EX_NOUSER));
  }
  if (accepted == 0) return status;
  reply = dialogue.Ask("DATA");
  if (reply.intermediate()) {
    smtp::DotEncoder encoder;
    std::string wire;
    encoder.Append(mail.content, wire);
    encoder.Finish(wire);
    reply = dialogue.Send(wire) ? dialogue.Read() : smtp::Reply{};
  }
  if (!reply.positive()) return Fail(reply.ToString(), StatusOf(reply, EX_UNAVAILABLE));
  dialogue.Send("QUIT\r\n");
  return status;
}

// -bs: SMTP on standard input and output, passed through to the server.
int Serve(const config::Settings& settings) {
  const UniqueFd fd = ConnectTo(settings.smtp.socket);
  if (!fd) return Fail("the server does not listen on " + settings.smtp.socket, EX_TEMPFAIL);
  const pid_t reader = ::fork();
  if (reader < 0) return Fail("fork", EX_OSERR);
  char buffer[8192];
  const int from = reader == 0 ? fd.get() : STDIN_FILENO;
  const int to = reader == 0 ? STDOUT_FILENO : fd.get();
  for (ssize_t got; (got = ::read(from, buffer, sizeof buffer)) > 0;) {
    for (ssize_t done = 0; done < got;) {
      const ssize_t wrote = ::write(to, buffer + done, static_cast<size_t>(got - done));
      if (wrote <= 0) return EX_IOERR;
      done += wrote;
    }
  }
  if (reader != 0) ::shutdown(fd.get(), SHUT_WR);
  return EX_OK;
}

// The operator's tool does the rest.
int RunTool(const sendmail::Options& options, const char* verb) {
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "postern";
  ::execl(self.c_str(), "postern", "-c", options.config.c_str(), "queue", verb,
          static_cast<char*>(nullptr));
  return Fail("cannot run " + self.string(), EX_OSFILE);
}

}  // namespace

int main(int argc, char** argv) {
  std::string problem;
  const std::string name =
      argc > 0 ? std::filesystem::path(argv[0]).filename().string() : "sendmail";
  sendmail::Options options =
      sendmail::ParseArguments(name, std::vector<std::string>(argv + 1, argv + argc), problem);
  if (!problem.empty()) return Fail(problem, EX_USAGE);
  if (const char* config = std::getenv("POSTERN_CONFIG"); config != nullptr)
    options.config = config;
  switch (options.mode) {
    case sendmail::Options::Mode::kList:
      return RunTool(options, "list");
    case sendmail::Options::Mode::kFlush:
      return RunTool(options, "flush");
    case sendmail::Options::Mode::kAliases:
      std::printf("there are no aliases to rebuild\n");
      return EX_OK;
    case sendmail::Options::Mode::kServe:
    case sendmail::Options::Mode::kSubmit:
      break;
  }
  std::ifstream in(options.config, std::ios::binary);
  if (!in) return Fail("cannot read " + options.config, EX_CONFIG);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const config::Outcome outcome =
      config::Parse(text, std::filesystem::absolute(options.config).string());
  if (!outcome.ok()) return Fail(outcome.problems.front().ToString(), EX_CONFIG);
  if (options.mode == sendmail::Options::Mode::kServe) return Serve(*outcome.settings);
  return Submit(options, *outcome.settings);
}
