#include "common/ipc/protocol/control.h"

namespace postern::protocol::control {

const char* RoleName(Role role) {
  switch (role) {
    case Role::kMaster:
      return "master";
    case Role::kSmtpd:
      return "smtpd";
    case Role::kPolicyd:
      return "policyd";
    case Role::kResolvd:
      return "resolvd";
    case Role::kQmgr:
      return "qmgr";
    case Role::kSmtpc:
      return "smtpc";
    case Role::kLocald:
      return "locald";
    case Role::kDeliver:
      return "deliver";
    case Role::kBounced:
      return "bounced";
  }
  return "unknown";
}

}  // namespace postern::protocol::control
