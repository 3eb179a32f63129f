// deliver: see README.md.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "common/service/service.h"
#include "daemons/deliver/deliver.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  if (service.accounts().size() != 1)
    service.Fail(InvalidArgument("started without an account"), "start");
  const protocol::control::Account& account = service.accounts().front();
  const std::filesystem::path path = account.mailbox;
  ::umask(077);
  // In an instance what lies above the mailbox is the instance's own, and may be closed to its
  // users: it is opened before root's powers go. In a user's home every step is taken as the user,
  // whose links must not lead root anywhere.
  const bool trusted =
      service.settings().root != "/" && account.mailbox.starts_with(service.settings().root + "/");
  if (!trusted) service.DropIdentity();
  UniqueFd parent(::open(path.parent_path().c_str(),
                         O_PATH | O_DIRECTORY | O_CLOEXEC | (trusted ? O_NOFOLLOW : 0)));
  const int error = errno;
  service.DropIdentity();
  if (!parent) service.Fail(ErrnoStatus(error, "open ", path.parent_path().string()), "mailbox");
  absl::StatusOr<deliver::OpenMailbox> opened = deliver::OpenMailboxAt(
      parent.get(), path.filename(),
      service.settings().local.format == config::MailboxFormat::kMbox ? deliver::Format::kMbox
                                                                      : deliver::Format::kMaildir,
      service.settings().hostname);
  if (!opened.ok()) service.Fail(opened.status(), "mailbox");
  service.Confine(sandbox::DeliverProfile(service.backend(), std::move(opened->granted)), {});
  deliver::Deliver daemon(service, std::move(opened->mailbox), account.name);
  return service.Run(daemon);
}
