#include "tools/sendmail/submission.h"

#include <poll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "common/base/escape.h"
#include "common/smtp/ascii.h"
#include "common/smtp/dot_stream.h"
#include "common/smtp/reply_parser.h"
#include "common/smtp/xtext.h"
#include "tools/sendmail/pacer.h"

namespace postern::sendmail {
namespace {

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

  // The next reply; code 0 when the server is gone or talks nonsense.
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

// Whether a line of the answer to EHLO begins with that keyword.
bool Offers(const smtp::Reply& ehlo, std::string_view keyword) {
  for (std::string_view left = ehlo.text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(line.size() + 1, left.size()));
    if (smtp::EqualsIgnoringCase(line.substr(0, line.find(' ')), keyword)) return true;
  }
  return false;
}

std::string Words(const smtp::Reply& reply) {
  if (reply.code == 0) return "the server closed the connection";
  return "the server said " + Escaped(reply.ToString());
}

// RFC 3463 §3.2: x.1.z is about an address.
int StatusOf(const smtp::Reply& reply, int about_address) {
  if (!reply.permanent()) return EX_TEMPFAIL;
  return reply.enhanced.subject == 1 ? about_address : EX_UNAVAILABLE;
}

class Submission {
 public:
  Submission(int fd, const Mail& mail) : dialogue_(fd), mail_(mail) {}

  Outcome Run(const std::string& hostname) {
    smtp::Reply reply = dialogue_.Read();
    if (reply.positive()) reply = ehlo_ = dialogue_.Ask("EHLO " + hostname);
    if (!reply.positive()) return Fail("greeting", reply, StatusOf(reply, EX_UNAVAILABLE));
    const bool needs_utf8 = NeedsUtf8();
    if (needs_utf8 && !Offers(ehlo_, "SMTPUTF8"))
      return Fail("addresses or header fields in UTF-8", reply, EX_UNAVAILABLE);
    std::vector<const smtp::ForwardPath*> left;
    for (const smtp::ForwardPath& one : mail_.recipients) left.push_back(&one);
    while (!left.empty()) {
      reply = dialogue_.Ask(MailCommand(needs_utf8));
      if (!reply.positive())
        return Fail("sender " + Escaped(mail_.sender.ToPath()), reply, StatusOf(reply, EX_DATAERR));
      if (!OfferRecipients(left)) return outcome_;
      reply = SendContent();
      if (!reply.positive()) return Fail("message", reply, StatusOf(reply, EX_UNAVAILABLE));
      if (!outcome_.accepted.empty()) outcome_.accepted += "; ";
      outcome_.accepted += Escaped(reply.ToString());
    }
    dialogue_.Ask("QUIT");
    return outcome_;
  }

 private:
  Outcome Fail(const std::string& what, const smtp::Reply& reply, int status) {
    Note(what, reply, status);
    outcome_.status = status;
    return outcome_;
  }

  void Note(const std::string& what, const smtp::Reply& reply, int status) {
    outcome_.problems.push_back(what + ": " + Words(reply));
    if (outcome_.status == EX_OK || outcome_.status == EX_TEMPFAIL) outcome_.status = status;
  }

  bool NeedsUtf8() const {
    bool needs = mail_.utf8_header || mail_.sender.mailbox.needs_utf8();
    for (const smtp::ForwardPath& one : mail_.recipients) needs = needs || one.mailbox.needs_utf8();
    return needs;
  }

  std::string MailCommand(bool needs_utf8) const {
    std::string command = "MAIL FROM:" + mail_.sender.ToPath();
    if (Offers(ehlo_, "SIZE")) command += " SIZE=" + std::to_string(mail_.content.size());
    if (mail_.has_8bit && Offers(ehlo_, "8BITMIME")) command += " BODY=8BITMIME";
    if (needs_utf8) command += " SMTPUTF8";
    if (!Offers(ehlo_, "DSN")) return command;
    if (!mail_.ret.empty()) command += " RET=" + mail_.ret;
    if (!mail_.envid.empty()) command += " ENVID=" + smtp::EncodeXtext(mail_.envid);
    return command;
  }

  // Leaves in `left` those that the server has no room for in this transaction: they get one of
  // their own (RFC 5321 §4.5.3.1.10). False if none was accepted.
  bool OfferRecipients(std::vector<const smtp::ForwardPath*>& left) {
    constexpr uint16_t kTooMany = 452;
    const std::string suffix =
        mail_.notify.empty() || !Offers(ehlo_, "DSN") ? "" : " NOTIFY=" + mail_.notify;
    bool any = false;
    std::vector<const smtp::ForwardPath*> later;
    for (const smtp::ForwardPath* one : left) {
      const smtp::Reply reply = dialogue_.Ask("RCPT TO:" + one->ToPath() + suffix);
      if (reply.positive()) {
        any = true;
      } else if (reply.code == kTooMany && any) {
        later.push_back(one);
      } else {
        Note("recipient " + Escaped(one->ToPath()), reply, StatusOf(reply, EX_NOUSER));
      }
      if (reply.code == 0) return false;
    }
    left = std::move(later);
    return any;
  }

  smtp::Reply SendContent() {
    const smtp::Reply reply = dialogue_.Ask("DATA");
    if (!reply.intermediate()) return reply;
    smtp::DotEncoder encoder;
    std::string wire;
    encoder.Append(mail_.content, wire);
    encoder.Finish(wire);
    return dialogue_.Send(wire) ? dialogue_.Read() : smtp::Reply{};
  }

  Dialogue dialogue_;
  const Mail& mail_;
  smtp::Reply ehlo_;
  Outcome outcome_;
};

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return true;
}

}  // namespace

Outcome Submit(int fd, const std::string& hostname, const Mail& mail) {
  return Submission(fd, mail).Run(hostname);
}

int PassThrough(int in, int out, int fd) {
  constexpr size_t kMaxPending = 256 * 1024;  // what waits for replies; then the script waits
  Pacer pacer;
  bool reading = true;
  bool writing = true;
  char buffer[16384];
  for (;;) {
    const bool may_read = reading && pacer.pending() < kMaxPending;
    pollfd ready[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                      {.fd = may_read ? in : -1, .events = POLLIN, .revents = 0}};
    if (::poll(ready, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return EX_OSERR;
    }
    if (ready[0].revents != 0) {
      const ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) return EX_OK;
      pacer.FromServer({buffer, static_cast<size_t>(got)});
      if (!WriteAll(out, {buffer, static_cast<size_t>(got)})) return EX_IOERR;
    }
    if (ready[1].revents != 0) {
      const ssize_t got = ::read(in, buffer, sizeof buffer);
      reading = got > 0;
      if (reading) {
        pacer.FromClient({buffer, static_cast<size_t>(got)});
      } else {
        pacer.ClientEnded();
      }
    }
    // A server that is gone may still have last words to read.
    writing = writing && WriteAll(fd, pacer.Take());
    if (writing && pacer.finished()) {
      writing = false;
      ::shutdown(fd, SHUT_WR);  // the server answers what it has, then closes
    }
  }
}

}  // namespace postern::sendmail
