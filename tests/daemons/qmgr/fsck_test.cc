#include "daemons/qmgr/fsck.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <filesystem>
#include <fstream>

#include "common/base/queue_id.h"
#include "common/base/unique_fd.h"
#include "daemons/qmgr/contents.h"
#include "tests/daemons/qmgr/store_testing.h"

namespace postern::qmgr {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A spool on a real disk, made of files in memory, and damaged by the test.
class Fsck : public ::testing::Test {
 protected:
  Fsck() {
    char name[] = "/tmp/postern-fsck-XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    spool_ = name;
    fs::create_directories(spool_ / "log");
    fs::create_directories(spool_ / "content");
  }
  ~Fsck() override { fs::remove_all(spool_); }

  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(spool_ / name, std::ios::binary) << bytes;
  }
  std::string Read(const std::string& name) const {
    std::ifstream in(spool_ / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  void Flip(const std::string& name, size_t octet) const {
    std::string bytes = Read(name);
    bytes.at(octet) = static_cast<char>(bytes.at(octet) ^ 0x40);
    Write(name, bytes);
  }
  // What a store left after `messages` messages in segments of kSmall, some of them sealed.
  void FillWith(uint64_t messages) {
    FaultyDisk disk;
    Outcome outcome;
    const auto life = [&](Store& store) { return CommitMany(store, 1, messages, outcome); };
    RunTask(WithStore(disk, life));
    for (const auto& [name, content] : disk.files_) Write(name, content->written);
  }
  SpoolReport Check() const {
    absl::StatusOr<SpoolReport> report = CheckSpool(spool_);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : SpoolReport{};
  }
  // "damage: where: what; consequence" of each, a line each.
  static std::string Text(const SpoolReport& report) {
    std::string text;
    for (const Finding& finding : report.findings) {
      text +=
          StrCat(finding.weight == Finding::Weight::kDamage ? "damage: " : "note: ", finding.where,
                 ": ", finding.what, "; ", finding.consequence, "\n");
    }
    return text;
  }

  fs::path spool_;
};

constexpr const char* kFirst = "log/000000000001.seg";

TEST_F(Fsck, AWholeSpoolIsSound) {
  FillWith(120);
  const SpoolReport report = Check();
  EXPECT_EQ(Text(report), "");
  EXPECT_FALSE(report.damaged());
  EXPECT_EQ(report.messages, 120u);
  EXPECT_EQ(report.records, 120u);
  EXPECT_GT(report.segments, 3u);
}

TEST_F(Fsck, AnEmptySpoolIsSound) {
  EXPECT_EQ(Text(Check()), "");
  SegmentMaker segment(1);
  Write(segment.name(), segment.Bytes(4096));
  EXPECT_EQ(Text(Check()), "");
}

TEST_F(Fsck, NoOctetOfARecordMayChangeUnseen) {
  SegmentMaker segment(1);
  segment.Message(7);
  const std::string whole = segment.Bytes();
  // The octets that nobody reads: reserved, and padding to the alignment.
  const Parsed<RecordHeader> header =
      DecodeRecordHeader(std::string_view(whole).substr(kSegmentHeaderOctets));
  ASSERT_TRUE(header.has_value());
  const size_t used =
      kSegmentHeaderOctets + kRecordHeaderOctets + header->body_octets + header->content_octets;
  segment.Message(8);
  Write(segment.name(), segment.Bytes(4096));
  ASSERT_EQ(Text(Check()), "");
  for (size_t octet = 0; octet < used; ++octet) {
    if (octet >= kSegmentHeaderOctets + 5 && octet < kSegmentHeaderOctets + 8) continue;
    Write(segment.name(), segment.Bytes(4096));
    Flip(segment.name(), octet);
    EXPECT_TRUE(Check().damaged()) << octet;
  }
}

TEST_F(Fsck, DamageBeforeWholeRecordsIsNoTornEnd) {
  SegmentMaker segment(1);
  segment.Message(1);
  const size_t second = segment.Bytes().size();
  segment.Message(2).Message(3);
  Write(segment.name(), segment.Bytes(8192));
  Flip(segment.name(), second + kRecordHeaderOctets + 3);
  const SpoolReport report = Check();
  EXPECT_TRUE(report.damaged());
  EXPECT_THAT(Text(report), HasSubstr(StrCat("damage: log/000000000001.seg at octet ", second)));
  EXPECT_THAT(Text(report), HasSubstr("whole records lie behind it"));
  EXPECT_EQ(report.messages, 1u);
  EXPECT_EQ(report.records, 2u);
}

TEST_F(Fsck, ATornEndIsAsItShouldBeAfterACrash) {
  SegmentMaker segment(1);
  segment.Message(1);
  const size_t whole = segment.Bytes().size();
  segment.Message(2);
  std::string torn = segment.Bytes().substr(0, segment.Bytes().size() - 30);
  torn.resize(8192, '\0');
  Write(segment.name(), torn);
  const SpoolReport report = Check();
  EXPECT_FALSE(report.damaged());
  EXPECT_THAT(Text(report),
              HasSubstr(StrCat("note: log/000000000001.seg at octet ", whole, ": a torn end")));
  EXPECT_EQ(report.messages, 1u);
}

TEST_F(Fsck, WhatIsMissingAtTheEndOfASegmentShowsInTheNext) {
  SegmentMaker first(1);
  first.Message(1);
  const std::string kept = first.Bytes(4096);
  SegmentMaker second(2, 3);  // records 1 and 2 came before
  second.Message(3);
  Write(first.name(), kept);
  Write(second.name(), second.Bytes(4096));
  EXPECT_THAT(Text(Check()), HasSubstr("damage: log/000000000002.seg: it begins with record 3, and "
                                       "the segment before ends with 1"));
}

TEST_F(Fsck, ContentDamagedInASealedSegmentNamesTheMessage) {
  FillWith(120);
  // The first record of a sealed segment: its content lies behind its body.
  const std::string bytes = Read(kFirst);
  const Parsed<RecordHeader> header =
      DecodeRecordHeader(std::string_view(bytes).substr(kSegmentHeaderOctets));
  ASSERT_TRUE(header.has_value());
  Flip(kFirst, kSegmentHeaderOctets + kRecordHeaderOctets + header->body_octets + 2);
  const SpoolReport report = Check();
  EXPECT_THAT(Text(report), HasSubstr(StrCat("at octet 64: the content of message ",
                                             QueueId(header->queue_id).ToString(), " is damaged")));
  EXPECT_EQ(report.messages, 120u) << "the index has what is known of it";
}

TEST_F(Fsck, ADamagedIndexIsANote) {
  FillWith(120);
  Flip(kFirst, Read(kFirst).size() - 20);
  const SpoolReport report = Check();
  EXPECT_FALSE(report.damaged()) << Text(report);
  EXPECT_EQ(Text(report),
            "note: log/000000000001.seg: its index is damaged; a start reads it record by record "
            "instead\n");
  EXPECT_EQ(report.messages, 120u);
}

TEST_F(Fsck, SegmentsThatAreNoneAreNamed) {
  SegmentMaker second(2);
  second.Message(1);
  Write("log/000000000003.seg", second.Bytes());
  Write("log/000000000004.seg", "something else");
  Write("log/000000000005.seg", std::string(4096, '\0'));
  Write("log/notes.txt", "mine");
  fs::create_directory(spool_ / "log/000000000006.seg");
  fs::create_symlink("/etc/passwd", spool_ / "log/000000000007.seg");
  const std::string text = Text(Check());
  EXPECT_THAT(text, HasSubstr("damage: log/000000000003.seg: it says it is segment 2"));
  EXPECT_THAT(text, HasSubstr("damage: log/000000000004.seg: its header is damaged"));
  EXPECT_THAT(text, HasSubstr("note: log/000000000005.seg: made but never written to"));
  EXPECT_THAT(text, HasSubstr("note: log/notes.txt: not a segment of ours"));
  EXPECT_THAT(text, HasSubstr("damage: log/000000000006.seg: not a regular file"));
  EXPECT_THAT(text, HasSubstr("damage: log/000000000007.seg: not a regular file"));
}

TEST_F(Fsck, ContentsAreComparedWithTheirMessages) {
  const auto in_file = [](uint64_t octets) {
    MessageRecord record = RecordOf(1);
    record.in_file = true;
    record.content_octets = octets;
    return record;
  };
  const uint64_t missing = QueueId::Of(1'767'225'600'000, 1, 1).value();
  const uint64_t shorter = missing + 1;
  const uint64_t whole = missing + 2;
  const uint64_t orphan = missing + 3;
  SegmentMaker segment(1);
  for (const uint64_t id : {missing, shorter, whole})
    segment.Add(RecordType::kMessage, id, Encoded(in_file(1000)));
  Write(segment.name(), segment.Bytes(8192));
  Write(ContentName(shorter), std::string(999, 'x'));
  Write(ContentName(whole), std::string(1000, 'x'));
  Write(ContentName(orphan), "x");
  Write("content/README", "mine");
  const SpoolReport report = Check();
  EXPECT_EQ(report.contents, 2u);
  const std::string text = Text(report);
  EXPECT_THAT(text, HasSubstr(StrCat("damage: ", ContentName(missing), ": it is missing")));
  EXPECT_THAT(text, HasSubstr(StrCat("damage: ", ContentName(shorter), ": it has 999 octets")));
  EXPECT_THAT(text,
              HasSubstr(StrCat("note: ", ContentName(orphan), ": the content of no message")));
  EXPECT_THAT(text, HasSubstr("note: content/README: not a content of ours"));
  EXPECT_EQ(text.find(ContentName(whole)), text.npos);
}

TEST_F(Fsck, WhatTheLogSaysLaterCounts) {
  AttemptRecord both;
  both.recipients.resize(2);
  both.recipients[0].done = both.recipients[1].done = true;
  both.recipients[1].index = 1;
  SegmentMaker segment(1);
  segment.Message(1).Message(2).Message(3);
  segment.Add(RecordType::kRemove, 1, "").Add(RecordType::kAttempt, 2, Encoded(both));
  segment.Add(RecordType::kHold, 3, Encoded(HoldRecord{.reason = "because"}));
  segment.Add(RecordType::kRelease, 3, "");
  Write(segment.name(), segment.Bytes(8192));
  const SpoolReport report = Check();
  EXPECT_FALSE(report.damaged()) << Text(report);
  EXPECT_EQ(report.messages, 2u);
  EXPECT_THAT(Text(report), HasSubstr("all its recipients are done"));
}

TEST_F(Fsck, ASpoolInUseIsRefused) {
  Write("lock", "");
  const UniqueFd lock(::open((spool_ / "lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const absl::StatusOr<SpoolReport> report = CheckSpool(spool_);
  EXPECT_TRUE(absl::IsFailedPrecondition(report.status())) << report.status();
  EXPECT_TRUE(absl::IsNotFound(CheckSpool(spool_ / "nowhere").status()));
}

}  // namespace
}  // namespace postern::qmgr
