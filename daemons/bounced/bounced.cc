#include "daemons/bounced/bounced.h"

#include <utility>

#include "common/base/queue_id.h"
#include "common/service/submission.h"
#include "daemons/bounced/address_class.h"

namespace postern::bounced {

namespace notice = protocol::notice;
namespace submission = protocol::submission;

namespace {

constexpr absl::Duration kSubmitTimeout = absl::Minutes(1);

Fate FateOf(notice::Kind kind, const notice::NoticeRecipient& recipient) {
  switch (kind) {
    case notice::Kind::kFailure:
      return Fate::kFailed;
    case notice::Kind::kDelay:
      return Fate::kDelayed;
    case notice::Kind::kSuccess:
      return recipient.relayed ? Fate::kRelayedWithoutDsn : Fate::kDelivered;
  }
  return Fate::kFailed;
}

Action ActionOf(Decision decision) {
  switch (decision) {
    case Decision::kDelayed:
      return Action::kDelayed;
    case Decision::kDelivered:
      return Action::kDelivered;
    case Decision::kRelayed:
      return Action::kRelayed;
    case Decision::kExpanded:
      return Action::kExpanded;
    case Decision::kNone:
    case Decision::kFailed:
      break;
  }
  return Action::kFailed;
}

}  // namespace

Report ReportOf(const notice::Notice& asked, const std::string& host, int64_t now_us) {
  Report report;
  report.kind = static_cast<Kind>(asked.kind);
  report.host = host;
  report.notice_id = QueueId(asked.notice_id).ToString();
  report.now_us = now_us;
  report.arrival_us = asked.arrival_us;
  report.sender = asked.sender;
  report.envid = asked.envid;
  report.ret = static_cast<Ret>(asked.ret);
  report.smtputf8 = asked.smtputf8;
  report.returned = asked.returned;
  report.complete = asked.complete;
  for (const notice::NoticeRecipient& recipient : asked.recipients) {
    const Decision decision =
        DecideNotice(FateOf(asked.kind, recipient), recipient.notify, asked.sender);
    if (decision == Decision::kNone) continue;
    report.recipients.push_back(
        {.address = recipient.address,
         .orcpt = recipient.orcpt,
         .action = ActionOf(decision),
         .status = recipient.status,
         .remote = recipient.remote,
         .diagnostic = recipient.diagnostic,
         .remote_words = recipient.remote_words,
         .last_attempt_us = recipient.last_attempt_us,
         .will_retry_until_us = decision == Decision::kDelayed ? asked.retry_until_us : 0});
  }
  return report;
}

// The question, kept while it is worked on.
struct Bounced::Wish {
  uint32_t frame_id = 0;
  notice::Notice notice;  // `returned` points into `returned`
  std::string returned;
};

class Bounced::Asking final : public service::PeerHandler {
 public:
  Asking(Bounced& bounced, uint32_t shard) : bounced_(bounced), shard_(shard) {}
  void OnUp(ipc::Channel& channel) override {
    channel_ = &channel;
    ++generation_;
  }
  void OnDown(const absl::Status&) override {
    channel_ = nullptr;
    ++generation_;
  }
  absl::Status OnFrame(ipc::Frame& frame) override {
    if (frame.type != notice::kNotice) return DataLoss("unexpected message type ", int{frame.type});
    auto wish = std::make_unique<Wish>();
    ASSIGN_OR_RETURN(wish->notice, ipc::DecodeFrame<notice::Notice>(frame));
    wish->frame_id = frame.id;
    wish->returned = wish->notice.returned;
    wish->notice.returned = wish->returned;
    bounced_.work_.Spawn(bounced_.Work(*this, generation_, shard_, std::move(wish)));
    return absl::OkStatus();
  }
  ipc::Channel* channel(uint64_t generation) const {
    return generation == generation_ ? channel_ : nullptr;
  }

 private:
  Bounced& bounced_;
  const uint32_t shard_;
  ipc::Channel* channel_ = nullptr;
  uint64_t generation_ = 0;
};

class Bounced::Submitting final : public service::PeerHandler {
 public:
  absl::Status OnFrame(ipc::Frame& frame) override { return qmgr.OnFrame(frame); }
  void OnUp(ipc::Channel& channel) override { qmgr.OnUp(channel); }
  void OnDown(const absl::Status& why) override { qmgr.OnDown(why); }
  service::QmgrHandler qmgr;
};

Bounced::Bounced(service::Service& service)
    : service_(service),
      questions_(
          service.loop(), edges_, protocol::kQmgrBounced, ipc::Side::kB,
          [this](uint32_t shard, uint8_t) { return std::make_unique<Asking>(*this, shard); }),
      submissions_(service.loop(), edges_, protocol::kBouncedQmgr, ipc::Side::kA,
                   [this](uint32_t shard, uint8_t) {
                     auto way = std::make_unique<Submitting>();
                     ways_[shard] = way.get();
                     return way;
                   }) {}

void Bounced::OnEdge(const protocol::control::EdgeEnd& which, UniqueFd end) {
  using protocol::control::EdgeKind;
  if (which.kind == EdgeKind::kQmgrBounced)
    questions_.Attach(which.peer_index, which.peer_origin, std::move(end));
  if (which.kind == EdgeKind::kBouncedQmgr)
    submissions_.Attach(which.peer_index, which.peer_origin, std::move(end));
}

io::Task<void> Bounced::Work(Asking& asking, uint64_t generation, uint32_t shard,
                             std::unique_ptr<Wish> wish) {
  // As many at once as the edge lets each qmgr ask for: more of them are no reason to refuse.
  const notice::NoticeDone done = co_await Send(shard, *wish);
  if (ipc::Channel* channel = asking.channel(generation); channel != nullptr) {
    IgnoreStatus(channel->Send(wish->frame_id, done), "a qmgr that is gone asks again");
  }
}

io::Task<notice::NoticeDone> Bounced::Send(uint32_t shard, const Wish& wish) {
  notice::NoticeDone done;
  const notice::Notice& asked = wish.notice;
  const Report report =
      ReportOf(asked, service_.settings().hostname, absl::ToUnixMicros(service_.loop().WallTime()));
  if (report.recipients.empty()) {
    done.outcome = notice::Outcome::kNotWanted;
    co_return done;
  }
  const auto way = ways_.find(shard);
  if (way == ways_.end() || way->second->qmgr.channel() == nullptr) {
    done.reason = "no way back to the queue";
    co_return done;
  }
  const Notice composed = Compose(report);
  submission::Submit submit;
  submit.queue_id = asked.notice_id;
  submit.body = composed.eight_bit ? protocol::Body::kEightBit : protocol::Body::kSevenBit;
  submit.smtputf8 = composed.smtputf8;
  submit.announced_octets = composed.content.size();
  submit.submitter = "bounced";
  submission::Recipient recipient;
  recipient.address = asked.sender;
  recipient.notify = protocol::kNotifyNever;
  recipient.kind = ClassOf(asked.sender, service_.settings());
  service::Submission stream(way->second->qmgr);
  const io::Deadline until = service_.loop().After(kSubmitTimeout);
  const std::vector<submission::Recipient> recipients{recipient};
  absl::Status sent = stream.Begin(submit, recipients);
  if (sent.ok()) sent = co_await stream.Write(composed.content, until);
  if (sent.ok()) sent = co_await stream.Finish(until);
  if (sent.ok()) {
    ++sent_;
    done.outcome = notice::Outcome::kSubmitted;
  } else {
    done.reason = std::string(Message(sent)).substr(0, protocol::kMaxReason);
  }
  co_return done;
}

io::Task<absl::Status> Bounced::Serve() {
  const absl::Status stopped = co_await stop_.Wait(io::Deadline::Never());
  if (!stopped.ok()) work_.RequestStop();
  co_await work_.Join();
  IgnoreStatus(co_await io::Sleep(service_.loop().After(absl::Milliseconds(10))),
               "a moment for the last answers");
  edges_.RequestStop();
  co_await edges_.Join();
  co_return absl::OkStatus();
}

void Bounced::Count(std::vector<protocol::control::Counter>& counters) {
  counters.push_back({.name = "notices", .value = sent_});
}

}  // namespace postern::bounced
