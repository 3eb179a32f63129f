// qmgr: see README.md.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/service/service.h"
#include "daemons/qmgr/disk.h"
#include "daemons/qmgr/qmgr.h"
#include "sandbox/profiles/profiles.h"

int main() {
  using namespace postern;
  service::Service service = service::Service::Begin();
  const auto& directories = service.settings().queue.directories;
  if (service.index() >= directories.size())
    service.Fail(InvalidArgument("no such shard"), "start");
  const std::string& path = directories[service.index()];
  // Before root's powers go: the spool is ours, but what is above it may be closed to us. And after
  // all else is out of sight: nothing leads up from what is opened here.
  service.EnterNamespaces({.keep_network = false, .shown = {{.path = path}}});
  absl::StatusOr<std::unique_ptr<qmgr::Disk>> disk = qmgr::OpenSpool(path);
  if (!disk.ok()) service.Fail(disk.status(), "start");
  UniqueFd spool(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!spool) service.Fail(ErrnoStatus(errno, "open ", path), "start");
  service.DropIdentity();
  const uid_t owner = ::getuid();
  io::LoopOptions options;
  options.buffer_count = 0;
  service.Confine(sandbox::QmgrProfile(service.backend(), std::move(spool)), options);
  qmgr::Qmgr daemon(service, **disk, owner);
  return service.Run(daemon);
}
