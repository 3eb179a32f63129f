// tests/daemons/qmgr/faulty_disk.h — a spool in memory that forgets what was not synced, and fails
// when it is told.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/io/event.h"
#include "daemons/qmgr/disk.h"

namespace postern::qmgr {

class FaultyDisk final : public Disk {
 public:
  // A disk keeps or loses so much at a time of what was not synced.
  static constexpr size_t kSectorOctets = 512;

  struct Content {
    std::string written;  // what a reader sees: the page cache
    std::string synced;   // what outlives a power cut
    bool name_synced = false;
    // Writes since the last sync, of which a power cut leaves any part.
    struct Piece {
      uint64_t offset;
      std::string bytes;
    };
    std::vector<Piece> unsynced;
  };

  // How a changing operation fails. A short write writes half. A sync that fails has lost what it
  // was to save (kError) or saved it and not said so (kShort); either way the next one says yes,
  // as the kernel does.
  enum class Fault { kNone, kError, kShort };

  FaultyDisk() { reads_released_.Set(); }

  // The n-th changing operation from now on (1: the next) fails so: creating, removing, writing,
  // syncing.
  void FailAt(int operation, Fault how, absl::Status status) {
    fail_at_ = operations_ + operation;
    how_ = how;
    status_ = std::move(status);
  }
  int operations() const { return operations_; }
  // The same for what only looks: opening, reading, listing, asking for sizes.
  void FailLookAt(int look, absl::Status status) {
    fail_look_at_ = looks_ + look;
    status_ = std::move(status);
  }
  int looks() const { return looks_; }
  // A file on a bad spot of the disk: every write and sync of it fails, those of the name so far
  // too.
  void BreakFile(std::string name, absl::Status status) {
    broken_ = std::move(name);
    broken_status_ = std::move(status);
  }
  // Called before each changing operation: what would a power cut leave here?
  void OnOperation(std::function<void()> callback) { on_operation_ = std::move(callback); }
  // Every changing operation fails, as on a disk that has gone read-only.
  void FailFromNowOn(absl::Status status) {
    fail_all_ = true;
    how_ = Fault::kError;
    status_ = std::move(status);
  }
  // Reads begin and do not end until they are released.
  void HoldReads() { reads_released_.Reset(); }
  void ReleaseReads() { reads_released_.Set(); }
  void SetFree(uint64_t octets) { free_ = octets; }

  // The disk as it would be after a power cut: only what was synced. `torn`: so many octets of what
  // was written and not synced are there as well.
  std::unique_ptr<FaultyDisk> AfterPowerCut(size_t torn) const {
    auto after = std::make_unique<FaultyDisk>();
    for (const auto& [name, content] : files_) {
      if (!content->name_synced) continue;
      std::string kept = content->synced;
      const std::string& written = content->written;
      if (written.size() > kept.size()) kept.resize(written.size(), '\0');
      size_t budget = torn;
      for (size_t i = 0; i < written.size() && budget > 0; ++i) {
        if (kept[i] != written[i]) {
          kept[i] = written[i];
          --budget;
        }
      }
      after->Put(name, std::move(kept));
    }
    return after;
  }
  // The same at its worst: of what was not synced — sectors of writes, creations, removals — that
  // is left for which `survives` says so.
  std::unique_ptr<FaultyDisk> AfterPowerCut(const std::function<bool()>& survives) const {
    auto after = std::make_unique<FaultyDisk>();
    for (const auto& [name, content] : removed_) {
      if (content->name_synced && survives()) after->Put(name, Remains(*content, survives));
    }
    for (const auto& [name, content] : files_) {
      if (content->name_synced || survives()) after->Put(name, Remains(*content, survives));
    }
    return after;
  }
  // As a copy: what the process left, page cache and all, when only it died.
  std::unique_ptr<FaultyDisk> Copy() const {
    auto copy = std::make_unique<FaultyDisk>();
    for (const auto& [name, content] : files_)
      copy->files_[name] = std::make_shared<Content>(*content);
    for (const auto& [name, content] : removed_)
      copy->removed_.emplace_back(name, std::make_shared<Content>(*content));
    return copy;
  }
  // A file that is there, all of it durable.
  void Put(const std::string& name, std::string bytes) {
    files_[name] = std::make_shared<Content>(Content{bytes, bytes, true, {}});
  }

  class File final : public DiskFile {
   public:
    File(FaultyDisk& disk, std::string name, std::shared_ptr<Content> content)
        : disk_(disk), name_(std::move(name)), content_(std::move(content)) {}
    io::Task<absl::Status> Write(std::string_view bytes, uint64_t offset) override {
      const Fault fault = disk_.Next();
      if (name_ == disk_.broken_) co_return disk_.broken_status_;
      if (fault == Fault::kError) co_return disk_.status_;
      Put(fault == Fault::kShort ? bytes.substr(0, bytes.size() / 2) : bytes, offset);
      if (fault == Fault::kShort) co_return disk_.status_;
      co_return absl::OkStatus();
    }
    io::Task<absl::Status> WriteAndSync(std::string_view bytes, uint64_t offset) override {
      CO_RETURN_IF_ERROR(co_await Write(bytes, offset));
      co_return co_await Sync();
    }
    io::Task<absl::Status> Sync() override {
      const Fault fault = disk_.Next();
      const bool broken = name_ == disk_.broken_;
      const std::vector<Content::Piece> pieces = std::exchange(content_->unsynced, {});
      if (fault == Fault::kError || broken) co_return broken ? disk_.broken_status_ : disk_.status_;
      if (content_->synced.size() < content_->written.size())
        content_->synced.resize(content_->written.size(), '\0');
      for (const Content::Piece& piece : pieces)
        Overlay(content_->synced, piece.offset, piece.bytes);
      if (fault == Fault::kShort) co_return disk_.status_;
      co_return absl::OkStatus();
    }
    io::Task<absl::StatusOr<size_t>> Read(char* to, size_t octets, uint64_t offset) override {
      if (disk_.NextLookFails()) co_return disk_.status_;
      if (!disk_.reads_released_.is_set())
        CO_RETURN_IF_ERROR(co_await disk_.reads_released_.Wait(io::Deadline::Never()));
      if (offset >= content_->written.size()) co_return size_t{0};
      const size_t got = std::min<size_t>(octets, content_->written.size() - offset);
      content_->written.copy(to, got, offset);
      co_return got;
    }
    absl::StatusOr<uint64_t> Octets() const override {
      if (disk_.NextLookFails()) return disk_.status_;
      return content_->written.size();
    }
    absl::StatusOr<int> OpenForReading() const override {
      if (disk_.NextLookFails()) return disk_.status_;
      const int fd = ::memfd_create("content", MFD_CLOEXEC);
      if (fd < 0) return ErrnoStatus(errno, "memfd");
      if (::pwrite(fd, content_->written.data(), content_->written.size(), 0) !=
          static_cast<ssize_t>(content_->written.size())) {
        ::close(fd);
        return DataLoss("memfd: short write");
      }
      return fd;
    }

   private:
    void Put(std::string_view bytes, uint64_t offset) {
      Overlay(content_->written, offset, bytes);
      content_->unsynced.push_back({offset, std::string(bytes)});
    }
    FaultyDisk& disk_;
    const std::string name_;
    std::shared_ptr<Content> content_;
  };

  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Create(const std::string& name,
                                                             uint64_t octets) override {
    if (Next() != Fault::kNone) co_return status_;
    if (files_.contains(name)) co_return absl::AlreadyExistsError(name);
    auto content = std::make_shared<Content>();
    content->written.resize(octets, '\0');
    files_[name] = content;
    co_return std::make_unique<File>(*this, name, content);
  }
  io::Task<absl::StatusOr<std::unique_ptr<DiskFile>>> Open(const std::string& name) override {
    if (NextLookFails()) co_return status_;
    const auto found = files_.find(name);
    if (found == files_.end()) co_return absl::NotFoundError(name);
    co_return std::make_unique<File>(*this, name, found->second);
  }
  io::Task<absl::Status> Remove(const std::string& name) override {
    if (Next() != Fault::kNone) co_return status_;
    const auto found = files_.find(name);
    if (found == files_.end()) co_return absl::NotFoundError(name);
    removed_.emplace_back(name, found->second);
    files_.erase(found);
    co_return absl::OkStatus();
  }
  io::Task<absl::Status> SyncDirectory(const std::string& directory) override {
    if (Next() != Fault::kNone) co_return status_;
    for (auto& [name, content] : files_) {
      if (name.starts_with(directory + "/")) content->name_synced = true;
    }
    std::erase_if(removed_,
                  [&](const auto& one) { return one.first.starts_with(directory + "/"); });
    co_return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& directory) override {
    if (NextLookFails()) return status_;
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) {
      if (name.starts_with(directory + "/")) names.push_back(name.substr(directory.size() + 1));
    }
    return names;
  }
  absl::StatusOr<uint64_t> FreeOctets() override {
    if (NextLookFails()) return status_;
    return free_;
  }

  std::map<std::string, std::shared_ptr<Content>> files_;

 private:
  static void Overlay(std::string& on, uint64_t offset, std::string_view bytes) {
    if (on.size() < offset + bytes.size()) on.resize(offset + bytes.size(), '\0');
    on.replace(offset, bytes.size(), bytes);
  }
  static std::string Remains(const Content& content, const std::function<bool()>& survives) {
    std::string kept = content.synced;
    for (const Content::Piece& piece : content.unsynced) {
      std::string_view left = piece.bytes;
      for (uint64_t at = piece.offset; !left.empty();) {
        // To the end of the sector of the file it is in.
        const size_t octets = std::min<size_t>(left.size(), kSectorOctets - at % kSectorOctets);
        if (survives()) Overlay(kept, at, left.substr(0, octets));
        at += octets;
        left.remove_prefix(octets);
      }
    }
    return kept;
  }
  Fault Next() {
    if (on_operation_) on_operation_();
    ++operations_;
    if (operations_ != fail_at_ && !fail_all_) return Fault::kNone;
    return how_;
  }
  bool NextLookFails() { return ++looks_ == fail_look_at_; }

  int operations_ = 0;
  int fail_at_ = -1;
  bool fail_all_ = false;
  int looks_ = 0;
  int fail_look_at_ = -1;
  Fault how_ = Fault::kNone;
  absl::Status status_;
  std::string broken_;
  absl::Status broken_status_;
  std::function<void()> on_operation_;
  io::Event reads_released_;
  uint64_t free_ = uint64_t{1} << 40;
  // Gone, unless the power goes before the directory is synced.
  std::vector<std::pair<std::string, std::shared_ptr<Content>>> removed_;
};

}  // namespace postern::qmgr
