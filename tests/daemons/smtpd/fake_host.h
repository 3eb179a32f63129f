// tests/daemons/smtpd/fake_host.h — policyd and qmgr as a session sees them, played by the test.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "common/io/loop.h"
#include "daemons/smtpd/session_host.h"

namespace postern::smtpd {

// What arrived at the queue.
struct FakeMessage {
  protocol::submission::Submit submit;
  std::vector<protocol::submission::Recipient> recipients;
  std::string content;
  bool end_asked = false;  // Finish was called
  bool committed = false;
  bool taken_back = false;  // cancelled, or destroyed before the commit
};

// The defaults accept: all clients, and recipients by the first word of their local part:
// "unknown" 550 5.1.1, "later" 450 4.2.1, "discard", "hold", any other is accepted. Everything may
// be changed, also while a session runs.
class FakeHost final : public SessionHost {
 public:
  using Verdict = protocol::policy::Verdict;

  // Settings as config::Parse gives them for a minimal file; `extra` is TOML behind it.
  static config::Settings SettingsOf(std::string_view extra);
  explicit FakeHost(io::Loop& loop) : FakeHost(loop, SettingsOf({})) {}
  FakeHost(io::Loop& loop, config::Settings settings);

  // Policy: how long an answer takes, and what it is.
  absl::Duration answer_after;
  std::function<absl::StatusOr<Verdict>(const protocol::policy::ConnectQuestion&)> on_connect;
  std::function<absl::StatusOr<Verdict>(const protocol::policy::RecipientQuestion&)> on_recipient;
  std::vector<protocol::policy::ConnectQuestion> connects;
  std::vector<protocol::policy::RecipientQuestion> questions;

  // The queue: what each step says. `write_status` counts once `write_octets` were taken.
  absl::Status submit_status;
  absl::Status write_status;
  uint64_t write_octets = 0;
  absl::Status finish_status;
  absl::Duration commit_after;
  protocol::ReplyText refusal;
  std::vector<std::unique_ptr<FakeMessage>> messages;
  bool keep_content = true;  // false: only `content_octets` counts
  uint64_t content_octets = 0;

  config::Settings& mutable_settings() { return settings_; }
  bool stop = false;

  // SessionHost
  const config::Settings& settings() const override { return settings_; }
  io::Loop& loop() override { return loop_; }
  io::Task<absl::StatusOr<Verdict>> AskConnect(
      const protocol::policy::ConnectQuestion& question) override;
  io::Task<absl::StatusOr<Verdict>> AskRecipient(
      const protocol::policy::RecipientQuestion& question) override;
  absl::StatusOr<std::unique_ptr<MessageSink>> Submit(
      const protocol::submission::Submit& submit,
      const std::vector<protocol::submission::Recipient>& recipients) override;
  QueueId NextQueueId() override { return ids_.Next(absl::ToUnixMillis(loop_.WallTime())); }
  bool stopping() const override { return stop; }

 private:
  class Sink;
  io::Task<absl::Status> Wait(absl::Duration duration);

  io::Loop& loop_;
  config::Settings settings_;
  QueueIdMaker ids_{7};
};

}  // namespace postern::smtpd
