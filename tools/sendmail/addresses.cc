#include "tools/sendmail/addresses.h"

#include <utility>

#include "common/base/escape.h"

namespace postern::sendmail {
namespace {

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// One pass over a field.
class Reader {
 public:
  std::vector<std::string> Read(std::string_view field) {
    for (size_t i = 0; i < field.size(); ++i) {
      if (field[i] == '\\' && (quoted_ || comment_ > 0) && i + 1 < field.size()) {
        if (comment_ == 0) Current().append(field.substr(i, 2));
        ++i;
      } else {
        Take(field[i]);
      }
    }
    Finish();
    return std::move(addresses_);
  }

 private:
  std::string& Current() { return in_brackets_ ? bracketed_ : word_; }

  void Take(char c) {
    if (comment_ > 0) {
      comment_ += c == '(' ? 1 : c == ')' ? -1 : 0;
    } else if (c == '"') {
      quoted_ = !quoted_;
      Current() += c;
    } else if (quoted_) {
      if (c != '\r' && c != '\n') Current() += c;
    } else if (c == '(') {
      ++comment_;
    } else if (in_literal_ || c == '[') {
      in_literal_ = c != ']';
      Current() += c;
    } else if (c == '<' && !in_brackets_) {
      in_brackets_ = had_brackets_ = true;
    } else if (c == '>') {
      in_brackets_ = false;
    } else if (in_brackets_) {
      if (!IsSpace(c)) bracketed_ += c;  // commas and colons too: a source route has them
    } else if (c == ':') {
      word_.clear();  // a group's name
    } else if (c == ',' || c == ';') {
      Finish();
    } else {
      TakeBare(c);
    }
  }

  // Space around '@' and '.' goes (RFC 5322 §4.4); elsewhere it stays, so that two words do not
  // become an account nobody named.
  void TakeBare(char c) {
    if (IsSpace(c)) {
      pending_space_ = !word_.empty();
      return;
    }
    const bool glued = c == '@' || c == '.' || word_.ends_with('@') || word_.ends_with('.');
    if (std::exchange(pending_space_, false) && !glued) word_ += ' ';
    word_ += c;
  }

  void Finish() {
    std::string& chosen = had_brackets_ ? bracketed_ : word_;
    if (!chosen.empty()) addresses_.push_back(std::move(chosen));
    word_.clear();
    bracketed_.clear();
    in_brackets_ = had_brackets_ = pending_space_ = false;
  }

  std::vector<std::string> addresses_;
  std::string word_;  // the address, or a name
  std::string bracketed_;
  bool quoted_ = false;
  bool in_literal_ = false;  // [192.0.2.1]
  bool in_brackets_ = false;
  bool had_brackets_ = false;
  bool pending_space_ = false;
  int comment_ = 0;
};

}  // namespace

std::vector<std::string> AddressesOf(std::string_view field) { return Reader().Read(field); }

Parsed<smtp::ForwardPath> PathOf(const std::string& address, const std::string& domain) {
  // The last '@' outside quotes decides; a quoted one alone is an account's name.
  const size_t at = address.rfind('@');
  const bool bare = at == std::string::npos || (address.ends_with('"') && address.starts_with('"'));
  const std::string path =
      "<" + address + (bare && address != "postmaster" ? "@" + domain : "") + ">";
  std::string_view left = path;
  Parsed<smtp::ForwardPath> parsed = smtp::TakeForwardPath(left, smtp::Utf8::kAllowed);
  if (parsed.has_value() && left.empty()) return parsed;
  return Malformed(Escaped(address) + " is no address: " +
                   (parsed.has_value() ? std::string("something follows it")
                                       : std::string(parsed.error().reason)));
}

}  // namespace postern::sendmail
