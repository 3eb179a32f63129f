#include "daemons/master/id_map.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include "common/base/unique_fd.h"

namespace postern::master {
namespace {

constexpr size_t kMaxMapOctets = 16u << 10;  // the kernel's: 340 lines, 4 KiB when written

// The next number of the line; false if there is none.
bool TakeNumber(std::string_view& line, uint32_t& number) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  return true;
}

absl::StatusOr<std::string> ReadMap(const char* path) {
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return ErrnoStatus(errno, "open ", std::string_view(path));
  std::string text(kMaxMapOctets, '\0');
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return ErrnoStatus(errno, "read ", std::string_view(path));
  text.resize(static_cast<size_t>(got));
  return text;
}

absl::Status WriteMap(pid_t pid, const char* name) {
  ASSIGN_OR_RETURN(const std::string own,
                   ReadMap(StrCat("/proc/self/", std::string_view(name)).c_str()));
  ASSIGN_OR_RETURN(const std::string map, IdentityMap(own));
  const std::string path = StrCat("/proc/", pid, '/', std::string_view(name));
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return ErrnoStatus(errno, "open ", path);
  if (::write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size()))
    return ErrnoStatus(errno, "write ", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> IdentityMap(std::string_view own) {
  std::string map;
  while (!own.empty()) {
    std::string_view line = own.substr(0, own.find('\n'));
    own.remove_prefix(std::min(line.size() + 1, own.size()));
    std::array<uint32_t, 3> numbers;  // first id inside, first id outside, how many
    for (uint32_t& number : numbers) {
      if (!TakeNumber(line, number))
        return InvalidArgument("a map of ids has three numbers a line");
    }
    map += StrCat(numbers[0], ' ', numbers[0], ' ', numbers[2], '\n');
  }
  if (map.empty()) return InvalidArgument("a map of ids is empty");
  return map;
}

absl::Status WriteIdMaps(pid_t pid) {
  RETURN_IF_ERROR(WriteMap(pid, "gid_map"));
  return WriteMap(pid, "uid_map");
}

}  // namespace postern::master
