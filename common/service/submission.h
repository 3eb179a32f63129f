// common/service/submission.h — one message on its way to qmgr, from smtpd or bounced (the sending
// side of common/ipc/protocol/submission.h).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/io/event.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/smtpd_qmgr.h"
#include "common/service/service.h"

namespace postern::service {

class Submission;

// One qmgr: the submissions under way there.
class QmgrHandler final : public PeerHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override;
  void OnUp(ipc::Channel& channel) override { channel_ = &channel; }
  void OnDown(const absl::Status& why) override;
  ipc::Channel* channel() const { return channel_; }

 private:
  friend class Submission;
  ipc::Channel* channel_ = nullptr;
  std::unordered_map<uint32_t, Submission*> open_;
};

// Streams a message. Destroyed before Finish has returned, it takes the message back.
class Submission {
 public:
  explicit Submission(QmgrHandler& qmgr) : qmgr_(&qmgr) {}
  Submission(const Submission&) = delete;
  ~Submission() { Cancel(); }

  absl::Status Begin(const protocol::submission::Submit& submit,
                     const std::vector<protocol::submission::Recipient>& recipients);
  // Sends content as credit allows.
  // Errors: kUnavailable qmgr went away; kFailedPrecondition it refused (refusal() has the reply)
  io::Task<absl::Status> Write(std::string_view content, io::Deadline until);
  // Asks for the commit and waits for it, however long: OK means durable.
  io::Task<absl::Status> Finish(io::Deadline until);
  void Cancel();

  // What qmgr said when it refused; code 0: nothing.
  const protocol::ReplyText& refusal() const { return refusal_; }

 private:
  friend class QmgrHandler;
  absl::Status Failure() const;

  QmgrHandler* qmgr_;
  uint32_t id_ = 0;  // 0: not begun, or over
  uint64_t credit_ = protocol::submission::kInitialCredit;
  bool ended_ = false;  // End or Cancel was sent
  bool done_ = false;
  bool lost_ = false;  // the channel broke
  bool committed_ = false;
  protocol::ReplyText refusal_;
  io::Event changed_;
};

}  // namespace postern::service
