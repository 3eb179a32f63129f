// daemons/qmgr/intake.h — messages coming in from one smtpd (or bounced): the receiving side of
// common/ipc/protocol/submission.h.
//
// The submitter may be in somebody's hands: it can open so many streams and no more, ids must carry
// its origin and be new, content comes as far as there is credit for it, waits in memory up to a
// bound and goes to a file of its own beyond it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "common/ipc/protocol/submission.h"
#include "common/service/service.h"
#include "daemons/qmgr/queue.h"

namespace postern::qmgr {

// What all intakes of a qmgr share.
struct IntakeTotals {
  // Content and recipients in memory of all streams together: what goes beyond is refused with 452.
  static constexpr uint64_t kMaxBufferedOctets = 64u << 20;
  uint64_t buffered_octets = 0;
  uint64_t streams = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;
  bool stopping = false;
  bool full = false;  // the disk: said in the log when it changes
};

class Intake final : public service::PeerHandler {
 public:
  Intake(Queue& queue, IntakeTotals& totals, io::TaskScope& work, uint8_t origin)
      : queue_(queue), totals_(totals), work_(work), origin_(origin) {}
  ~Intake() override;

  absl::Status OnFrame(ipc::Frame& frame) override;
  void OnUp(ipc::Channel& channel) override { channel_ = &channel; }
  void OnDown(const absl::Status& why) override;

 private:
  struct Stream;

  absl::Status OnSubmit(uint32_t id, protocol::submission::Submit submit);
  absl::Status OnRecipients(uint32_t id, Stream& stream, protocol::submission::Recipients piece);
  absl::Status OnContent(uint32_t id, Stream& stream, std::string_view bytes);
  void OnEnd(uint32_t id, std::shared_ptr<Stream> stream);
  void NoteRoom();
  void Refuse(uint32_t id, Stream& stream, protocol::ReplyText reply);
  void LogRefused(const Stream& stream, const protocol::ReplyText& reply,
                  const absl::Status& why) const;
  // What goes to the channel the stream came by; to no successor of it.
  void SendDone(uint32_t id, const Stream& stream, protocol::submission::Outcome outcome,
                const protocol::ReplyText& reply);
  io::Task<void> WriteFile(uint32_t id, std::shared_ptr<Stream> stream);
  io::Task<absl::Status> WriteFileUntilEnd(uint32_t id, Stream& stream);
  io::Task<void> Commit(uint32_t id, std::shared_ptr<Stream> stream);
  void Credit(uint32_t id, Stream& stream, uint64_t octets);
  MessageRecord RecordOf(Stream& stream) const;
  bool Charge(Stream& stream, uint64_t octets);
  void Discharge(Stream& stream, uint64_t octets);
  void Release(Stream& stream);

  Queue& queue_;
  IntakeTotals& totals_;
  io::TaskScope& work_;
  const uint8_t origin_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;  // of the channel
  std::unordered_map<uint32_t, std::shared_ptr<Stream>> streams_;
};

}  // namespace postern::qmgr
