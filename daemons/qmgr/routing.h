// daemons/qmgr/routing.h — which next hop a recipient has. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/config/settings.h"
#include "common/ipc/protocol/common.h"
#include "common/ipc/protocol/delivery.h"
#include "daemons/qmgr/message.h"
#include "daemons/qmgr/scheduler/scheduler.h"

namespace postern::qmgr {

// The domain of an address as routes and DNS know it: A-labels in lower case. Empty for
// "postmaster".
std::string DomainOf(std::string_view address);

// What the scheduler needs: the kind of worker, and the name under which the destination has its
// window.
struct Hop {
  Route route = Route::kRemote;
  std::string destination;
};
Hop HopFor(std::string_view address, protocol::RecipientClass kind,
           const config::Settings& settings);

// The recipients that are not done with, by next hop: in one pass, however many there are.
std::vector<UnitSpec> GroupByHop(const std::vector<RecipientRecord>& recipients,
                                 const DoneSet& done, const config::Settings& settings);

// Fills in where a remote job goes: a route of its domain, the smart host, or the domain's MX
// hosts.
void FillNextHop(std::string_view domain, const config::Settings& settings,
                 protocol::delivery::Job& job);

}  // namespace postern::qmgr
