#include "common/io/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "common/io/scope.h"
#include "tests/testing/run_in_loop.h"
#include "tests/testing/status_matchers.h"

namespace postern::io {
namespace {

using test::IsOk;
using test::StatusIs;

class FileTest : public test::OnBothBackends {
 protected:
  void SetUp() override {
    OnBothBackends::SetUp();
    ASSERT_NE(::mkdtemp(name), nullptr);
    directory = UniqueFd(::open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    if (directory) std::filesystem::remove_all(name);
  }
  std::string Path(const char* file) const { return std::string(name) + "/" + file; }

  char name[30] = "/tmp/postern-io-XXXXXX";
  UniqueFd directory;
};
ON_BOTH_BACKENDS(FileTest);

Task<absl::Status> TryOpen(Loop& loop, int directory, const char* path, absl::Status& seen) {
  seen = (co_await OpenBeneath(loop, directory, path, O_RDONLY, 0, Deadline::Never())).status();
  co_return absl::OkStatus();
}

TEST_P(FileTest, OpensOnlyWhatIsBeneathWithoutLinks) {
  std::filesystem::create_directory(Path("inside"));
  UniqueFd(::open(Path("inside/file").c_str(), O_CREAT | O_WRONLY, 0600)).reset();
  std::filesystem::create_symlink("inside/file", Path("link"));
  std::filesystem::create_symlink("inside", Path("linked-directory"));
  const struct {
    const char* path;
    absl::StatusCode code;
  } rows[] = {
      {"inside/file", absl::StatusCode::kOk},
      {"inside/../inside/file", absl::StatusCode::kOk},
      {"link", absl::StatusCode::kInvalidArgument},  // ELOOP
      {"linked-directory/file", absl::StatusCode::kInvalidArgument},
      {"../x", absl::StatusCode::kUnknown},  // EXDEV
      {"inside/../../x", absl::StatusCode::kUnknown},
      {"/etc/passwd", absl::StatusCode::kUnknown},
      {"none", absl::StatusCode::kNotFound},
  };
  for (const auto& row : rows) {
    absl::Status seen;
    Run(TryOpen(*loop, directory.get(), row.path, seen));
    EXPECT_THAT(seen, StatusIs(row.code)) << row.path;
  }
}

Task<absl::Status> WriteThenRead(Loop& loop, int directory, size_t octets, std::string& read) {
  CO_ASSIGN_OR_RETURN(const UniqueFd file,
                      co_await OpenBeneath(loop, directory, "f", O_RDWR | O_CREAT | O_TRUNC, 0600,
                                           Deadline::Never()));
  const std::string bytes(octets, 'w');
  CO_RETURN_IF_ERROR(co_await WriteAndSync(loop, file.get(), bytes, 10));
  read.resize(octets + 1000);
  CO_ASSIGN_OR_RETURN(const size_t got, co_await ReadAt(loop, file.get(), read.data(), read.size(),
                                                        10, Deadline::Never()));
  read.resize(got);
  char octet;
  CO_ASSIGN_OR_RETURN(const size_t beyond, co_await ReadAt(loop, file.get(), &octet, 1,
                                                           octets + 5000, Deadline::Never()));
  EXPECT_EQ(beyond, 0u);
  CO_RETURN_IF_ERROR(co_await SyncFile(loop, file.get(), Sync::kAll, Deadline::Never()));
  co_return absl::OkStatus();
}

TEST_P(FileTest, ReadsWhatWasWrittenAndStopsAtTheEnd) {
  for (const size_t octets : {size_t{0}, size_t{1}, size_t{4096}, size_t{5'000'000}}) {
    std::string read;
    Run(WriteThenRead(*loop, directory.get(), octets, read));
    EXPECT_EQ(read, std::string(octets, 'w'));
  }
}

Task<absl::Status> WriteTo(Loop& loop, const char* path, std::string bytes, absl::Status& linked,
                           absl::Status& plain) {
  const UniqueFd file(::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  linked = co_await WriteAndSync(loop, file.get(), bytes, 0);
  plain = co_await WriteAt(loop, file.get(), bytes, 0, Deadline::Never());
  co_return absl::OkStatus();
}

TEST_P(FileTest, AFullDeviceIsResourceExhausted) {
  absl::Status linked;
  absl::Status plain;
  Run(WriteTo(*loop, "/dev/full", "x", linked, plain));
  EXPECT_THAT(linked, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(plain, StatusIs(absl::StatusCode::kResourceExhausted));
}

// A limit on the file's size lets the first part in and not the rest: the write is short, the link
// to the sync breaks, and the rest fails.
TEST_P(FileTest, AShortWriteIsContinuedAndItsFailureReported) {
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit unlimited;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = unlimited.rlim_max};
  absl::Status linked;
  absl::Status plain;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Run(WriteTo(*loop, Path("short").c_str(), std::string(150'000, 'x'), linked, plain));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
  std::signal(SIGXFSZ, before);
  EXPECT_THAT(linked, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(plain, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(std::filesystem::file_size(Path("short")), 100'000u);
}

Task<absl::Status> WriteManyLinked(Loop& loop, int directory, int files) {
  TaskScope scope;
  std::vector<UniqueFd> fds;
  for (int i = 0; i < files; ++i) {
    const std::string path = "m" + std::to_string(i);
    CO_ASSIGN_OR_RETURN(
        UniqueFd file, co_await OpenBeneath(loop, directory, path.c_str(), O_WRONLY | O_CREAT, 0600,
                                            Deadline::Never()));
    fds.push_back(std::move(file));
  }
  const std::string bytes(1000, 'x');
  // An odd number of single operations shifts the pairs over the ring's end.
  scope.Spawn(SyncFile(loop, fds[0].get(), Sync::kAll, Deadline::Never()));
  for (const UniqueFd& fd : fds) scope.Spawn(WriteAndSync(loop, fd.get(), bytes, 0));
  co_return co_await scope.JoinOrCancel();
}

TEST_P(FileTest, MorePairsThanTheRingHoldsAreAllWritten) {
  Run(WriteManyLinked(*loop, directory.get(), 100));
  for (int i = 0; i < 100; ++i) {
    const std::string file = "m" + std::to_string(i);
    EXPECT_EQ(std::filesystem::file_size(Path(file.c_str())), 1000u) << i;
  }
}

struct Names {
  absl::Status renamed_over;
  absl::Status renamed_replacing;
  absl::Status renamed_none;
  absl::Status linked;
  absl::Status linked_over;
  absl::Status unlinked;
  absl::Status unlinked_again;
};

Task<absl::Status> PlayWithNames(Loop& loop, int at, Names& seen) {
  const Deadline never = Deadline::Never();
  seen.renamed_over = co_await Rename(loop, at, "a", at, "b", false, never);
  seen.renamed_none = co_await Rename(loop, at, "none", at, "c", true, never);
  seen.linked_over = co_await Link(loop, at, "a", at, "b", never);
  seen.linked = co_await Link(loop, at, "a", at, "c", never);
  seen.renamed_replacing = co_await Rename(loop, at, "a", at, "b", true, never);
  seen.unlinked = co_await Unlink(loop, at, "b", never);
  seen.unlinked_again = co_await Unlink(loop, at, "b", never);
  co_return absl::OkStatus();
}

TEST_P(FileTest, NamesChangeAndAreNeverTakenUnasked) {
  for (const char* file : {"a", "b"}) {
    UniqueFd(::open(Path(file).c_str(), O_CREAT | O_WRONLY, 0600)).reset();
  }
  Names seen;
  Run(PlayWithNames(*loop, directory.get(), seen));
  EXPECT_THAT(seen.renamed_over, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(seen.renamed_none, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(seen.linked_over, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(seen.linked, IsOk());
  EXPECT_THAT(seen.renamed_replacing, IsOk());
  EXPECT_THAT(seen.unlinked, IsOk());
  EXPECT_THAT(seen.unlinked_again, StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace postern::io
