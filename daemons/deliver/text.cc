#include "daemons/deliver/text.h"

#include "common/mime/date.h"
#include "common/mime/header_edit.h"

namespace postern::deliver {
namespace {

constexpr std::string_view kFrom = "From ";

// Whether `line`, as far as it is known, is or may become ">...>From ".
enum class FromLike { kYes, kNo, kMaybe };
FromLike LooksLikeFrom(std::string_view line) {
  const size_t quotes = line.find_first_not_of('>');
  if (quotes == std::string_view::npos) return FromLike::kMaybe;
  const std::string_view rest = line.substr(quotes);
  if (rest.starts_with(kFrom)) return FromLike::kYes;
  return kFrom.starts_with(rest) ? FromLike::kMaybe : FromLike::kNo;
}

std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<uint8_t>(c) < 32 || c == 127) c = '?';
  }
  return line;
}

}  // namespace

void CrlfToLf::Append(std::string_view piece, std::string& out) {
  while (!piece.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (piece.front() != '\n') out += '\r';
    }
    const size_t cr = piece.find('\r');
    out += piece.substr(0, cr);
    if (cr == std::string_view::npos) return;
    after_cr_ = true;
    piece.remove_prefix(cr + 1);
  }
}

void CrlfToLf::Finish(std::string& out) {
  if (after_cr_) out += '\r';
  after_cr_ = false;
}

std::string DeliveryFields(std::string_view sender, std::string_view recipient) {
  return "Return-Path: <" + OneLine(sender) + ">\nDelivered-To: " + OneLine(recipient) + '\n';
}

std::string WithoutReturnPaths(std::string_view front) {
  const mime::SplitMessage split = mime::SplitHeader(front, kMaxHeader);
  if (split.cut) return std::string(front);
  std::string edited = mime::WithoutReturnPath(split.header);
  edited += front.substr(split.header.size());
  return edited;
}

std::string FromLine(std::string_view sender, int64_t unix_seconds) {
  std::string name = OneLine(sender.empty() ? "MAILER-DAEMON" : sender);
  for (char& c : name) {
    if (c == ' ') c = '_';
  }
  // "Tue, 24 Nov 2026 09:00:00 +0000" as asctime writes it: "Tue Nov 24 09:00:00 2026".
  const std::string date = mime::FormatDate(unix_seconds);
  const size_t day_end = date.find(' ', 5);
  std::string day = date.substr(5, day_end - 5);
  if (day.size() == 1) day = ' ' + day;
  return "From " + name + ' ' + date.substr(0, 3) + ' ' + date.substr(day_end + 1, 3) + ' ' + day +
         ' ' + date.substr(day_end + 10, 8) + ' ' + date.substr(day_end + 5, 4) + '\n';
}

void MboxQuoter::Append(std::string_view piece, std::string& out) {
  while (!piece.empty()) {
    if (line_start_) {
      held_ += piece.front();
      piece.remove_prefix(1);
      const bool ended = held_.back() == '\n';
      const FromLike looks = LooksLikeFrom(held_);
      if (looks == FromLike::kMaybe && !ended) continue;
      if (looks == FromLike::kYes) out += '>';
      out += held_;
      held_.clear();
      line_start_ = ended;
      continue;
    }
    const size_t lf = piece.find('\n');
    const std::string_view line = piece.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    out += line;
    piece.remove_prefix(line.size());
    line_start_ = lf != std::string_view::npos;
  }
}

void MboxQuoter::Finish(std::string& out) {
  out += held_;
  if (!held_.empty() || !line_start_) out += '\n';
  held_.clear();
  out += '\n';  // the empty line between messages
  line_start_ = true;
}

}  // namespace postern::deliver
