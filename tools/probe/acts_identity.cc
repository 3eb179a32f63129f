// Who the process is, what it has given up, and the limits that were set.
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/constants.h"
#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

void AddIds(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "ids", .name = name, .attempt = attempt});
  };
  add("become root", [](const Scene&) { return Call(SYS_setuid, 0); });
  add("become root by setresuid", [](const Scene&) { return Call(SYS_setresuid, 0, 0, 0); });
  add("become root's group", [](const Scene&) { return Call(SYS_setgid, 0); });
  add("take another group", [](const Scene&) {
    const gid_t root = 0;
    return Call(SYS_setgroups, 1, &root);
  });
  add("be root to the file system", [](const Scene&) {
    const long before = Call(SYS_setfsuid, 0);
    if (before < 0) return before;
    return Call(SYS_setfsuid, -1) == 0 ? 0L : -EPERM;  // it answers, and changes nothing
  });
  add("take a capability", [](const Scene&) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    const __user_cap_data_struct some[2] = {
        {.effective = 1u << CAP_SYS_ADMIN, .permitted = 1u << CAP_SYS_ADMIN, .inheritable = 0}, {}};
    return Call(SYS_capset, &header, some);
  });
  add("ask which capabilities it has", [](const Scene&) {
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct some[2];
    return Call(SYS_capget, &header, some);
  });
  add("ask who it is", [](const Scene&) { return Call(SYS_getuid); });
}

void AddOwnState(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, std::vector<int> refusals = {}) {
    acts.push_back(
        {.group = "hardening", .name = name, .attempt = attempt, .refusals = std::move(refusals)});
  };
  add("let others look into it",
      [](const Scene&) { return Call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); });
  add("allow new privileges again",
      [](const Scene&) { return Call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0); }, {EINVAL});
  add("allow code that was data again",
      [](const Scene&) { return Call(SYS_prctl, sandbox::kSetMdwe, 0, 0, 0, 0); });
  add("keep capabilities over a change of ids",
      [](const Scene&) { return Call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0); });
  add("call itself something else",
      [](const Scene&) { return Call(SYS_prctl, PR_SET_NAME, "master", 0, 0, 0); });
  add("say where its memory lies",
      [](const Scene&) { return Call(SYS_prctl, PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0); });
  add("let the kernel guess at branches", [](const Scene&) {
    return Call(SYS_prctl, PR_SET_SPECULATION_CTRL, 99, 0, 0, 0);  // ENODEV: nobody refused
  });
  static sock_filter allow_all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  static const sock_fprog program = {.len = 1, .filter = allow_all};
  add("load a second filter",
      [](const Scene&) { return Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program); });
  add("load a second filter by prctl", [](const Scene&) {
    return Call(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
  });
  add("have another process answer for its calls", [](const Scene&) {
    return Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  });
  add("become another kind of program",
      [](const Scene&) { return Call(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */); });
}

void AddLimits(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "limits", .name = name, .attempt = attempt});
  };
  add("allow itself a core", [](const Scene&) {
    const rlimit some{.rlim_cur = 1, .rlim_max = 1};
    return Call(SYS_setrlimit, RLIMIT_CORE, &some);
  });
  add("allow itself processes", [](const Scene&) {
    const rlimit some{.rlim_cur = 1, .rlim_max = 1};
    return Call(SYS_prlimit64, 0, RLIMIT_NPROC, &some, nullptr);
  });
  add("allow itself all descriptors", [](const Scene&) {
    const rlimit all{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    return Call(SYS_prlimit64, 0, RLIMIT_NOFILE, &all, nullptr);
  });
  add("read its limits", [](const Scene&) {
    rlimit limit;
    return Call(SYS_getrlimit, RLIMIT_CORE, &limit);
  });
}

void AddNamespaces(std::vector<Act>& acts) {
  const struct {
    const char* what;
    int flag;
  } kinds[] = {{"user", CLONE_NEWUSER},      {"mount", CLONE_NEWNS},
               {"network", CLONE_NEWNET},    {"process", CLONE_NEWPID},
               {"IPC", CLONE_NEWIPC},        {"name", CLONE_NEWUTS},
               {"time", 0x80 /* NEWTIME */}, {"control group", CLONE_NEWCGROUP}};
  for (const auto& kind : kinds) {
    acts.push_back({.group = "name spaces",
                    .name = std::string("make a ") + kind.what + " name space",
                    .attempt = [flag = kind.flag](const Scene&) { return Call(SYS_unshare, flag); },
                    .refusals = {ENOSPC, EINVAL}});  // the machine allows none, or has no such
  }
  acts.push_back({.group = "name spaces",
                  .name = "enter another name space",
                  .attempt =
                      [](const Scene& s) {
                        return Call(SYS_setns, s.stage.uts_namespace.get(), CLONE_NEWUTS);
                      },
                  .refusals = {}});
  acts.push_back(
      {.group = "name spaces",
       .name = "enter another process's name spaces",
       .attempt =
           [](const Scene& s) { return Call(SYS_setns, s.stage.victim_pidfd.get(), CLONE_NEWUTS); },
       .refusals = {}});
  acts.push_back({.group = "name spaces",
                  .name = "share no descriptors any longer",
                  .attempt = [](const Scene&) { return Call(SYS_unshare, CLONE_FILES); },
                  .refusals = {}});
}

void AddKeys(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "keys", .name = name, .attempt = attempt});
  };
  add("put a key into the kernel", [](const Scene&) {
    return Call(SYS_add_key, "user", "postern-probe", "x", 1, KEY_SPEC_PROCESS_KEYRING);
  });
  add("ask for a key",
      [](const Scene&) { return Call(SYS_request_key, "user", "postern-none", nullptr, 0); });
  add("look at its keys", [](const Scene&) {
    return Call(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_SESSION_KEYRING, 0);
  });
}

}  // namespace

void AddIdentityActs(std::vector<Act>& acts) {
  AddIds(acts);
  AddOwnState(acts);
  AddLimits(acts);
  AddNamespaces(acts);
  AddKeys(acts);
}

}  // namespace postern::probe
