// A message with views, lists and optional fields, for tests of what carries messages.
#pragma once

#include "common/ipc/protocol/delivery.h"

namespace postern::ipc {

inline protocol::delivery::Job SampleJob() {
  protocol::delivery::Job job;
  job.queue_id = 0x1122334455667788;
  job.domain = "example.org";
  job.sender = "a@example.net";
  job.inline_content = "Subject: x\r\n\r\nbody\r\n";
  job.recipients = {
      {.index = 3, .address = "b@example.org", .orcpt = "rfc822;b@example.org", .notify = 2},
      {.index = 4, .address = "c@example.org", .orcpt = {}, .notify = 0}};
  return job;
}

}  // namespace postern::ipc
