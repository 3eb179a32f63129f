// daemons/smtpc/transfer.h — one job over one open connection.
#pragma once

#include <string>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/config/settings.h"
#include "common/ipc/protocol/delivery.h"
#include "daemons/smtpc/connection.h"
#include "daemons/smtpc/form.h"

namespace postern::smtpc {

// A job as it is kept while it is worked on.
struct Work {
  protocol::delivery::Job job;  // its inline content points into `front`
  std::string front;            // what came inline
  UniqueFd descriptor;          // the rest, if valid
  uint64_t octets() const { return front.size() + (descriptor.valid() ? job.content_octets : 0); }
};

struct Transferred {
  std::vector<protocol::delivery::Result> results;  // one a recipient, unless `try_elsewhere`
  bool reusable = false;                            // the connection may be kept
  bool try_elsewhere = false;  // nothing was decided: another host may do better
  bool busy = false;           // the server asked for less (421, 4yz to MAIL)
  bool mail_deferred = false;  // 4yz to MAIL: these are the results, if no other host does better
  std::string reason;
};

io::Task<Transferred> Transfer(io::Loop& loop, Connection& connection, const Work& work,
                               const config::Outbound& settings);

// One result from a reply; `remote` is who said it.
protocol::delivery::Result ResultFrom(uint32_t index, const smtp::Reply& reply,
                                      const std::string& remote, bool dsn);

}  // namespace postern::smtpc
