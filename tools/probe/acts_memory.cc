// Memory: code that was data, memory shared with others, and more of it than there should be.
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kVast = size_t{1} << 40;  // octets, more than any role may have
constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

long Map(size_t octets, int protection, int flags, int fd) {
  return Call(SYS_mmap, nullptr, octets, protection, flags, fd, 0);
}

long MapThenProtect(int protection) {
  const long page = Map(kPage, PROT_READ | PROT_WRITE, kPrivate, -1);
  return page < 0 ? page : Call(SYS_mprotect, page, kPage, protection);
}

}  // namespace

void AddMemoryActs(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, std::vector<int> refusals = {}) {
    acts.push_back(
        {.group = "memory", .name = name, .attempt = attempt, .refusals = std::move(refusals)});
  };
  add("map memory for code",
      [](const Scene&) { return Map(kPage, PROT_READ | PROT_EXEC, kPrivate, -1); });
  add("map memory for data and code",
      [](const Scene&) { return Map(kPage, PROT_READ | PROT_WRITE | PROT_EXEC, kPrivate, -1); });
  add("make data code", [](const Scene&) { return MapThenProtect(PROT_READ | PROT_EXEC); });
  add("make data data and code",
      [](const Scene&) { return MapThenProtect(PROT_READ | PROT_WRITE | PROT_EXEC); });
  add("map a file as code", [](const Scene& s) {
    return Map(kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, s.stage.program_fd.get());
  });
  add("map a file",
      [](const Scene& s) { return Map(kPage, PROT_READ, MAP_PRIVATE, s.stage.program_fd.get()); });
  add("map a file to share it", [](const Scene& s) {
    return Map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED, s.stage.writable_fd.get());
  });
  add("map memory to share it with children",
      [](const Scene&) { return Map(kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1); });
  add("map memory at a place it chose", [](const Scene&) {
    return Call(SYS_mmap, 0x10000000, kPage, PROT_READ, kPrivate | MAP_FIXED, -1, 0);
  });
  add("map large pages",
      [](const Scene&) { return Map(size_t{1} << 21, PROT_READ, kPrivate | MAP_HUGETLB, -1); });
  add("make a file in memory", [](const Scene&) { return Call(SYS_memfd_create, "probe", 0); });
  add("make memory that the kernel does not map",
      [](const Scene&) { return Call(SYS_memfd_secret, 0); });
  add("run code of a file in memory", [](const Scene&) {
    const long memory = Call(SYS_memfd_create, "probe", 0);
    if (memory < 0) return memory;
    Call(SYS_ftruncate, memory, kPage);
    return Map(kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE, static_cast<int>(memory));
  });
  add("share memory by key", [](const Scene&) {
    const long segment = Call(SYS_shmget, IPC_PRIVATE, kPage, IPC_CREAT | 0600);
    if (segment < 0) return segment;
    const long at = Call(SYS_shmat, segment, nullptr, SHM_EXEC);
    Call(SYS_shmctl, segment, IPC_RMID, nullptr);
    return at < 0 ? segment : at;
  });
  add("lock memory",
      [](const Scene&) {
        const long page = Map(kPage, PROT_READ | PROT_WRITE, kPrivate, -1);
        return page < 0 ? page : Call(SYS_mlock, page, kPage);
      },
      {ENOMEM});
  add("lock all memory", [](const Scene&) { return Call(SYS_mlockall, MCL_CURRENT); }, {ENOMEM});
  add("lock memory by madvise, in large pieces",
      [](const Scene&) {
        // Not a lock: it makes the pages present, as MAP_LOCKED would.
        return Map(kPage, PROT_READ, kPrivate | MAP_LOCKED, -1);
      },
      {EAGAIN});
  add("have memory without end",
      [](const Scene&) { return Map(kVast, PROT_READ | PROT_WRITE, kPrivate | MAP_NORESERVE, -1); },
      {ENOMEM});
  add("have memory without end by mremap",
      [](const Scene&) {
        const long page = Map(kPage, PROT_READ, kPrivate | MAP_NORESERVE, -1);
        return page < 0 ? page : Call(SYS_mremap, page, kPage, kVast, MREMAP_MAYMOVE);
      },
      {ENOMEM});
  add("take a key for memory", [](const Scene&) { return Call(SYS_pkey_alloc, 0, 0); }, {ENOSPC});
  add("see which pages are there", [](const Scene&) {
    unsigned char there;
    const long page = Map(kPage, PROT_READ, kPrivate, -1);
    return page < 0 ? page : Call(SYS_mincore, page, kPage, &there);
  });
  add("bind memory to a node", [](const Scene&) { return Call(SYS_set_mempolicy, 0, nullptr, 0); });
  add("handle its own page faults", [](const Scene&) { return Call(SYS_userfaultfd, 1); });
}

}  // namespace postern::probe
