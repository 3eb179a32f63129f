#include <algorithm>
#include <cstdio>
#include <iterator>

#include "common/base/escape.h"
#include "common/base/queue_id.h"
#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;
using nlohmann::json;

constexpr uint32_t kPage = 500;  // admin::List::limit

struct Found {
  json messages = json::array();
  uint32_t count = 0;
  bool more = false;
  uint64_t active = 0;
  uint64_t deferred = 0;
  uint64_t held = 0;
};

admin::List Question(const ListOptions& options) {
  admin::List list;
  list.sender = options.sender;
  list.recipient = options.recipient;
  list.only_state = !options.state.empty();
  for (const admin::State state :
       {admin::State::kActive, admin::State::kDeferred, admin::State::kHeld}) {
    if (StateName(state) == options.state) list.state = state;
  }
  return list;
}

// All pages of one shard, up to the limit. The totals come with the first.
absl::Status ListShard(AdminClient& shard, const Common& common, const ListOptions& options,
                       Found& found) {
  admin::List list = Question(options);
  for (bool first = true;; first = false) {
    list.limit = std::min(kPage, options.limit - found.count);
    ASSIGN_OR_RETURN(const admin::Listed page, shard.Ask<admin::Listed>(list));
    for (const admin::Message& message : page.messages) {
      ++found.count;
      if (common.as_json) {
        found.messages.push_back(ToJson(message));
      } else {
        std::fputs(ToText(message).c_str(), stdout);
      }
    }
    if (first) {
      found.active += page.active;
      found.deferred += page.deferred;
      found.held += page.held;
    }
    if (!page.more) return absl::OkStatus();
    if (found.count >= options.limit) {
      found.more = true;
      return absl::OkStatus();
    }
    if (page.last_seen <= list.after) return DataLoss("the queue's pages do not go on");
    list.after = page.last_seen;
  }
}

// What one order came to in all shards.
struct Done {
  uint64_t count = 0;
  std::string error;  // empty if any shard did it
};

absl::StatusOr<Done> ActEverywhere(std::vector<AdminClient>& shards, const admin::Act& act) {
  Done done;
  for (AdminClient& shard : shards) {
    ASSIGN_OR_RETURN(const admin::Acted acted, shard.Ask<admin::Acted>(act));
    done.count += acted.count;
    // A shard that has the message but cannot do it says more than one that has it not.
    if (done.error.empty() || !acted.error.starts_with("no such")) {
      if (!acted.error.empty()) done.error = acted.error;
    }
  }
  if (act.queue_id != 0 && done.count > 0) done.error.clear();
  if (!act.destination.empty() && done.count == 0 && done.error.empty())
    done.error = StrCat("no mail in the queue goes to ", Escaped(act.destination),
                        ": see postern queue destinations");
  return done;
}

// The recipients behind the first page.
absl::Status ShowTheRest(AdminClient& shard, uint64_t id, admin::Shown& shown) {
  uint32_t from = shown.next;
  while (from != 0) {
    ASSIGN_OR_RETURN(admin::Shown page,
                     shard.Ask<admin::Shown>(admin::Show{.queue_id = id, .from = from}));
    if (!page.error.empty()) return absl::OkStatus();  // it has left the queue meanwhile
    if (page.next != 0 && page.next <= from)
      return DataLoss("the message's recipients do not go on");
    std::ranges::move(page.message.recipients, std::back_inserter(shown.message.recipients));
    from = page.next;
  }
  return absl::OkStatus();
}

}  // namespace

int QueueList(const Common& common, const ListOptions& options) {
  auto shards = AskQueues(common);
  if (!shards.ok()) return Complain(shards.status());
  Found found;
  for (AdminClient& shard : *shards) {
    if (const absl::Status listed = ListShard(shard, common, options, found); !listed.ok())
      return Complain(listed);
  }
  if (common.as_json) {
    // The last four count all messages of the queue, whatever was asked for.
    std::fputs(Dump({{"messages", found.messages},
                     {"more", found.more},
                     {"total", found.active + found.deferred + found.held},
                     {"active", found.active},
                     {"deferred", found.deferred},
                     {"held", found.held}})
                   .c_str(),
               stdout);
    return kDone;
  }
  if (found.more) std::printf("there are more: see --limit\n");
  std::printf(
      "%llu active, %llu deferred, %llu held\n", static_cast<unsigned long long>(found.active),
      static_cast<unsigned long long>(found.deferred), static_cast<unsigned long long>(found.held));
  return kDone;
}

int QueueShow(const Common& common, const std::string& text, bool content) {
  const absl::StatusOr<uint64_t> id = ParseId(text);
  if (!id.ok()) return Misuse(std::string(Message(id.status())));
  auto shards = AskQueues(common);
  if (!shards.ok()) return Complain(shards.status());
  std::string error = "the queue has no directories";
  for (AdminClient& shard : *shards) {
    std::string collected;
    auto shown = shard.Ask<admin::Shown>(admin::Show{.queue_id = *id, .content = content},
                                         [&](std::string_view piece) {
                                           if (common.as_json) {
                                             collected += piece;
                                           } else {
                                             std::fwrite(piece.data(), 1, piece.size(), stdout);
                                           }
                                         });
    if (!shown.ok()) return Complain(shown.status());
    if (!shown->error.empty()) {
      error = shown->error;
      continue;
    }
    if (common.as_json || !content) {
      if (const absl::Status rest = ShowTheRest(shard, *id, *shown); !rest.ok())
        return Complain(rest);
    }
    if (common.as_json) {
      json message = ToJson(shown->message);
      message["submitter"] = JsonText(shown->submitter);
      message["envid"] = JsonText(shown->envid);
      if (content) message["content"] = JsonText(collected);
      std::fputs(Dump(message).c_str(), stdout);
    } else if (!content) {
      std::fputs(ToText(shown->message).c_str(), stdout);
      std::printf("      submitted by %s\n", Escaped(shown->submitter).c_str());
    }
    return kDone;
  }
  return Complain(NotFound(QueueId(*id).ToString(), ": ", error));
}

int QueueAct(const Common& common, admin::Verb verb, const ActOptions& options) {
  std::vector<admin::Act> acts;
  for (const std::string& text : options.ids) {
    const absl::StatusOr<uint64_t> id = ParseId(text);
    if (!id.ok()) return Misuse(std::string(Message(id.status())));
    acts.push_back(
        {.verb = verb, .all = false, .queue_id = *id, .destination = {}, .reason = options.reason});
  }
  if (!acts.empty() && (options.all || !options.destination.empty()))
    return Misuse("queue ids, --all and --destination exclude each other");
  if (acts.empty() && !options.all && verb != admin::Verb::kFlush)
    return Misuse("name a queue id (see postern queue list), or say --all");
  if (acts.empty()) {
    acts.push_back({.verb = verb,
                    .all = options.all,
                    .queue_id = 0,
                    .destination = options.destination,
                    .reason = options.reason});
  }
  auto shards = AskQueues(common);
  if (!shards.ok()) return Complain(shards.status());
  uint64_t count = 0;
  json errors = json::array();
  for (const admin::Act& act : acts) {
    const absl::StatusOr<Done> done = ActEverywhere(*shards, act);
    if (!done.ok()) return Complain(done.status());
    count += done->count;
    if (done->error.empty()) continue;
    const std::string name = act.queue_id == 0 ? "" : QueueId(act.queue_id).ToString() + ": ";
    errors.push_back(JsonText(name + done->error));
    if (!common.as_json) Complain(NotFound(name, done->error));
  }
  if (common.as_json) {
    std::fputs(Dump({{"count", count}, {"errors", errors}}).c_str(), stdout);
  } else if (count > 0 || errors.empty()) {
    std::printf("%llu message%s\n", static_cast<unsigned long long>(count), count == 1 ? "" : "s");
  }
  return errors.empty() ? kDone : kFailed;
}

int QueueDestinations(const Common& common) {
  auto shards = AskQueues(common);
  if (!shards.ok()) return Complain(shards.status());
  json all = json::array();
  for (AdminClient& shard : *shards) {
    const auto listed = shard.Ask<admin::DestinationsListed>(admin::Destinations{});
    if (!listed.ok()) return Complain(listed.status());
    for (const admin::Destination& one : listed->destinations) {
      if (common.as_json) {
        all.push_back(ToJson(one));
      } else {
        std::fputs(ToText(one).c_str(), stdout);
      }
    }
  }
  if (common.as_json) std::fputs(Dump(all).c_str(), stdout);
  return kDone;
}

}  // namespace postern::tool
