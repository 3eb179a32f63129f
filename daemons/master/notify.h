// daemons/master/notify.h — telling the service manager how we are (sd_notify(3), without its
// library).
#pragma once

#include <string_view>

#include "absl/time/time.h"

namespace postern::master {

// Sends `state` ("READY=1") to NOTIFY_SOCKET, a path or "@" and an abstract name, if there is one.
// Never waits: a manager that does not listen has nothing to be told.
void Notify(std::string_view state);
// RELOADING=1 with the moment (MONOTONIC_USEC), so that the manager can tell this reload's READY=1
// from one before it.
void NotifyReloading();
// How often the service manager wants to hear WATCHDOG=1 (half of WATCHDOG_USEC, if WATCHDOG_PID is
// us or nobody); zero: never.
absl::Duration WatchdogInterval();

}  // namespace postern::master
