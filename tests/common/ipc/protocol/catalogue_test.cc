// Every message of every edge: in its table, at each of its bounds, and fitting its edge.
#include "common/ipc/protocol/catalogue.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <string>

#include "common/ipc/codec.h"

namespace postern::protocol {
namespace {

TEST(Catalogue, HasOneMessageForEachRowOfEachTable) {
  std::set<std::string> names;
  ForEachEdge([&](const ipc::Edge& edge, auto messages) {
    EXPECT_TRUE(names.insert(edge.name).second) << edge.name;
    std::set<int> in_table;
    for (const ipc::Rule& rule : edge.rules) {
      EXPECT_TRUE(in_table.insert(rule.type).second) << edge.name << " " << int{rule.type};
      EXPECT_TRUE(rule.to == ipc::kStay || rule.to < 16) << edge.name << " " << int{rule.type};
    }
    std::set<int> in_list;
    messages.ForEach([&]<class M>(std::type_identity<M>) {
      EXPECT_TRUE(in_list.insert(static_cast<uint8_t>(M::kType)).second)
          << edge.name << " " << int{static_cast<uint8_t>(M::kType)};
    });
    EXPECT_EQ(in_table, in_list) << edge.name;
  });
}

// Visits the bounded fields of a message one after the other; the `chosen` one is set to its bound
// and `beyond` more.
class BoundSetter {
 public:
  BoundSetter(int chosen, uint64_t beyond) : chosen_(chosen), beyond_(beyond) {}
  int fields() const { return at_; }
  const std::string& name() const { return name_; }

  template <class T>
  void operator()(const char* name, T& value, uint64_t bound = 0, uint64_t element_bound = 0) {
    Set(name, value, bound, element_bound);
  }

 private:
  bool IsChosen(const char* name) {
    if (at_++ != chosen_) return false;
    name_ = name;
    return true;
  }
  template <class T>
  void Set(const char* name, T& value, uint64_t bound, uint64_t element_bound) {
    if constexpr (ipc::HasFields<T>) {
      T::Fields(*this, value);
    } else if constexpr (ipc::internal::kIsText<T>) {
      if (IsChosen(name)) value = T(texts_.emplace_back(bound + beyond_, 't'));
    } else if constexpr (ipc::internal::kIsVector<T>) {
      if (IsChosen(name)) value.resize(bound + beyond_);
      // And what one element may be, as the first of them.
      if (value.empty()) value.resize(1);
      Set(name, value.front(), element_bound, 0);
    } else if constexpr (std::is_enum_v<T>) {
      if (IsChosen(name)) value = static_cast<T>(bound + beyond_);
    }
  }
  const int chosen_;
  const uint64_t beyond_;
  int at_ = 0;
  std::string name_;
  std::deque<std::string> texts_;
};

template <class M>
int CheckBounds(const std::string& label) {
  M counted;
  BoundSetter counter(-1, 0);
  M::Fields(counter, counted);
  for (int field = 0; field < counter.fields(); ++field) {
    M at_bound;
    BoundSetter set(field, 0);
    M::Fields(set, at_bound);
    std::string bytes;
    EXPECT_TRUE(ipc::Encode(at_bound, bytes)) << label << " " << set.name();
    const Parsed<M> read = ipc::Decode<M>(bytes);
    EXPECT_TRUE(read.has_value()) << label << " " << set.name();
    std::string again;
    if (read.has_value()) EXPECT_TRUE(ipc::Encode(*read, again) && again == bytes) << label;

    M beyond;
    BoundSetter exceed(field, 1);
    M::Fields(exceed, beyond);
    bytes.clear();
    EXPECT_FALSE(ipc::Encode(beyond, bytes)) << label << " " << exceed.name();
    EXPECT_FALSE(ipc::Decode<M>(bytes).has_value()) << label << " " << exceed.name();
  }
  return counter.fields();
}

TEST(Catalogue, EveryBoundOfEveryMessageHoldsAtItsEdgeBothWays) {
  int fields = 0;
  ForEachEdge([&](const ipc::Edge& edge, auto messages) {
    messages.ForEach([&]<class M>(std::type_identity<M>) {
      fields += CheckBounds<M>(std::string(edge.name) + " type " +
                               std::to_string(static_cast<uint8_t>(M::kType)));
    });
  });
  EXPECT_GT(fields, 150);
}

TEST(Catalogue, EveryMessageDecodesFromItsOwnOctetsOnly) {
  ForEachEdge([](const ipc::Edge& edge, auto messages) {
    messages.ForEach([&]<class M>(std::type_identity<M>) {
      M message{};
      BoundSetter one_of_each(-1, 0);
      M::Fields(one_of_each, message);
      std::string bytes;
      ASSERT_TRUE(ipc::Encode(message, bytes));
      for (size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(ipc::Decode<M>(std::string_view(bytes).substr(0, length)).has_value())
            << edge.name << " " << length;
      }
      EXPECT_FALSE(ipc::Decode<M>(bytes + '\0').has_value()) << edge.name;
    });
  });
}

// The largest a message can be, from its bounds.
class Measure {
 public:
  uint64_t octets() const { return octets_; }
  template <class T>
  void operator()(const char*, T& value, uint64_t bound = 0, uint64_t element_bound = 0) {
    octets_ += Of(value, bound, element_bound);
  }

 private:
  template <class T>
  static uint64_t Of(T& value, uint64_t bound, uint64_t element_bound) {
    if constexpr (ipc::HasFields<T>) {
      Measure inner;
      T::Fields(inner, value);
      return inner.octets();
    } else if constexpr (ipc::internal::kIsText<T>) {
      return 4 + bound;
    } else if constexpr (ipc::internal::kIsVector<T>) {
      typename T::value_type element{};
      return 4 + bound * Of(element, element_bound, 0);
    } else {
      return sizeof(T);
    }
  }
  uint64_t octets_ = 0;
};

TEST(Catalogue, AMessageFitsItsEdgeEvenIfAllOfItIsAsLargeAsItMayBe) {
  // These are bounded by what the sender puts into them, piece by piece or page by page; what is
  // larger all the same is refused by Channel::Send.
  const std::map<std::string, std::set<int>> paged = {
      {"control", {control::kConfigure, control::kReload}},
      {"admin", {admin::kListed}},
      {"smtpc-resolvd", {dns::kAnswer}}};
  ForEachEdge([&](const ipc::Edge& edge, auto messages) {
    messages.ForEach([&]<class M>(std::type_identity<M>) {
      const int type = static_cast<uint8_t>(M::kType);
      M message{};
      Measure measure;
      M::Fields(measure, message);
      const auto exempt = paged.find(edge.name);
      const bool may_be_larger = exempt != paged.end() && exempt->second.contains(type);
      EXPECT_EQ(measure.octets() > edge.max_payload_octets, may_be_larger)
          << edge.name << " type " << type << ": " << measure.octets() << " of "
          << edge.max_payload_octets;
    });
  });
}

TEST(Catalogue, ADescriptorsKindIsNamedWhereASiblingSendsThem) {
  ForEachEdge([](const ipc::Edge& edge, auto) {
    for (const ipc::Rule& rule : edge.rules) {
      // Those of the control edge come from master, and are of several kinds.
      if (rule.descriptor != ipc::Descriptor::kNone && &edge != &kControl)
        EXPECT_EQ(edge.descriptor_kind, static_cast<uint32_t>(S_IFREG)) << edge.name;
    }
  });
}

TEST(Ip, AnAddressOfAnyOtherLengthIsNone) {
  for (size_t octets = 0; octets <= 16; ++octets) {
    const IpAddress address = Ip{.octets = std::string(octets, '\x01')}.ToAddress();
    EXPECT_EQ(address.bytes().size(), octets == 4 || octets == 16 ? octets : 0u) << octets;
  }
}

}  // namespace
}  // namespace postern::protocol
