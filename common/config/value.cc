#include "common/config/value.h"

#include <algorithm>

namespace postern::config {
namespace {

bool IsBareKey(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

}  // namespace

Value Value::Flag(bool flag) {
  Value value;
  value.type = Type::kFlag;
  value.flag = flag;
  return value;
}

Value Value::Integer(int64_t integer) {
  Value value;
  value.type = Type::kInteger;
  value.integer = integer;
  return value;
}

Value Value::Text(std::string_view text) {
  Value value;
  value.type = Type::kText;
  value.text = text;
  return value;
}

Value Value::List(std::vector<Value> items) {
  Value value;
  value.type = Type::kList;
  value.items = std::move(items);
  return value;
}

Value Value::Table(std::vector<Member> members) {
  Value value;
  value.type = Type::kTable;
  value.members = std::move(members);
  return value;
}

std::string_view Value::TypeName() const {
  switch (type) {
    case Type::kFlag:
      return "true or false";
    case Type::kInteger:
      return "a whole number";
    case Type::kText:
      return "a text";
    case Type::kList:
      return "a list";
    case Type::kTable:
      return "a table";
    case Type::kOther:
      return "a fraction or a date";
  }
  return "";
}

std::string Value::ToToml() const {
  std::string toml;
  switch (type) {
    case Type::kFlag:
      return flag ? "true" : "false";
    case Type::kInteger:
      return std::to_string(integer);
    case Type::kText:
      return Quoted(text);
    case Type::kList:
      for (const Value& item : items) toml.append(toml.empty() ? "" : ", ").append(item.ToToml());
      return "[" + toml + "]";
    case Type::kTable:
      for (const Member& member : members) {
        toml.append(toml.empty() ? " " : ", ");
        toml.append(IsBareKey(member.key) ? member.key : Quoted(member.key));
        toml.append(" = ").append(member.value.ToToml());
      }
      return toml.empty() ? "{}" : "{" + toml + " }";
    case Type::kOther:
      break;
  }
  return "0.0";
}

std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (octet < 0x20 || octet == 0x7f) {
      quoted += "\\u00";
      quoted += kHex[octet >> 4];
      quoted += kHex[octet & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace postern::config
