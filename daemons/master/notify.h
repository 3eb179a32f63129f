// daemons/master/notify.h — telling the service manager how we are (sd_notify(3), without its
// library).
#pragma once

#include <string_view>

#include "absl/time/time.h"

namespace postern::master {

// Sends `state` ("READY=1") to NOTIFY_SOCKET, if there is one.
void Notify(std::string_view state);
// How often the service manager wants to hear WATCHDOG=1 (half of its limit); zero: never.
absl::Duration WatchdogInterval();

}  // namespace postern::master
