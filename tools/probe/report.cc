#include "tools/probe/report.h"

#include <signal.h>
#include <string.h>

#include <algorithm>

#include "common/base/check.h"

namespace postern::probe {
namespace {

constexpr size_t kNameColumns = 52;

std::string ErrorName(int error) {
  const char* name = ::strerrorname_np(error);
  return name == nullptr ? "errno " + std::to_string(error) : name;
}

std::string SignalName(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : std::string("SIG") + name;
}

const char* Word(Outcome outcome) {
  switch (outcome) {
    case Outcome::kRefused:
      return "refused";
    case Outcome::kKilled:
      return "killed";
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kAllowed:
      return "allowed";
    case Outcome::kNotToBeHad:
      return "not to be had";
  }
  return "";
}

std::string Padded(std::string text, size_t columns) {
  if (text.size() < columns) text.resize(columns, ' ');
  return text;
}

// Our own words: nothing in them needs more.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string ActToJson(const Act& act, const Result& result) {
  std::string json = "{\"group\": " + Quoted(act.group) + ", \"act\": " + Quoted(act.name) +
                     ", \"result\": " + Quoted(Word(result.outcome));
  if (result.error != 0) json += ", \"error\": " + Quoted(ErrorName(result.error));
  if (result.signal != 0) json += ", \"signal\": " + Quoted(SignalName(result.signal));
  if (result.outcome == Outcome::kAllowed) json += ", \"reason\": " + Quoted(act.allowed.reason);
  return json + "}";
}

std::string Joined(const std::vector<std::string>& parts, std::string_view with) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += with;
    joined += part;
  }
  return joined;
}

}  // namespace

Counts Count(const std::vector<Result>& results) {
  Counts counts;
  for (const Result& result : results) {
    counts.allowed += result.outcome == Outcome::kAllowed;
    counts.not_to_be_had += result.outcome == Outcome::kNotToBeHad;
    counts.succeeded += result.outcome == Outcome::kSucceeded;
  }
  counts.tried = results.size() - counts.allowed - counts.not_to_be_had;
  return counts;
}

std::string Describe(const Act& act, const Result& result) {
  std::string text = Word(result.outcome);
  if (result.error != 0) text += ", " + ErrorName(result.error);
  if (result.signal != 0) text += ", " + SignalName(result.signal);
  if (result.outcome == Outcome::kAllowed) text += ": " + act.allowed.reason;
  if (result.outcome == Outcome::kNotToBeHad)
    text += act.needs_root ? ": started without root"
                           : ": needs Landlock ABI " + std::to_string(act.landlock_abi);
  return text;
}

std::string ToText(const Outcomes& outcomes, Show show) {
  CHECK(outcomes.acts.size() == outcomes.results.size());
  const Counts counts = Count(outcomes.results);
  std::string text = Padded(outcomes.role, 9) + outcomes.backend + ": " +
                     std::to_string(counts.tried) + " acts tried, " +
                     std::to_string(counts.succeeded) + " succeeded";
  if (counts.allowed > 0) text += "; " + std::to_string(counts.allowed) + " more are its own";
  if (counts.not_to_be_had > 0)
    text += "; " + std::to_string(counts.not_to_be_had) + " are not to be had here";
  text += "\n";
  for (size_t i = 0; i < outcomes.acts.size(); ++i) {
    const Act& act = outcomes.acts[i];
    const Result& result = outcomes.results[i];
    if (show == Show::kSucceeded && result.outcome != Outcome::kSucceeded) continue;
    text += "  " + Padded(act.group, 16) + Padded(act.name, kNameColumns) + " " +
            Describe(act, result) + "\n";
  }
  return text;
}

std::string ToJson(const std::vector<Outcomes>& runs, const sandbox::LayerSet& without) {
  std::vector<std::string> left_out;
  for (const sandbox::Layer layer : sandbox::kAllLayers) {
    if (without.Has(layer)) left_out.push_back(Quoted(sandbox::LayerName(layer)));
  }
  std::vector<std::string> all;
  for (const Outcomes& run : runs) {
    const Counts counts = Count(run.results);
    std::vector<std::string> acts;
    for (size_t i = 0; i < run.acts.size(); ++i)
      acts.push_back("    " + ActToJson(run.acts[i], run.results[i]));
    all.push_back("  {\"role\": " + Quoted(run.role) + ", \"backend\": " + Quoted(run.backend) +
                  ", \"tried\": " + std::to_string(counts.tried) +
                  ", \"succeeded\": " + std::to_string(counts.succeeded) +
                  ", \"allowed\": " + std::to_string(counts.allowed) +
                  ", \"not_to_be_had\": " + std::to_string(counts.not_to_be_had) +
                  ", \"acts\": [\n" + Joined(acts, ",\n") + "]}");
  }
  return "{\"without\": [" + Joined(left_out, ", ") + "], \"runs\": [\n" + Joined(all, ",\n") +
         "]}\n";
}

std::string ToTable(const std::vector<std::string>& roles, const std::vector<AblationRow>& rows) {
  std::string table = "| layer |";
  std::string rule = "| --- |";
  for (const std::string& role : roles) {
    table += " " + role + " |";
    rule += " --- |";
  }
  table += "\n" + rule + "\n";
  for (const AblationRow& row : rows) {
    table += "| " + row.layer + " |";
    for (const AblationCell& cell : row.cells) {
      table += cell.possible
                   ? " " + std::to_string(cell.without) + " / " + std::to_string(cell.alone) + " |"
                   : " - |";
    }
    table += "\n";
  }
  return table;
}

}  // namespace postern::probe
