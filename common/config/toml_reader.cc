#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.3 asserts (and without assertions tells the optimiser to assume) that no value starts
// with '}', yet comes there with "[}". Looking on instead it reports the error, so its assertions
// are off, but not turned into assumptions.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include "common/config/toml_reader.h"

#include <toml++/impl/forward_declarations.h>
// Its whitespace test marks what it reaches for U+00A1 and others as unreachable, where it means
// "no": these functions are read with that meaning.
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE return false
#include <toml++/impl/unicode.h>
#undef TOML_UNREACHABLE
#define TOML_UNREACHABLE __builtin_unreachable()
#include <toml++/toml.h>

#include <algorithm>

namespace postern::config {
namespace {

Position PositionOf(const toml::source_region& region) {
  return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

Value Convert(const toml::node& node);

Value ConvertTable(const toml::table& table) {
  Value value = Value::Table({});
  for (const auto& [key, node] : table)
    value.members.push_back(
        Member{std::string(key.str()), PositionOf(key.source()), Convert(node)});
  // toml++ keeps members sorted by name; problems are told in the order of the text.
  std::sort(value.members.begin(), value.members.end(),
            [](const Member& a, const Member& b) { return a.at < b.at; });
  return value;
}

Value ConvertBare(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::boolean:
      return Value::Flag(node.as_boolean()->get());
    case toml::node_type::integer:
      return Value::Integer(node.as_integer()->get());
    case toml::node_type::string:
      return Value::Text(node.as_string()->get());
    case toml::node_type::table:
      return ConvertTable(*node.as_table());
    case toml::node_type::array: {
      Value list = Value::List({});
      for (const toml::node& item : *node.as_array()) list.items.push_back(Convert(item));
      return list;
    }
    default:
      return Value();
  }
}

Value Convert(const toml::node& node) {
  Value value = ConvertBare(node);
  value.at = PositionOf(node.source());
  return value;
}

}  // namespace

Syntax ReadToml(std::string_view text) {
  Syntax syntax;
  const toml::parse_result result = toml::parse(text, std::string_view());
  if (!result) {
    syntax.at = PositionOf(result.error().source());
    syntax.reason = result.error().description();
    return syntax;
  }
  syntax.ok = true;
  syntax.document = ConvertTable(result.table());
  return syntax;
}

}  // namespace postern::config
