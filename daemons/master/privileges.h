// daemons/master/privileges.h — what master keeps of root's powers.
#pragma once

#include "common/base/status.h"

namespace postern::master {

// Gives up for good all that master and its children do not need: master keeps the capabilities to
// become the daemons' users and mailboxes' owners, to give them what they own, to end them, and to
// bind low ports at a reload; its children never get the last one. Without root nothing is left to
// give up but the way to new privileges.
absl::Status DropPowers();

}  // namespace postern::master
