// The file system as a whole: roots, mounts, handles, /proc and devices.
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/quota.h>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

long Open(const std::string& path, int flags) {
  return Call(SYS_openat, AT_FDCWD, path.c_str(), flags, 0);
}

long MountAndUndo(const Scene& s, const char* source, const char* type, unsigned long flags) {
  const long result = Call(SYS_mount, source, s.stage.open_directory.c_str(), type, flags, nullptr);
  if (result == 0) Call(SYS_umount2, s.stage.open_directory.c_str(), MNT_DETACH);
  return result;
}

void AddProc(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "proc", .name = name, .attempt = attempt, .refusals = kHidden});
  };
  add("open its own memory as a file", [](const Scene&) { return Open("/proc/self/mem", O_RDWR); });
  add("read its own map of memory", [](const Scene&) { return Open("/proc/self/maps", O_RDONLY); });
  add("read its own status", [](const Scene&) { return Open("/proc/self/status", O_RDONLY); });
  add("open another process's memory", [](const Scene& s) {
    return Open("/proc/" + std::to_string(s.stage.victim) + "/mem", O_RDONLY);
  });
  add("read another process's environment", [](const Scene& s) {
    return Open("/proc/" + std::to_string(s.stage.victim) + "/environ", O_RDONLY);
  });
  add("read what the first process is called",
      [](const Scene&) { return Open("/proc/1/cmdline", O_RDONLY); });
  add("list the processes", [](const Scene&) { return Open("/proc", O_RDONLY | O_DIRECTORY); });
  add("read a setting of the kernel",
      [](const Scene&) { return Open("/proc/sys/kernel/osrelease", O_RDONLY); });
  add("open a setting of the kernel for writing",
      [](const Scene&) { return Open("/proc/sys/kernel/core_pattern", O_WRONLY); });
  add("read the kernel's list of devices",
      [](const Scene&) { return Open("/sys/class", O_RDONLY | O_DIRECTORY); });
  add("open a device", [](const Scene&) { return Open("/dev/null", O_RDWR); });
  add("open the terminal", [](const Scene&) {
    const long result = Open("/dev/tty", O_RDWR);
    return result == -ENXIO ? 0 : result;  // there is none, and nobody refused
  });
}

void AddMounts(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, std::vector<int> refusals = kHidden) {
    acts.push_back(
        {.group = "mounts", .name = name, .attempt = attempt, .refusals = std::move(refusals)});
  };
  add("change the root directory",
      [](const Scene& s) { return Call(SYS_chroot, s.stage.open_directory.c_str()); });
  add("mount a file system",
      [](const Scene& s) { return MountAndUndo(s, "none", "tmpfs", MS_NOSUID | MS_NODEV); });
  add("show a directory at another place",
      [](const Scene& s) { return MountAndUndo(s, s.stage.directory.c_str(), nullptr, MS_BIND); });
  add("unmount", [](const Scene& s) {
    return Call(SYS_umount2, s.stage.open_directory.c_str(), 0);  // EINVAL: no mount
  });
  add("exchange the root", [](const Scene& s) {
    return Call(SYS_pivot_root, s.stage.open_directory.c_str(), s.stage.open_directory.c_str());
  });
  add("begin a file system by fsopen", [](const Scene&) { return Call(SYS_fsopen, "tmpfs", 0); });
  add("take a mount by open_tree", [](const Scene& s) {
    return Call(SYS_open_tree, AT_FDCWD, s.stage.directory.c_str(), OPEN_TREE_CLONE);
  });
  add("look for a path by open_tree",
      [](const Scene& s) { return Call(SYS_open_tree, AT_FDCWD, s.stage.directory.c_str(), 0); });
  add("move a mount", [](const Scene& s) {
    return Call(SYS_move_mount, AT_FDCWD, s.stage.open_directory.c_str(), AT_FDCWD,
                s.stage.open_directory.c_str(), 0);
  });
  add("change a mount", [](const Scene& s) {
    mount_attr attributes{};
    return Call(SYS_mount_setattr, AT_FDCWD, s.stage.open_directory.c_str(), 0, &attributes,
                sizeof attributes);
  });
  add("reconfigure a file system",
      [](const Scene& s) { return Call(SYS_fspick, AT_FDCWD, s.stage.open_directory.c_str(), 0); });
  add("ask for a file's handle", [](const Scene& s) {
    struct {
      file_handle handle;
      char rest[128];
    } space{};
    space.handle.handle_bytes = sizeof space.rest;
    int mount = 0;
    return Call(SYS_name_to_handle_at, AT_FDCWD, s.stage.readable.c_str(), &space, &mount, 0);
  });
  add("open a file by its handle", [](const Scene&) {
    file_handle handle{};  // of no octets: EINVAL, for those with the power
    return Call(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY);
  });
  add("watch all of a file system",
      [](const Scene&) { return Call(SYS_fanotify_init, FAN_CLASS_CONTENT, O_RDONLY); });
  add("write out all file systems", [](const Scene&) { return Call(SYS_sync); });
  add("ask about quotas", [](const Scene&) {
    const long result = Call(SYS_quotactl, QCMD(Q_SYNC, USRQUOTA), nullptr, 0, nullptr);
    return result;
  });
  // Names that are not there: refused before they are looked for, to those without the power.
  add("use a file as swap", [](const Scene&) { return Call(SYS_swapon, "/postern-none", 0); }, {});
  add("give up a swap file", [](const Scene&) { return Call(SYS_swapoff, "/postern-none"); }, {});
  add("account for processes in a file",
      [](const Scene&) { return Call(SYS_acct, "/postern-none"); }, {});
}

}  // namespace

void AddFileSystemActs(std::vector<Act>& acts) {
  AddProc(acts);
  AddMounts(acts);
}

}  // namespace postern::probe
