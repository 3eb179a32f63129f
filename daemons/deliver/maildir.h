// daemons/deliver/maildir.h — a directory with a file for each message: written in tmp, renamed to
// new, where mail readers look.
#pragma once

#include <memory>
#include <string>

#include "common/base/unique_fd.h"
#include "daemons/deliver/mailbox.h"

namespace postern::deliver {

// `directory` holds tmp, `fresh` is its new. `host` becomes part of file names.
std::unique_ptr<Mailbox> MakeMaildir(UniqueFd directory, UniqueFd fresh, std::string host);

}  // namespace postern::deliver
