// Joining a daemon to its neighbours, and giving it what it starts with.
#include <algorithm>
#include <filesystem>

#include "daemons/master/master.h"

namespace postern::master {

using protocol::control::EdgeKind;
using protocol::control::Role;

namespace {

// The graph: who talks to whom. Nobody inside can make another edge.
struct EdgeRule {
  EdgeKind kind;
  Role a;
  Role b;
};
constexpr EdgeRule kEdgeRules[] = {
    {EdgeKind::kSmtpdPolicyd, Role::kSmtpd, Role::kPolicyd},
    {EdgeKind::kSmtpdQmgr, Role::kSmtpd, Role::kQmgr},
    {EdgeKind::kQmgrSmtpc, Role::kQmgr, Role::kSmtpc},
    {EdgeKind::kQmgrLocald, Role::kQmgr, Role::kLocald},
    {EdgeKind::kQmgrBounced, Role::kQmgr, Role::kBounced},
    {EdgeKind::kBouncedQmgr, Role::kBounced, Role::kQmgr},
    {EdgeKind::kSmtpcResolvd, Role::kSmtpc, Role::kResolvd},
};

bool Joins(const EdgeRule& rule, Role one, Role other) {
  return (rule.a == one && rule.b == other) || (rule.a == other && rule.b == one);
}

}  // namespace

// Makes the pair of each edge: the starting child's ends are returned, the others go to their
// owners, if those run (otherwise they are made when those start).
Master::Ends Master::Join(Child& starting) {
  Ends ends;
  for (const EdgeRule& rule : kEdgeRules) {
    for (Child& other : children_) {
      if (!Joins(rule, starting.role, other.role) || other.state == Child::State::kDead ||
          other.control == nullptr) {
        continue;
      }
      absl::StatusOr<std::pair<UniqueFd, UniqueFd>> pair = MakePair();
      if (!pair.ok()) continue;  // no descriptors left: it works without, and defers
      const protocol::control::EdgeEnd ours{
          .kind = rule.kind, .peer_index = other.index, .peer_origin = other.origin};
      const protocol::control::EdgeEnd theirs{
          .kind = rule.kind, .peer_index = starting.index, .peer_origin = starting.origin};
      ends.emplace_back(ours, std::move(pair->first));
      IgnoreStatus(other.control->Send(other.control->NewId(), theirs, std::move(pair->second)),
                   "one that is just dying is joined when it is back");
    }
  }
  return ends;
}

absl::Status Master::SendStart(Child& child, Ends ends) {
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
    for (const OpenListener& listener : listeners_.all()) RETURN_IF_ERROR(give(listener));
  } else if (child.role == Role::kQmgr) {
    RETURN_IF_ERROR(give(queue_sockets_[child.index]));
  }
  return control.Send(control.NewId(), protocol::control::Begin{});
}

protocol::control::Configuration Master::ConfigurationFor(const Child& child) const {
  protocol::control::Configuration configuration{
      .toml = now_.toml,
      .file_name = invocation_.config_file,
      .base_directory = std::filesystem::path(invocation_.config_file).parent_path(),
      .started_toml = now_.toml == started_.toml ? "" : started_.toml,
      .accounts = {}};
  switch (child.role) {
    case Role::kPolicyd:
    case Role::kLocald:
      configuration.accounts = now_.accounts;
      break;
    case Role::kSmtpd:
      // Names for the uids of those who submit locally, and nothing else of them.
      for (const protocol::control::Account& account : now_.accounts) {
        configuration.accounts.push_back(
            {.name = account.name, .uid = account.uid, .gid = 0, .home = {}, .mailbox = {}});
      }
      break;
    case Role::kDeliver:
      for (const protocol::control::Account& account : now_.accounts) {
        if (account.name == child.account) configuration.accounts.push_back(account);
      }
      break;
    default:
      break;
  }
  return configuration;
}

void Master::SendLog(Child& child) {
  if (child.control == nullptr || !child.control->open()) return;
  const protocol::control::LogEnd end;
  IgnoreStatus(child.control->Send(child.control->NewId(), end, Duplicate(log_)),
               "a dead one gets it at its start");
}

}  // namespace postern::master
