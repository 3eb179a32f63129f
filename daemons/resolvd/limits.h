// daemons/resolvd/limits.h — bounds on what questions may cost.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace postern::resolvd {

// Different questions under way at once; more are answered with a temporary failure.
inline constexpr size_t kMaxOutstandingQuestions = 1024;

// Mode unbound: sockets for questions to servers, and TCP connections, at once.
inline constexpr int kOutgoingPorts = 256;
inline constexpr int kOutgoingConnections = 16;
// Seconds after which a server that did not answer is tried again.
inline constexpr int kServerMemorySeconds = 60;

// Mode system: how long one server has for its answer over UDP in the first round; each further
// round doubles that.
inline constexpr absl::Duration kFirstTryTimeout = absl::Seconds(2);
inline constexpr int kMaxRounds = 4;
// Connecting and answering over TCP.
inline constexpr absl::Duration kTcpTimeout = absl::Seconds(5);
// Packets to a question's port that do not answer it, after which the try counts as failed: who
// floods it gains no more guesses.
inline constexpr int kMaxStrayPackets = 32;
// Name servers of /etc/resolv.conf that are used.
inline constexpr size_t kMaxServers = 8;
// A failure is remembered for so long (RFC 9520 §3.2 asks for at least a second).
inline constexpr absl::Duration kFailureMemory = absl::Seconds(1);

}  // namespace postern::resolvd
