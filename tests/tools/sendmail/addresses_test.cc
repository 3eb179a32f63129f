#include "tools/sendmail/addresses.h"

#include <gtest/gtest.h>

namespace postern::sendmail {
namespace {

TEST(AddressesOf, TakesThemOutOfFieldsAsPeopleWriteThem) {
  const struct {
    const char* field;
    std::vector<std::string> addresses;
  } rows[] = {
      {" a@x", {"a@x"}},
      {" A <a@x>, b@y (who, me)", {"a@x", "b@y"}},
      {" \"Last, First\" <a@x>,\r\n\tb@y", {"a@x", "b@y"}},
      {" friends: a@x, B <b@y>;", {"a@x", "b@y"}},
      {" undisclosed-recipients:;", {}},
      {" \"odd local\"@x", {"\"odd local\"@x"}},
      {" \"a,b\"@x, \"q\\\"uote\"@x", {"\"a,b\"@x", "\"q\\\"uote\"@x"}},
      {" <\"odd local\"@x>", {"\"odd local\"@x"}},
      {" a @ x . y", {"a@x.y"}},
      {" John Smith", {"John Smith"}},
      {" u@[IPv6:2001:db8::1], v@[192.0.2.1]", {"u@[IPv6:2001:db8::1]", "v@[192.0.2.1]"}},
      {" <@relay,@other:a@x>", {"@relay,@other:a@x"}},
      {" Nobody <>", {}},
      {" a@x (a (nested) \\) comment), b@y", {"a@x", "b@y"}},
      {" a@x,, ,b@y,", {"a@x", "b@y"}},
      {" \"never closed, a@x", {"\"never closed, a@x"}},
      {" ", {}},
      {"", {}},
  };
  for (const auto& row : rows) EXPECT_EQ(AddressesOf(row.field), row.addresses) << row.field;
}

TEST(PathOf, ABareNameIsAnAccountOfTheDomain) {
  const struct {
    const char* address;
    const char* path;
  } rows[] = {
      {"a@X.Example", "<a@x.example>"},
      {"alice", "<alice@here.example>"},
      {"\"odd local\"", "<\"odd local\"@here.example>"},
      {"\"at@sign\"", "<\"at@sign\"@here.example>"},
      {"postmaster", "<postmaster>"},
      {"@relay.example:a@x.example", "<a@x.example>"},
      {"\xc3\xbc@x.example", "<\xc3\xbc@x.example>"},
  };
  for (const auto& row : rows) {
    const auto path = PathOf(row.address, "here.example");
    ASSERT_TRUE(path.has_value()) << row.address << ": " << path.error().reason;
    EXPECT_EQ(path->ToPath(), row.path);
  }
}

TEST(PathOf, RefusesWhatWouldNotStayOneCommand) {
  for (const char* address : {"", "John Smith", "a@x>\r\nRCPT TO:<b@y", "a@x> SIZE=1", "a@",
                              "a@b@c", "\"open@x", "a\n@x", "a@x y"}) {
    EXPECT_FALSE(PathOf(address, "here.example").has_value()) << address;
  }
}

}  // namespace
}  // namespace postern::sendmail
