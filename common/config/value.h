// common/config/value.h — one value of the configuration's text, with the place it was read at.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::config {

// Line and column, from 1; 0:0 stands for "not in the text".
struct Position {
  int line = 0;
  int column = 0;
  bool known() const { return line > 0; }
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct Member;

// A TOML value. Fractions, dates and times are kOther: no setting takes one.
struct Value {
  enum class Type { kFlag, kInteger, kText, kList, kTable, kOther };

  Position at;
  Type type = Type::kOther;
  bool flag = false;
  int64_t integer = 0;
  std::string text;
  std::vector<Value> items;
  std::vector<Member> members;  // in the order of the text

  static Value Flag(bool flag);
  static Value Integer(int64_t integer);
  static Value Text(std::string_view text);
  static Value List(std::vector<Value> items);
  static Value Table(std::vector<Member> members);

  // "a whole number", "a list", for problems.
  std::string_view TypeName() const;
  // The value as TOML on one line.
  std::string ToToml() const;
};

struct Member {
  std::string key;
  Position at;
  Value value;
};

// A TOML basic string with its quotes; what may not stand in one is escaped.
std::string Quoted(std::string_view text);

}  // namespace postern::config
