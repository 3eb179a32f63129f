// daemons/resolvd/exchange.h — one question to one name server, over UDP and, where that does not
// do, TCP.
//
// Each question has a socket of its own, so a port the kernel picks at random; it is connected, so
// packets from elsewhere never arrive. The id is random too, and so is the case of the name's
// letters ("0x20"): a packet that misses one of them is not the answer and is ignored. An answer
// with all of it right but the case is asked for again over TCP, and so is one that was cut off.
#pragma once

#include "common/base/ip.h"
#include "common/base/status.h"
#include "common/dns/message.h"
#include "common/io/loop.h"
#include "common/io/task.h"

namespace postern::resolvd {

struct ExchangeOptions {
  bool edns = true;
  bool want_ad = false;
  bool randomise_case = true;
};

// The server's answer, whatever it says.
// Errors: kDeadlineExceeded   nothing that answers the question came in time
//         kUnavailable        the server refuses, or the network does
//         kDataLoss           what came cannot be read
//         kCancelled, kResourceExhausted
io::Task<absl::StatusOr<dns::Message>> Exchange(io::Loop& loop, const SocketAddress& server,
                                                const dns::Name& name, dns::Type type,
                                                ExchangeOptions options, io::Deadline until);

}  // namespace postern::resolvd
