// A `deliver` process for locald, as the user whose mailbox it is.
#include <unistd.h>

#include <algorithm>

#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::EdgeKind;
using protocol::control::Role;

absl::Status Master::StartDeliver(Child& locald, uint32_t request, const std::string& user) {
  const auto account =
      std::ranges::find_if(now_.accounts, [&](const auto& one) { return one.name == user; });
  protocol::control::DeliverEnd answer;
  if (account == now_.accounts.end() || (::geteuid() == 0 && account->uid == 0)) {
    answer.error = "no such account";
    return locald.control->Send(request, answer);
  }
  auto deliver = std::make_unique<Child>();
  deliver->role = Role::kDeliver;
  deliver->name = "deliver";
  deliver->account = user;
  deliver->identity = {.drop = ::geteuid() == 0, .uid = account->uid, .gid = account->gid};
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> pair = MakePair();
  if (const absl::Status launched = pair.ok() ? Launch(*deliver) : pair.status(); !launched.ok()) {
    answer.error = std::string(Message(launched)).substr(0, protocol::kMaxReason);
    return locald.control->Send(request, answer);
  }
  Child& child = *delivers_.emplace_back(std::move(deliver));
  Ends ends;
  ends.emplace_back(
      protocol::control::EdgeEnd{
          .kind = EdgeKind::kLocaldDeliver, .peer_index = 0, .peer_origin = 0},
      std::move(pair->second));
  IgnoreStatus(SendStart(child, std::move(ends)),
               "a child that died at once closes its end, which locald sees");
  return locald.control->Send(request, answer, std::move(pair->first));
}

// Those that ended.
void Master::ForgetDelivers() {
  std::erase_if(delivers_, [](const std::unique_ptr<Child>& deliver) {
    return deliver->state == Child::State::kDead && !deliver->listening;
  });
}

}  // namespace postern::master
