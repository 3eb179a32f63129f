// common/dns/name.h — a domain name in wire form: length-prefixed labels up to the root.
//
// Every octet is allowed in a label (RFC 2181 §11): whether a name is a host's is for others to
// say. Case is kept, and does not count when names are compared (RFC 4343).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/parse_error.h"

namespace postern::dns {

class Name {
 public:
  Name() : wire_(1, '\0') {}  // the root

  // Text with or without the dot at the end: "mx.example.org", "." for the root. "\." is a dot and
  // "\\" a backslash within a label, "\DDD" any octet in decimal (RFC 1035 §5.1).
  // Errors: an empty label, a label over 63 octets, a name over 255, a broken escape
  static Parsed<Name> FromText(std::string_view text);

  // Reads the name at `offset` of a message, following compression pointers, and sets `offset`
  // behind it. A pointer must lead to before the part of the name that it ends, so no loop is
  // possible, and at most kMaxPointerHops are followed.
  // Errors: the message ends within it, a forward pointer, an unknown label type, too long
  static Parsed<Name> Read(std::string_view message, size_t& offset);

  // The same form that FromText takes, without the dot at the end; "." for the root. Octets outside
  // printable ASCII are escaped, so it is safe to print.
  std::string ToText() const;
  // Uncompressed, with the root's zero octet; lives as long as the object.
  std::string_view wire() const { return wire_; }
  bool is_root() const { return wire_.size() == 1; }
  size_t label_count() const;  // without the root
  Name Lower() const;
  // Whether this is `ancestor` or below it.
  bool IsWithin(const Name& ancestor) const;

  // ASCII case does not count.
  friend bool operator==(const Name& a, const Name& b);

 private:
  std::string wire_;
};

}  // namespace postern::dns
