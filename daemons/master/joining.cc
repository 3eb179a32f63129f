// Joining a daemon to its neighbours, and giving it what it starts with.
#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::Role;

// Makes the pair of one edge: the starting child's end goes into `ends`, the other's to its owner,
// if that one runs (otherwise it is made when that one starts).
absl::Status Master::JoinEdge(const EdgePlan& plan, Child& starting,
                              std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>>& ends) {
  const bool is_a = plan.a == &starting;
  Child& other = is_a ? *plan.b : *plan.a;
  if (other.state == Child::State::kDead || other.control == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto pair, MakePair());
  protocol::control::EdgeEnd ours{
      .kind = plan.kind, .peer_index = other.index, .peer_origin = other.origin};
  protocol::control::EdgeEnd theirs{
      .kind = plan.kind, .peer_index = starting.index, .peer_origin = starting.origin};
  ends.emplace_back(ours, std::move(pair.first));
  return other.control->Send(other.control->NewId(), theirs, std::move(pair.second));
}
absl::Status Master::SendStart(Child& child,
                               std::vector<std::pair<protocol::control::EdgeEnd, UniqueFd>> ends) {
  ipc::Channel& control = *child.control;
  protocol::control::Configure configure;
  configure.role = child.role;
  configure.index = child.index;
  configure.origin = child.origin;
  configure.drop_ids = child.identity.drop;
  configure.uid = child.identity.uid;
  configure.gid = child.identity.gid;
  configure.configuration = ConfigurationFor(child);
  RETURN_IF_ERROR(control.Send(control.NewId(), configure));
  RETURN_IF_ERROR(control.Send(control.NewId(), protocol::control::LogEnd{}, Duplicate(log_)));
  for (auto& [which, end] : ends)
    RETURN_IF_ERROR(control.Send(control.NewId(), which, std::move(end)));
  const auto give = [&](const OpenListener& listener) {
    const protocol::control::ListenerEnd end{.kind = listener.kind, .name = listener.name};
    return control.Send(control.NewId(), end, Duplicate(listener.fd));
  };
  if (child.role == Role::kSmtpd) {
    for (const OpenListener& listener : listeners_) RETURN_IF_ERROR(give(listener));
  } else if (child.role == Role::kQmgr) {
    RETURN_IF_ERROR(give(queue_sockets_[child.index]));
  }
  return control.Send(control.NewId(), protocol::control::Begin{});
}

}  // namespace postern::master
