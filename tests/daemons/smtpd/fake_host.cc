#include "tests/daemons/smtpd/fake_host.h"

#include <utility>

#include "common/base/check.h"
#include "common/config/parse.h"
#include "common/io/event.h"

namespace postern::smtpd {
namespace {

using protocol::policy::Decision;
using protocol::policy::Verdict;

Verdict VerdictOn(std::string_view recipient) {
  Verdict verdict{.decision = Decision::kAccept};
  if (recipient.starts_with("unknown")) {
    verdict.decision = Decision::kReject;
    verdict.reply = {.code = 550, .enhanced = "5.1.1", .text = "no such user here"};
  } else if (recipient.starts_with("later")) {
    verdict.decision = Decision::kDefer;
    verdict.reply = {.code = 450, .enhanced = "4.2.1", .text = "not now"};
  } else if (recipient.starts_with("discard")) {
    verdict.decision = Decision::kDiscard;
  } else if (recipient.starts_with("hold")) {
    verdict.decision = Decision::kHold;
    verdict.reason = "looked at by hand";
  }
  return verdict;
}

}  // namespace

class FakeHost::Sink final : public MessageSink {
 public:
  Sink(FakeHost& host, FakeMessage& message) : host_(host), message_(message) {}
  ~Sink() override { Cancel(); }

  io::Task<absl::Status> Write(std::string_view content, io::Deadline) override {
    CHECK(!message_.taken_back && !message_.end_asked && !content.empty());
    host_.content_octets += content.size();
    if (host_.keep_content) message_.content += content;
    if (host_.write_status.ok() || host_.content_octets <= host_.write_octets)
      co_return absl::OkStatus();
    if (host_.refusal.code != 0) refusal_ = host_.refusal;
    co_return host_.write_status;
  }
  io::Task<absl::Status> Finish(io::Deadline until) override {
    CHECK(!message_.taken_back && !message_.end_asked);
    message_.end_asked = true;
    if (host_.loop_.After(host_.commit_after) > until) {
      CO_RETURN_IF_ERROR(co_await host_.Wait(until - host_.loop_.Now()));
      co_return absl::DeadlineExceededError("no answer in time");
    }
    CO_RETURN_IF_ERROR(co_await host_.Wait(host_.commit_after));
    if (!host_.finish_status.ok()) refusal_ = host_.refusal;
    message_.committed = host_.finish_status.ok();
    co_return host_.finish_status;
  }
  void Cancel() override { message_.taken_back |= !message_.committed; }
  const protocol::ReplyText& refusal() const override { return refusal_; }

 private:
  FakeHost& host_;
  FakeMessage& message_;
  protocol::ReplyText refusal_;
};

config::Settings FakeHost::SettingsOf(std::string_view extra) {
  const std::string toml =
      "hostname = \"mx.example.org\"\ndomains = [\"example.org\"]\n" + std::string(extra);
  const config::Outcome outcome = config::Parse(toml, "postern.toml", "/");
  if (!outcome.settings) CheckFailed(__FILE__, __LINE__, "the test's configuration is wrong");
  return *outcome.settings;
}

FakeHost::FakeHost(io::Loop& loop, config::Settings settings)
    : on_connect([](const auto&) { return Verdict{.decision = Decision::kAccept}; }),
      on_recipient([](const auto& question) { return VerdictOn(question.recipient); }),
      loop_(loop),
      settings_(std::move(settings)) {}

// An answer never comes in the same turn: what a session forgets meanwhile is found.
io::Task<absl::Status> FakeHost::Wait(absl::Duration duration) {
  co_await io::YieldTurn();
  if (duration <= absl::ZeroDuration()) co_return absl::OkStatus();
  co_return co_await io::Sleep(loop_.After(duration));
}

io::Task<absl::StatusOr<Verdict>> FakeHost::AskConnect(
    const protocol::policy::ConnectQuestion& question) {
  connects.push_back(question);
  CO_RETURN_IF_ERROR(co_await Wait(answer_after));
  co_return on_connect(connects.back());
}

io::Task<absl::StatusOr<Verdict>> FakeHost::AskRecipient(
    const protocol::policy::RecipientQuestion& question) {
  questions.push_back(question);
  CO_RETURN_IF_ERROR(co_await Wait(answer_after));
  co_return on_recipient(questions.back());
}

absl::StatusOr<std::unique_ptr<MessageSink>> FakeHost::Submit(
    const protocol::submission::Submit& submit,
    const std::vector<protocol::submission::Recipient>& recipients) {
  RETURN_IF_ERROR(submit_status);
  CHECK(!recipients.empty());
  auto message = std::make_unique<FakeMessage>();
  message->submit = submit;
  message->recipients = recipients;
  messages.push_back(std::move(message));
  return std::unique_ptr<MessageSink>(std::make_unique<Sink>(*this, *messages.back()));
}

}  // namespace postern::smtpd
