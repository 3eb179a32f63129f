// confine-probe: see README.md.
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "common/io/probe.h"
#include "tools/probe/options.h"
#include "tools/probe/report.h"
#include "tools/probe/roles.h"
#include "tools/probe/run.h"

namespace {

using namespace postern;
using namespace postern::probe;
using sandbox::Backend;
using sandbox::Layer;
using sandbox::LayerSet;

enum Status { kHolds = 0, kFailed = 1, kMisuse = 2 };

// Started as root: somebody who is nobody, so that no process or file is his already.
sandbox::Identity SomebodyElse() {
  if (::geteuid() != 0) return {};
  for (uid_t id = 64200; id < 65000; ++id) {
    if (::getpwuid(id) == nullptr && ::getgrgid(id) == nullptr)
      return {.drop = true, .uid = id, .gid = id};
  }
  return {.drop = true, .uid = 64999, .gid = 64999};
}

class Probe {
 public:
  Probe(Options options, Stage& stage, sandbox::Identity identity)
      : options_(std::move(options)), stage_(stage), identity_(identity) {}

  // Says on standard error what is left out because the kernel lacks it.
  void LeaveOutWhatIsMissing();
  absl::StatusOr<Status> TryAll();
  absl::StatusOr<Status> Ablate();

 private:
  absl::StatusOr<Outcomes> TryOne(const std::string& role, Backend backend, LayerSet without);
  absl::StatusOr<size_t> Successes(const std::string& role, Backend backend, LayerSet without);

  Options options_;
  Stage& stage_;
  const sandbox::Identity identity_;
  LayerSet lacking_;  // what the kernel, or what contains us, does not give
  const int landlock_abi_ = LandlockAbi();
  const unsigned ring_operations_ = RingOperations();
};

void Probe::LeaveOutWhatIsMissing() {
  if (const std::string why = WhyNoNamespaces(identity_); !why.empty()) {
    std::fprintf(stderr, "confine-probe: %s; tried without namespaces\n", why.c_str());
    lacking_.Add(Layer::kNamespaces);
  }
  if (options_.backend_named || io::UringWorks()) return;
  std::fprintf(stderr, "confine-probe: io_uring is refused here; epoll alone\n");
  options_.backends = {Backend::kEpoll};
}

absl::StatusOr<Outcomes> Probe::TryOne(const std::string& name, Backend backend, LayerSet without) {
  const Role role = MakeRole(name, backend, stage_);
  Outcomes outcomes{.role = name,
                    .backend = std::string(BackendName(backend)),
                    .acts = ActsFor(role.profile, ring_operations_),
                    .results = {}};
  for (const Layer layer : sandbox::kAllLayers) {
    if (lacking_.Has(layer)) without.Add(layer);
  }
  const How how{
      .identity = identity_,
      .without = without,
      .unlisted = options_.kill ? sandbox::Unlisted::kKill : sandbox::Unlisted::kNoSuchCall,
      .landlock_abi = landlock_abi_};
  absl::StatusOr<std::vector<Result>> results = TryActs(role, how, stage_, outcomes.acts);
  if (!results.ok()) return Annotate(results.status(), name, ", ", BackendName(backend));
  outcomes.results = *std::move(results);
  return outcomes;
}

absl::StatusOr<Status> Probe::TryAll() {
  std::vector<Outcomes> runs;
  size_t succeeded = 0;
  for (const std::string& role : options_.roles) {
    for (const Backend backend : options_.backends) {
      ASSIGN_OR_RETURN(Outcomes outcomes, TryOne(role, backend, options_.without));
      succeeded += Count(outcomes.results).succeeded;
      if (!options_.as_json)
        std::fputs(ToText(outcomes, options_.list_acts ? Show::kAll : Show::kSucceeded).c_str(),
                   stdout);
      runs.push_back(std::move(outcomes));
    }
  }
  if (options_.as_json) std::fputs(ToJson(runs, options_.without).c_str(), stdout);
  const bool sought = !options_.without.empty();
  return (succeeded > 0) == sought ? kHolds : kFailed;
}

absl::StatusOr<size_t> Probe::Successes(const std::string& role, Backend backend,
                                        LayerSet without) {
  ASSIGN_OR_RETURN(const Outcomes outcomes, TryOne(role, backend, without));
  return Count(outcomes.results).succeeded;
}

absl::StatusOr<Status> Probe::Ablate() {
  for (const Backend backend : options_.backends) {
    std::vector<AblationRow> rows;
    AblationRow all{.layer = "all / none of them", .cells = {}};
    for (const std::string& role : options_.roles) {
      AblationCell cell;
      ASSIGN_OR_RETURN(cell.without, Successes(role, backend, {}));
      ASSIGN_OR_RETURN(cell.alone, Successes(role, backend, LayerSet::All()));
      all.cells.push_back(cell);
    }
    for (const Layer layer : sandbox::kAllLayers) {
      AblationRow row{.layer = std::string(LayerName(layer)), .cells = {}};
      for (const std::string& role : options_.roles) {
        AblationCell cell{.possible = layer != Layer::kRing || backend == Backend::kUring};
        LayerSet without;
        without.Add(layer);
        LayerSet others = LayerSet::All();
        others.Remove(layer);
        if (cell.possible) {
          ASSIGN_OR_RETURN(cell.without, Successes(role, backend, without));
          ASSIGN_OR_RETURN(cell.alone, Successes(role, backend, others));
        }
        row.cells.push_back(cell);
      }
      rows.push_back(std::move(row));
    }
    rows.push_back(std::move(all));
    std::printf("%s: acts that succeed without the layer / with it alone\n\n%s\n",
                std::string(BackendName(backend)).c_str(), ToTable(options_.roles, rows).c_str());
    std::fflush(stdout);
  }
  return kHolds;
}

int Complain(const absl::Status& status, int exit_status) {
  std::fflush(stdout);
  std::fprintf(stderr, "confine-probe: %s\n", std::string(Message(status)).c_str());
  return exit_status;
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<Options> options = ParseOptions({argv + 1, argv + argc});
  if (!options.ok()) return Complain(options.status(), kMisuse);
  if (options->help) {
    std::fputs(Usage().c_str(), stdout);
    return kHolds;
  }
  const sandbox::Identity identity = SomebodyElse();
  const char* temporary = std::getenv("TMPDIR");
  absl::StatusOr<std::unique_ptr<Stage>> stage =
      Stage::Make(temporary == nullptr ? "/tmp" : temporary, identity);
  if (!stage.ok()) return Complain(stage.status(), kFailed);
  std::setvbuf(stdout, nullptr, _IOFBF, 1 << 16);
  Probe probe(*options, **stage, identity);
  probe.LeaveOutWhatIsMissing();
  const absl::StatusOr<Status> status = options->ablation ? probe.Ablate() : probe.TryAll();
  if (!status.ok()) return Complain(status.status(), kFailed);
  return *status;
}
