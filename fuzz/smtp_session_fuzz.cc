// A whole session: any octets in any pieces, against policy and a queue that also fail. Every reply
// is well formed, nothing is accepted without its end, and content is never read as commands.
//
// Input: how the octets are cut and what fails, then what the client sends. A patient client waits
// for the greeting and behind EHLO, HELO and DATA.
//
// Covers: daemons/smtpd/session.cc daemons/smtpd/session_content.cc
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/io/event.h"
#include "common/io/scope.h"
#include "common/log/log.h"
#include "common/smtp/ascii.h"
#include "common/smtp/limits.h"
#include "daemons/smtpd/session.h"
#include "tests/daemons/smtpd/fake_host.h"
#include "tests/testing/fake_loop.h"
#include "tests/testing/memory_stream.h"

namespace {

using namespace postern;
using namespace postern::smtpd;

// The first octets of the input, one decision each; 0 when there are no more.
class Choices {
 public:
  explicit Choices(std::string_view& input) : input_(input) {}
  uint8_t Next() {
    if (input_.empty()) return 0;
    const auto octet = static_cast<uint8_t>(input_.front());
    input_.remove_prefix(1);
    return octet;
  }

 private:
  std::string_view& input_;
};

// The replies, as a strict client reads them (RFC 5321 §4.2).
class ReplyReader {
 public:
  void Feed(std::string_view octets) {
    pending_ += octets;
    for (size_t end; (end = pending_.find("\r\n")) != std::string::npos;) {
      Line(std::string_view(pending_).substr(0, end));
      pending_.erase(0, end + 2);
    }
    CHECK(pending_.size() < smtp::kReplyLine);
  }
  void End() const {
    CHECK(pending_.empty());
    CHECK(!continued_);
  }
  size_t replies() const { return replies_; }
  size_t accepted() const { return accepted_; }
  int last_code() const { return code_; }

 private:
  void Line(std::string_view line) {
    CHECK(line.size() + 2 <= smtp::kReplyLine);
    CHECK(line.size() >= 4 && (line[3] == ' ' || line[3] == '-'));
    for (const char c : line) CHECK(c == ' ' || smtp::IsVisible(c));
    int code = 0;
    for (const char c : line.substr(0, 3)) {
      CHECK(smtp::IsDigit(c));
      code = code * 10 + (c - '0');
    }
    CHECK(code >= 200 && code <= 599);
    CHECK(!continued_ || code == code_);
    code_ = code;
    continued_ = line[3] == '-';
    // RFC 2034 §4: the class stands in both codes.
    if (line.size() > 6 && smtp::IsDigit(line[4]) && line[5] == '.' && smtp::IsDigit(line[6]))
      CHECK(line[4] == line[0]);
    if (continued_) return;
    ++replies_;
    if (line.starts_with("250 2.0.0 message accepted as ")) ++accepted_;
  }

  std::string pending_;
  bool continued_ = false;
  int code_ = 0;
  size_t replies_ = 0;
  size_t accepted_ = 0;
};

// Content that no client sends as a command: where it turns up, content was read as commands.
constexpr std::string_view kForged = "forged-by-content";

struct Setup {
  size_t per_receive;
  uint8_t cut;   // octets per piece sent, 0: all that may be sent
  bool patient;  // waits for replies where it must
  bool local;
  uint8_t fails;       // what the siblings do
  uint8_t stop_after;  // pieces, 0: never
  bool content;        // the forged sender is within content; nothing is sent behind a refused DATA
};

// What the siblings answer, in the worst case anything that the protocol can carry.
void Trouble(FakeHost& host, uint8_t fails) {
  using protocol::policy::Decision;
  const protocol::ReplyText words{.code = static_cast<uint16_t>(fails * 7),
                                  .enhanced = fails % 2 == 0 ? "5.1.1" : "2.0.0\r\n",
                                  .text = "a\r\n250 b\n\nc\x01"};
  if ((fails & 1) != 0) host.submit_status = absl::UnavailableError("no queue");
  if ((fails & 2) != 0) host.write_status = absl::FailedPreconditionError("refused");
  if ((fails & 4) != 0) host.finish_status = absl::UnavailableError("gone");
  if ((fails & 8) != 0) host.refusal = words;
  if ((fails & 16) != 0) {
    host.on_recipient = [words](const auto& question) -> absl::StatusOr<FakeHost::Verdict> {
      const size_t octets = question.recipient.size();
      if (octets % 5 == 4) return absl::UnavailableError("no policy");
      return FakeHost::Verdict{.decision = static_cast<Decision>(octets % 5), .reply = words};
    };
  }
  host.write_octets = fails;
}

const config::Settings& Settings() {
  static const config::Settings settings = FakeHost::SettingsOf(
      "[smtp]\nmax_recipients = 5\nmax_message_octets = \"64KiB\"\nmax_hops = 3\n"
      "max_header_octets = \"4KiB\"\nmax_errors = 8\nmax_messages_per_connection = 6\n");
  return settings;
}

void CheckQuestion(const protocol::policy::RecipientQuestion& question) {
  CHECK(question.recipient.size() <= protocol::kMaxAddress);
  CHECK(question.sender.size() <= protocol::kMaxAddress);
  CHECK(question.helo.size() <= smtp::kMaxDomain);
}

class Dialogue {
 public:
  Dialogue(test::FakeLoop& loop, const Setup& setup, std::string_view octets)
      : loop_(loop), setup_(setup), octets_(octets), host_(loop.loop(), Settings()) {
    Trouble(host_, setup.fails);
  }

  io::Task<absl::Status> Run() {
    auto [ours, theirs] = test::MakeMemoryStreams(
        {.max_octets_per_receive = setup_.per_receive, .window_octets = 4096});
    io::TaskScope scope;
    scope.Spawn(Listen(*ours));
    scope.Spawn(Speak(*ours));
    const Client client{.address = {setup_.local ? IpAddress() : *IpAddress::Parse("192.0.2.7"), 1},
                        .local_user = setup_.local ? "alice" : ""};
    {
      Session session(host_, *theirs, client);
      co_await session.Serve();
      CHECK(session.counters().messages <= session.counters().transactions);
      messages_ = session.counters().messages;
    }
    theirs.reset();
    co_await scope.Join();
    Check();
    co_return absl::OkStatus();
  }

 private:
  // Everything the server says, until it closes.
  io::Task<void> Listen(io::ByteStream& stream) {
    for (;;) {
      const absl::StatusOr<std::string_view> heard = co_await stream.Receive(io::Deadline::Never());
      if (!heard.ok() || heard->empty()) break;
      const size_t octets = heard->size();
      reader_.Feed(*heard);
      stream.Consume(octets);
      heard_.Wake();
    }
    closed_ = true;
    heard_.Wake();
  }

  io::Task<void> Speak(test::MemoryStream& stream) {
    while (setup_.patient && reader_.replies() == 0 && !closed_)
      IgnoreStatus(co_await heard_.Wait(io::Deadline::Never()), "the server ends, or we are asked");
    size_t pieces = 0;
    size_t sent = 0;
    while (sent < octets_.size() && !closed_) {
      const size_t pause = setup_.patient ? NextPause(sent) : octets_.size();
      const size_t cut = setup_.cut == 0 ? octets_.size() : sent + setup_.cut;
      const size_t end = std::min({pause, cut, octets_.size()});
      if (!(co_await stream.Send(octets_.substr(sent, end - sent), io::Deadline::Never())).ok())
        break;
      sent = end;
      if (++pieces == setup_.stop_after) host_.stop = true;
      if (end != pause || end == octets_.size()) {
        co_await io::YieldTurn();
        continue;
      }
      // The clock goes on when nobody can run: all that is to be answered was answered.
      IgnoreStatus(co_await io::Sleep(loop_.loop().After(absl::Seconds(1))), "time passes");
      const bool data = octets_.substr(0, sent).ends_with("DATA\r\n");
      if (setup_.content && data && reader_.last_code() != 354) break;
    }
    stream.Close();
  }

  // Behind the next line that a client must wait for the answer to.
  size_t NextPause(size_t from) const {
    for (size_t end = octets_.find("\r\n", from == 0 ? 0 : from - 1); end != octets_.npos;
         end = octets_.find("\r\n", end + 2)) {
      const size_t before = end == 0 ? octets_.npos : octets_.rfind("\r\n", end - 1);
      const std::string_view verb = octets_.substr(before == octets_.npos ? 0 : before + 2, 4);
      if (smtp::EqualsIgnoringCase(verb, "EHLO") || smtp::EqualsIgnoringCase(verb, "HELO") ||
          smtp::EqualsIgnoringCase(verb, "DATA"))
        return end + 2;
    }
    return octets_.size();
  }

  void Check() const {
    reader_.End();
    CHECK(reader_.accepted() <= messages_);
    for (const auto& message : host_.messages) {
      CHECK(message->committed != message->taken_back);
      CHECK(!message->committed || message->end_asked);
      CHECK(message->content.size() <= 65536);
      CHECK(message->recipients.size() <= 5);
      CHECK(message->submit.prepend.size() <= protocol::kMaxPrependedHeaders);
      CHECK(message->submit.prepend.starts_with("Received: from "));
      CHECK(message->submit.prepend.find("\r\n\r\n") == std::string::npos);
      for (const auto& recipient : message->recipients)
        CHECK(recipient.address.size() <= protocol::kMaxAddress &&
              recipient.orcpt.size() <= protocol::kMaxXtext);
      if (message->submit.body != protocol::Body::kBinary) CheckText(message->content);
      CHECK(!setup_.content || message->submit.sender.find(kForged) == std::string::npos);
    }
    for (const auto& question : host_.questions) {
      CheckQuestion(question);
      CHECK(!setup_.content || question.sender.find(kForged) == std::string::npos);
    }
  }

  static void CheckText(std::string_view content) {
    for (size_t at = content.find_first_of("\r\n"); at != content.npos;
         at = content.find_first_of("\r\n", at + 2)) {
      if (at + 1 == content.size()) break;  // cut off there
      CHECK(content.substr(at, 2) == "\r\n");
    }
    CHECK(content.find('\0') == content.npos);
  }

  test::FakeLoop& loop_;
  const Setup setup_;
  std::string_view octets_;
  FakeHost host_;
  ReplyReader reader_;
  io::Event heard_;
  bool closed_ = false;
  uint64_t messages_ = 0;
};

void Play(const Setup& setup, std::string_view octets) {
  test::FakeLoop loop;
  Dialogue dialogue(loop, setup, octets);
  CHECK(loop.Run(dialogue.Run()).ok());
}

// The same octets as content, in each framing, behind a good envelope: none of them may become a
// command, whatever they are. A MAIL with the forged sender in them would show.
void PlayAsContent(const Setup& setup, std::string_view octets) {
  const std::string envelope =
      "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<bob@example.org>\r\n";
  const std::string forged =
      "\r\nMAIL FROM:<" + std::string(kForged) + "@c.example>\r\nRCPT TO:<bob@example.org>\r\n";
  if (octets.find(kForged) != octets.npos) return;
  std::string chunk = std::string(octets) + forged;
  Play(setup, envelope + "BDAT " + std::to_string(chunk.size()) + " LAST\r\n" + chunk + "QUIT\r\n");
  // In DATA the octets could hold the true end.
  if (octets.starts_with(".\r\n") || octets.find("\r\n.\r\n") != octets.npos) return;
  Play(setup, envelope + "DATA\r\n" + std::string(octets) + "x" + forged + ".\r\nQUIT\r\n");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = [] {
    log::Options options;
    options.daemon = "fuzz";
    options.minimum = log::Severity::kError;
    log::Init(std::move(options));
    return true;
  }();
  if (!quiet) return 0;
  std::string_view octets(reinterpret_cast<const char*>(data), size);
  Choices choices(octets);
  const uint8_t flags = choices.Next();
  Setup setup{.per_receive = (flags & 1) != 0 ? 1u + choices.Next() : 65536u,
              .cut = choices.Next(),
              .patient = (flags & 2) == 0,
              .local = (flags & 4) != 0,
              .fails = (flags & 8) != 0 ? choices.Next() : uint8_t{0},
              .stop_after = (flags & 16) != 0 ? choices.Next() : uint8_t{0},
              .content = false};
  Play(setup, octets);
  if ((flags & 32) != 0) {
    setup.patient = true;
    setup.content = true;
    PlayAsContent(setup, octets);
  }
  return 0;
}
