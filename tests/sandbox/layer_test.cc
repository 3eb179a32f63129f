#include "sandbox/layer.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace postern::sandbox {
namespace {

TEST(Layer, NamesAreDistinctAndLeadBack) {
  std::set<std::string_view> names;
  for (const Layer layer : kAllLayers) {
    EXPECT_TRUE(names.insert(LayerName(layer)).second) << LayerName(layer);
    EXPECT_EQ(LayerNamed(LayerName(layer)), layer);
  }
  EXPECT_FALSE(LayerNamed("").has_value());
  EXPECT_FALSE(LayerNamed("Seccomp").has_value());
}

TEST(LayerSet, HoldsWhatWasAdded) {
  LayerSet set;
  EXPECT_TRUE(set.empty());
  set.Add(Layer::kRing);
  for (const Layer layer : kAllLayers) EXPECT_EQ(set.Has(layer), layer == Layer::kRing);
  set.Remove(Layer::kRing);
  EXPECT_TRUE(set.empty());
  for (const Layer layer : kAllLayers) EXPECT_TRUE(LayerSet::All().Has(layer));
}

}  // namespace
}  // namespace postern::sandbox
