#include "common/service/confining.h"

#include <gtest/gtest.h>

#include "sandbox/profiles/profiles.h"
#include "tests/sandbox/confined_child.h"

namespace postern::service {
namespace {

using sandbox::Backend;
using sandbox::KernelLayer;
using sandbox::MissingLayers;

// In a child: whether bounced could become confined with `missing`, or what was said instead.
int Enter(MissingLayers missing, std::string_view said) {
  return sandbox::InChild([&] {
    io::LoopOptions options;
    options.backend = io::BackendKind::kEpoll;
    const auto confined =
        EnterLayers(sandbox::BouncedProfile(Backend::kEpoll), {}, options, missing);
    if (confined.ok()) return said.empty() ? 7 : 1;
    return !said.empty() && Message(confined.status()).find(said) != said.npos ? 7 : 2;
  });
}

TEST(EnterLayers, WithoutALayerThatMayNotBeMissingNothingIsBegun) {
  MissingLayers missing({"mdwe", "landlock", "landlock-network", "landlock-scopes"});
  missing.Add(KernelLayer::kNamespaces, FailedPrecondition("namespaces: clone: refused"));
  const int status = Enter(std::move(missing), "namespaces: clone: refused");
  EXPECT_TRUE(sandbox::EndedWith(status, 7)) << status;
}

TEST(EnterLayers, WhatMayBeMissingIsGoneWithout) {
  SKIP_UNDER_A_SANITIZER();
  MissingLayers missing({"namespaces", "mdwe", "landlock", "landlock-network", "landlock-scopes"});
  missing.Add(KernelLayer::kNamespaces, FailedPrecondition("namespaces: clone: refused"));
  const int status = Enter(std::move(missing), "");
  EXPECT_TRUE(sandbox::EndedWith(status, 7)) << status;
}

}  // namespace
}  // namespace postern::service
