// daemons/deliver/mbox.h — one file with all messages, one behind the other.
#pragma once

#include <memory>

#include "common/base/unique_fd.h"
#include "daemons/deliver/mailbox.h"

namespace postern::deliver {

// `file` is open for reading and writing.
std::unique_ptr<Mailbox> MakeMbox(UniqueFd file);

}  // namespace postern::deliver
