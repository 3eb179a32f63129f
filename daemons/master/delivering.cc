// A `deliver` process for locald, as the user whose mailbox it is.
#include <unistd.h>

#include <algorithm>

#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::EdgeKind;
using protocol::control::Role;

absl::Status Master::StartDeliver(Child& locald, uint32_t request, const std::string& user) {
  const auto account = std::find_if(accounts_.begin(), accounts_.end(),
                                    [&](const auto& one) { return one.name == user; });
  protocol::control::DeliverEnd answer;
  if (account == accounts_.end() || (::geteuid() == 0 && account->uid == 0)) {
    answer.error = "no such account";
    return locald.control->Send(request, answer);
  }
  auto deliver = std::make_unique<Child>();
  deliver->role = Role::kDeliver;
  deliver->name = "deliver";
  deliver->account = user;
  deliver->identity = {.drop = ::geteuid() == 0, .uid = account->uid, .gid = account->gid};
  Child& child = *delivers_.emplace_back(std::move(deliver));
  absl::StatusOr<std::pair<UniqueFd, UniqueFd>> pair = MakePair();
  if (const absl::Status launched = pair.ok() ? Launch(child) : pair.status(); !launched.ok()) {
    delivers_.pop_back();
    answer.error = std::string(Message(launched));
    return locald.control->Send(request, answer);
  }
  std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends;
  ends.emplace_back(
      protocol::control::EdgeEnd{
          .kind = EdgeKind::kLocaldDeliver, .peer_index = 0, .peer_origin = 0},
      std::move(pair->second));
  IgnoreStatus(SendStart(child, std::move(ends)),
               "a child that died at once closes its end, which locald sees");
  controls_.Spawn(RunControl(child));
  return locald.control->Send(request, answer, std::move(pair->first));
}

}  // namespace postern::master
