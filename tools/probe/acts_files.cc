// Files: opening, making, changing, looking. Paths lie outside of what any role is granted.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

using Path = std::string Stage::*;

long Open(const char* path, int flags) { return Call(SYS_openat, AT_FDCWD, path, flags, 0600); }

// Never a real change: the file is the probe's, or stays as it was.
void AddOpening(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "files", .name = name, .attempt = attempt, .refusals = kHidden});
  };
  add("open a file that all may read",
      [](const Scene& s) { return Open(s.stage.readable.c_str(), O_RDONLY); });
  add("open a file that all may write",
      [](const Scene& s) { return Open(s.stage.writable.c_str(), O_WRONLY); });
  add("open a file of root's",
      [](const Scene& s) { return Open(s.stage.secret.c_str(), O_RDONLY); });
  add("open /etc/passwd", [](const Scene&) { return Open("/etc/passwd", O_RDONLY); });
  add("open by the old call",
      [](const Scene& s) { return Call(SYS_open, s.stage.readable.c_str(), O_RDONLY, 0); });
  add("open by openat2", [](const Scene& s) {
    const open_how how{.flags = O_RDONLY, .mode = 0, .resolve = 0};
    return Call(SYS_openat2, AT_FDCWD, s.stage.readable.c_str(), &how, sizeof how);
  });
  add("open for its path alone, and read through that", [](const Scene& s) {
    const long path = Open(s.stage.readable.c_str(), O_PATH);
    if (path < 0) return path;
    return Open(("/proc/self/fd/" + std::to_string(path)).c_str(), O_RDONLY);
  });
  add("truncate on opening",
      [](const Scene& s) { return Open(s.stage.writable.c_str(), O_WRONLY | O_TRUNC); });
  add("make a file where all may", [](const Scene& s) {
    return Open((s.stage.open_directory + "/new").c_str(), O_WRONLY | O_CREAT);
  });
  add("make a file by creat", [](const Scene& s) {
    return Call(SYS_creat, (s.stage.open_directory + "/new").c_str(), 0600);
  });
  add("make a file without a name",
      [](const Scene& s) { return Open(s.stage.open_directory.c_str(), O_TMPFILE | O_WRONLY); });
  add("make a file in /tmp", [](const Scene&) { return Open("/tmp", O_TMPFILE | O_WRONLY); });
  add("list a directory", [](const Scene& s) {
    const long directory = Open(s.stage.directory.c_str(), O_RDONLY | O_DIRECTORY);
    if (directory < 0) return directory;
    char entries[1024];
    return Call(SYS_getdents64, directory, entries, sizeof entries);
  });
  add("open the root directory", [](const Scene&) { return Open("/", O_RDONLY | O_DIRECTORY); });
}

void AddOwnDirectory(std::vector<Act>& acts) {
  // Both directories: one of them is the role's own, if it has any.
  const struct {
    const char* label;
    Path directory;
    const char* owner;
  } directories[] = {{"the spool", &Stage::spool, "qmgr"},
                     {"the mailbox", &Stage::mailbox, "deliver"}};
  for (const auto& one : directories) {
    const Path path = one.directory;
    const std::string label = one.label;
    const auto add = [&](const std::string& name, auto attempt, Allowance allowed = {}) {
      acts.push_back({.group = "files",
                      .name = name,
                      .attempt = attempt,
                      .refusals = kHidden,
                      .allowed = std::move(allowed)});
    };
    const Allowance own{.roles = {one.owner}, .reason = label + " is its own"};
    const auto openat2 = [](const std::string& file, uint64_t resolve) {
      const open_how how{.flags = O_RDWR, .mode = 0, .resolve = resolve};
      return Call(SYS_openat2, AT_FDCWD, file.c_str(), &how, sizeof how);
    };
    add(
        "open a file in " + label,
        [=](const Scene& s) { return openat2(s.stage.*path + "/file", 0); }, own);
    add("open root's file in " + label,
        [=](const Scene& s) { return openat2(s.stage.*path + "/secret", 0); });
    acts.back().needs_root = true;
    add("leave " + label + " through ..",
        [=](const Scene& s) { return openat2(s.stage.*path + "/../writable", 0); });
    add("leave " + label + " through a link",
        [=](const Scene& s) { return openat2(s.stage.*path + "/link", 0); });
    add("make a directory in " + label, [=](const Scene& s) {
      return Call(SYS_mkdirat, AT_FDCWD, (s.stage.*path + "/made").c_str(), 0700);
    });
    add("move a file out of " + label, [=](const Scene& s) {
      return Call(SYS_renameat2, AT_FDCWD, (s.stage.*path + "/file").c_str(), AT_FDCWD,
                  (s.stage.open_directory + "/moved").c_str(), 0);
    });
    add("move a file into " + label, [=](const Scene& s) {
      return Call(SYS_renameat2, AT_FDCWD, (s.stage.open_directory + "/file").c_str(), AT_FDCWD,
                  (s.stage.*path + "/moved").c_str(), 0);
    });
    add("link a file of elsewhere into " + label, [=](const Scene& s) {
      return Call(SYS_linkat, AT_FDCWD, s.stage.writable.c_str(), AT_FDCWD,
                  (s.stage.*path + "/linked").c_str(), 0);
    });
  }
}

void AddChanging(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "files", .name = name, .attempt = attempt, .refusals = kHidden});
  };
  // On a name that nobody else uses, made new for whoever comes next.
  add("rename a file", [](const Scene& s) {
    const std::string from = s.stage.open_directory + "/file";
    return Call(SYS_rename, from.c_str(), from.c_str());
  });
  add("rename by renameat2", [](const Scene& s) {
    const std::string from = s.stage.open_directory + "/file";
    return Call(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD,
                (s.stage.open_directory + "/renamed").c_str(), 0);
  });
  add("link a file", [](const Scene& s) {
    return Call(SYS_link, (s.stage.open_directory + "/file").c_str(),
                (s.stage.open_directory + "/linked").c_str());
  });
  add("make a symbolic link", [](const Scene& s) {
    return Call(SYS_symlink, "/etc/passwd", (s.stage.open_directory + "/symbolic").c_str());
  });
  add("make a directory", [](const Scene& s) {
    return Call(SYS_mkdir, (s.stage.open_directory + "/made").c_str(), 0700);
  });
  add("remove a directory",
      [](const Scene& s) { return Call(SYS_rmdir, (s.stage.open_directory + "/empty").c_str()); });
  add("remove a file", [](const Scene& s) {
    return Call(SYS_unlinkat, AT_FDCWD, (s.stage.open_directory + "/file").c_str(), 0);
  });
  add("remove a file by the old call",
      [](const Scene& s) { return Call(SYS_unlink, (s.stage.open_directory + "/file").c_str()); });
  add("truncate a file",
      [](const Scene& s) { return Call(SYS_truncate, s.stage.writable.c_str(), 5); });
  add("change a mode", [](const Scene& s) {
    return Call(SYS_fchmodat, AT_FDCWD, (s.stage.open_directory + "/file").c_str(), 0666);
  });
  add("change an owner", [](const Scene& s) {
    return Call(SYS_fchownat, AT_FDCWD, (s.stage.open_directory + "/file").c_str(), -1, -1, 0);
  });
  add("change an open file's mode",
      [](const Scene& s) { return Call(SYS_fchmod, s.stage.writable_fd.get(), 0666); });
  add("set a file's times", [](const Scene& s) {
    return Call(SYS_utimensat, AT_FDCWD, s.stage.writable.c_str(), nullptr, 0);
  });
  add("make a named pipe", [](const Scene& s) {
    return Call(SYS_mknodat, AT_FDCWD, (s.stage.open_directory + "/pipe").c_str(), S_IFIFO | 0600,
                0);
  });
  add("make a device", [](const Scene& s) {  // 1, 3 is /dev/null
    return Call(SYS_mknodat, AT_FDCWD, (s.stage.open_directory + "/device").c_str(), S_IFCHR | 0600,
                1 << 8 | 3);
  });
  add("set an extended attribute", [](const Scene& s) {
    return Call(SYS_setxattr, s.stage.writable.c_str(), "user.probe", "x", 1, 0);
  });
}

void AddLooking(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, Allowance allowed = {}) {
    acts.push_back({.group = "files",
                    .name = name,
                    .attempt = attempt,
                    .refusals = kHidden,
                    .allowed = std::move(allowed)});
  };
  add("look at a file", [](const Scene& s) {
    struct stat about;
    return Call(SYS_newfstatat, AT_FDCWD, s.stage.readable.c_str(), &about, 0);
  });
  add("look at a file as at a descriptor", [](const Scene& s) {
    struct stat about;
    return Call(SYS_newfstatat, AT_FDCWD, s.stage.readable.c_str(), &about, AT_EMPTY_PATH);
  });
  add("look at a file by the old call", [](const Scene& s) {
    struct stat about;
    return Call(SYS_stat, s.stage.readable.c_str(), &about);
  });
  add("look at a file by statx", [](const Scene& s) {
    struct statx about;
    return Call(SYS_statx, AT_FDCWD, s.stage.readable.c_str(), 0, STATX_BASIC_STATS, &about);
  });
  add("ask whether a file is there",
      [](const Scene& s) { return Call(SYS_access, s.stage.readable.c_str(), F_OK); });
  add("ask the same by faccessat2", [](const Scene& s) {
    return Call(SYS_faccessat2, AT_FDCWD, s.stage.readable.c_str(), F_OK, 0);
  });
  add("read a link", [](const Scene& s) {
    char text[256];
    return Call(SYS_readlinkat, AT_FDCWD, (s.stage.spool + "/link").c_str(), text, sizeof text);
  });
  add("read where its own program lies", [](const Scene&) {
    char text[256];
    return Call(SYS_readlink, "/proc/self/exe", text, sizeof text);
  });
  add("look at a file system", [](const Scene& s) {
    struct statfs about;
    return Call(SYS_statfs, s.stage.readable.c_str(), &about);
  });
  add("read an extended attribute", [](const Scene& s) {
    char value[16];
    const long result =
        Call(SYS_getxattr, s.stage.readable.c_str(), "user.none", value, sizeof value);
    return result == -EOPNOTSUPP ? -ENODATA : result;
  });
  add("ask for the working directory", [](const Scene&) {
    char text[4096];
    return Call(SYS_getcwd, text, sizeof text);
  });
  add("walk to another directory",
      [](const Scene& s) { return Call(SYS_chdir, s.stage.directory.c_str()); });
  add("watch a file", [](const Scene& s) {
    const long watch = Call(SYS_inotify_init1, 0);
    return watch < 0 ? watch : Call(SYS_inotify_add_watch, watch, s.stage.readable.c_str(), 1);
  });
}

}  // namespace

void AddFileActs(std::vector<Act>& acts) {
  AddOpening(acts);
  AddOwnDirectory(acts);
  AddChanging(acts);
  AddLooking(acts);
}

}  // namespace postern::probe
