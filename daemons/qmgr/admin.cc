#include "daemons/qmgr/admin.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "common/log/log.h"

namespace postern::qmgr {

namespace admin = protocol::admin;

namespace {

// Messages one List looks at: a filter that fits few must not hold up the queue.
constexpr size_t kMaxLookedAt = 2000;
constexpr uint32_t kMaxPage = 500;
constexpr size_t kListedRecipients = 3;

bool Matches(const std::string& pattern, const std::string& address) {
  return pattern.empty() || address == pattern ||
         (pattern.front() == '@' && address.ends_with(pattern));
}

}  // namespace

// One tool. Its requests are answered one after the other, each by a task.
class Admin::Connection final : public ipc::FrameHandler {
 public:
  Connection(Admin& owner, ipc::Channel& channel) : owner_(owner), channel_(channel) {}

  absl::Status OnFrame(ipc::Frame& frame) override {
    switch (frame.type) {
      case admin::kList: {
        ASSIGN_OR_RETURN(auto list, ipc::DecodeFrame<admin::List>(frame));
        work_.Spawn(List(frame.id, std::move(list)));
        return absl::OkStatus();
      }
      case admin::kShow: {
        ASSIGN_OR_RETURN(const auto show, ipc::DecodeFrame<admin::Show>(frame));
        work_.Spawn(Show(frame.id, show));
        return absl::OkStatus();
      }
      case admin::kAct: {
        ASSIGN_OR_RETURN(auto act, ipc::DecodeFrame<admin::Act>(frame));
        work_.Spawn(Act(frame.id, std::move(act)));
        return absl::OkStatus();
      }
      case admin::kDestinations:
        return channel_.Send(frame.id, ListDestinations());
      default:
        return DataLoss("admin: not a question for qmgr");
    }
  }
  io::Task<void> Join() {
    work_.RequestStop();
    co_await work_.Join();
  }

 private:
  io::Task<absl::Status> List(uint32_t id, admin::List list);
  io::Task<absl::Status> Show(uint32_t id, admin::Show show);
  io::Task<absl::Status> SendContent(uint32_t id, uint64_t queue_id, const LoadedMessage& loaded);
  io::Task<absl::Status> Act(uint32_t id, admin::Act act);
  admin::DestinationsListed ListDestinations() const;

  Admin& owner_;
  ipc::Channel& channel_;
  io::TaskScope work_;
};

io::Task<absl::Status> Admin::Serve(UniqueFd socket) {
  io::Listener listener(queue_.loop(), std::move(socket));
  absl::Status ended;
  for (;;) {
    absl::StatusOr<UniqueFd> connection = co_await listener.Accept(io::Deadline::Never());
    if (connection.ok()) {
      connections_.Spawn(Run(*std::move(connection)));
      continue;
    }
    ended = connection.status();
    if (absl::IsCancelled(ended)) break;
    if (!(co_await io::Sleep(queue_.loop().After(absl::Milliseconds(100)))).ok()) break;
  }
  connections_.RequestStop();
  co_await connections_.Join();
  co_return ended;
}

io::Task<void> Admin::Run(UniqueFd connection) {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 ||
      (peer.uid != 0 && peer.uid != owner_uid_))
    co_return;
  ipc::Channel channel(queue_.loop(), std::move(connection), protocol::kAdmin, ipc::Side::kB);
  Connection handler(*this, channel);
  IgnoreStatus(co_await channel.Run(handler), "a tool that misbehaves loses its connection");
  co_await handler.Join();
  co_await io::YieldTurn();
}

io::Task<admin::Message> Admin::Describe(QueuedMessage& message, size_t max_recipients) {
  admin::Message described;
  const uint64_t id = message.id;
  described.queue_id = id;
  described.state = message.held                                ? admin::State::kHeld
                    : message.next_attempt_us > queue_.WallUs() ? admin::State::kDeferred
                                                                : admin::State::kActive;
  if (message.hold_reason != nullptr) described.hold_reason = *message.hold_reason;
  described.arrival_us = message.arrival_us;
  described.next_attempt_us = message.next_attempt_us;
  described.attempts = message.attempts;
  described.octets = message.octets;
  described.recipient_count = message.left;
  ++message.busy;
  const Location attempt_at = message.last_attempt;
  const auto loaded = co_await queue_.store().Load(id, message.where);
  absl::StatusOr<AttemptRecord> attempt = NotFound("no attempt yet");
  if (attempt_at.segment != 0) attempt = co_await queue_.store().LoadAttempt(id, attempt_at);
  if (loaded.ok()) {
    described.sender = loaded->record.sender;
    for (uint32_t index = 0;
         index < loaded->record.recipients.size() && described.recipients.size() < max_recipients;
         ++index) {
      const bool done = message.done.Has(index);
      if (done && max_recipients <= kListedRecipients) continue;
      admin::Recipient& recipient = described.recipients.emplace_back();
      recipient.address = loaded->record.recipients[index].address;
      recipient.orcpt = loaded->record.recipients[index].orcpt;
      recipient.done = done;
      if (!attempt.ok()) continue;
      for (const RecipientAttempt& one : attempt->recipients) {
        if (one.index != index) continue;
        recipient.status = one.status;
        recipient.diagnostic =
            one.remote.empty()
                ? one.diagnostic
                : (one.remote + ": " + one.diagnostic).substr(0, protocol::kMaxReplyText);
      }
    }
  }
  --message.busy;
  co_return described;
}

io::Task<absl::Status> Admin::Connection::List(uint32_t id, admin::List list) {
  Queue& queue = owner_.queue_;
  admin::Listed listed;
  listed.held = queue.held();
  const size_t limit = std::min(list.limit, kMaxPage);
  size_t looked_at = 0;
  uint64_t after = list.after;
  for (;;) {
    const auto next = queue.messages().upper_bound(after);
    if (next == queue.messages().end()) break;
    if (listed.messages.size() >= limit || ++looked_at > kMaxLookedAt) {
      listed.more = true;
      break;
    }
    after = next->first;
    QueuedMessage* message = queue.Find(after);
    if (message == nullptr) continue;
    const admin::State state = message->held                               ? admin::State::kHeld
                               : message->next_attempt_us > queue.WallUs() ? admin::State::kDeferred
                                                                           : admin::State::kActive;
    if (list.only_state && state != list.state) continue;
    admin::Message described = co_await owner_.Describe(*message, kListedRecipients);
    if (!list.sender.empty() && !Matches(list.sender, described.sender)) continue;
    if (!list.recipient.empty() &&
        std::none_of(
            described.recipients.begin(), described.recipients.end(),
            [&](const admin::Recipient& one) { return Matches(list.recipient, one.address); }))
      continue;
    listed.messages.push_back(std::move(described));
  }
  listed.last_seen = after;
  const uint64_t total = queue.messages().size();
  listed.deferred =
      std::min<uint64_t>(queue.scheduler().waiting_units(), total - std::min(total, listed.held));
  listed.active = total - listed.held - listed.deferred;
  co_return channel_.Send(id, listed);
}

io::Task<absl::Status> Admin::Connection::SendContent(uint32_t id, uint64_t queue_id,
                                                      const LoadedMessage& loaded) {
  const MessageRecord& record = loaded.record;
  std::string whole = record.prepend + loaded.content;
  for (std::string_view left = whole; !left.empty();) {
    const admin::ShownContent piece{.bytes = left.substr(0, protocol::kMaxContentPiece)};
    CO_RETURN_IF_ERROR(channel_.Send(id, piece));
    left.remove_prefix(piece.bytes.size());
    CO_RETURN_IF_ERROR(
        co_await channel_.WaitUntilFlushed(owner_.queue_.loop().After(absl::Minutes(1))));
  }
  if (!record.in_file) co_return absl::OkStatus();
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<DiskFile> file,
                      co_await owner_.queue_.disk().Open(Queue::ContentName(queue_id)));
  std::string buffer(protocol::kMaxContentPiece, '\0');
  for (uint64_t offset = 0; offset < record.content_octets;) {
    CO_ASSIGN_OR_RETURN(const size_t got,
                        co_await file->Read(buffer.data(), buffer.size(), offset));
    if (got == 0) co_return DataLoss("the content is shorter than it was");
    const admin::ShownContent piece{.bytes = std::string_view(buffer).substr(0, got)};
    CO_RETURN_IF_ERROR(channel_.Send(id, piece));
    CO_RETURN_IF_ERROR(
        co_await channel_.WaitUntilFlushed(owner_.queue_.loop().After(absl::Minutes(1))));
    offset += got;
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> Admin::Connection::Show(uint32_t id, admin::Show show) {
  admin::Shown shown;
  QueuedMessage* message = owner_.queue_.Find(show.queue_id);
  if (message == nullptr) {
    shown.error = "no such message in the queue";
    co_return channel_.Send(id, shown);
  }
  ++message->busy;
  shown.message = co_await owner_.Describe(*message, protocol::kMaxRecipientsPerPiece);
  const auto loaded = co_await owner_.queue_.store().Load(show.queue_id, message->where);
  if (loaded.ok()) {
    shown.envid = loaded->record.envid;
    shown.submitter = loaded->record.submitter;
    if (show.content) {
      const absl::Status sent = co_await SendContent(id, show.queue_id, *loaded);
      if (!sent.ok()) shown.error = std::string(Message(sent));
    }
  } else {
    shown.error = std::string(Message(loaded.status()));
  }
  --message->busy;
  co_return channel_.Send(id, shown);
}

io::Task<absl::Status> Admin::Connection::Act(uint32_t id, admin::Act act) {
  Queue& queue = owner_.queue_;
  admin::Acted acted;
  std::vector<uint64_t> ids;
  if (act.all && act.verb != admin::Verb::kFlush) {
    for (const auto& [queue_id, message] : queue.messages()) ids.push_back(queue_id);
  } else if (act.queue_id != 0) {
    ids.push_back(act.queue_id);
  }
  const int64_t now = queue.NowUs();
  if (act.verb == admin::Verb::kFlush && act.queue_id == 0) {
    acted.count = act.destination.empty()
                      ? queue.scheduler().FlushAll(now)
                      : queue.scheduler().FlushDestination(act.destination, now);
  }
  for (const uint64_t queue_id : ids) {
    bool changed = false;
    switch (act.verb) {
      case admin::Verb::kHold:
        changed = queue.Hold(queue_id, act.reason);
        break;
      case admin::Verb::kRelease:
        changed = queue.Release(queue_id);
        break;
      case admin::Verb::kDelete:
        changed = queue.Delete(queue_id, "operator");
        break;
      case admin::Verb::kRequeue:
      case admin::Verb::kFlush:
        changed = queue.scheduler().Flush(queue_id, now) > 0;
        break;
    }
    if (changed) ++acted.count;
  }
  queue.changed().Wake();
  if (act.queue_id != 0 && acted.count == 0) {
    acted.error = queue.Find(act.queue_id) == nullptr
                      ? "no such message in the queue"
                      : "nothing to change: look at postern queue show";
  }
  const absl::Status durable = co_await queue.store().Flush();
  if (!durable.ok()) acted.error = std::string(Message(durable)).substr(0, protocol::kMaxReason);
  co_return channel_.Send(id, acted);
}

admin::DestinationsListed Admin::Connection::ListDestinations() const {
  const Queue& queue = owner_.queue_;
  admin::DestinationsListed listed;
  for (DestinationView& view : owner_.queue_.scheduler().Destinations(1000)) {
    listed.destinations.push_back(
        {.name = view.name.substr(0, protocol::kMaxDomain),
         .window = view.window,
         .in_flight = view.in_flight,
         .waiting = view.waiting,
         .failures = view.failures,
         .next_attempt_us = view.blocked_until_us == 0
                                ? 0
                                : queue.WallUs() + view.blocked_until_us - queue.NowUs(),
         .last_error = std::move(view.last_error)});
  }
  return listed;
}

}  // namespace postern::qmgr
