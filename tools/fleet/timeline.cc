// SPDX-License-Identifier: Apache-2.0
#include "fleet/timeline.h"

#include <fstream>
#include <sstream>

namespace watchwheel::fleet {
namespace {

constexpr std::size_t kProblemsMax = 100;
constexpr std::size_t kLinesMax = FaultBoard::kSwitchesMax / 2 - 1;
constexpr std::string_view kSpace = " \t\r";

// Takes the next word off the front of `line`; empty at its end.
std::string_view take_word(std::string_view& line) {
  const std::size_t start = std::min(line.find_first_not_of(kSpace), line.size());
  line.remove_prefix(start);
  const std::size_t end = std::min(line.find_first_of(kSpace), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

struct Seen {
  bool at = false, lasts = false, fault = false, sites = false;
};

// Reads one `key=value` into `wish`. Returns what is wrong with it, or nothing.
std::string read_word(std::string_view word, std::uint32_t sites, FaultSwitch& wish, Seen& seen) {
  const std::size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
  if (key == "at" || key == "for") {
    const auto duration = parse_duration(value);
    if (!duration) return duration.problem;
    bool& again = key == "at" ? seen.at : seen.lasts;
    if (again) return std::string(key) + "= is given twice: keep one";
    again = true;
    if (key == "at")
      wish.at = *duration.value;
    else
      wish.lasts = duration.value;
    return {};
  }
  if (key == "fault") {
    const auto kind = fault_by_name(value);
    if (!kind || *kind == FaultKind::None) {
      return "unknown fault '" + std::string(value.substr(0, 40)) +
             "': `watchwheel-fleet faults` lists them";
    }
    if (seen.fault) return "fault= is given twice: keep one";
    seen.fault = true;
    wish.kind = *kind;
    return {};
  }
  if (key == "sites") {
    const auto range = parse_site_range(value, sites);
    if (!range) return range.problem;
    if (seen.sites) return "sites= is given twice: keep one";
    seen.sites = true;
    wish.sites = *range.value;
    return {};
  }
  return "unknown word '" + std::string(word.substr(0, 40)) + "': use at=, for=, fault=, sites=";
}

std::string read_line(std::string_view line, std::uint32_t sites, FaultSwitch& wish) {
  Seen seen;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (std::string problem = read_word(word, sites, wish, seen); !problem.empty()) return problem;
  }
  if (!seen.at) return "at= is missing: say when, such as at=60s";
  if (!seen.fault) return "fault= is missing: say which, such as fault=status_500";
  if (!seen.sites) return "sites= is missing: say where, such as sites=0-19";
  return {};
}

}  // namespace

Timeline parse_timeline(std::string_view file, std::string_view text, const FaultBoard& board,
                        std::uint32_t sites) {
  Timeline timeline;
  std::size_t number = 0;
  while (!text.empty() && timeline.problems.size() < kProblemsMax) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(kSpace) == std::string_view::npos) continue;

    FaultSwitch wish;
    std::string problem = read_line(line, sites, wish);
    if (problem.empty()) problem = board.problem_of(wish);
    if (problem.empty() && timeline.switches.size() >= kLinesMax) {
      problem = "too many lines: at most " + std::to_string(kLinesMax);
    }
    if (problem.empty()) {
      timeline.switches.push_back(wish);
    } else {
      timeline.problems.push_back(std::string(file) + ":" + std::to_string(number) +
                                  ": error: " + problem);
    }
  }
  return timeline;
}

Timeline load_timeline(const std::string& path, const FaultBoard& board, std::uint32_t sites) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kTimelineBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  const auto length = static_cast<std::size_t>(in.gcount());
  Timeline refused;
  if (!in.is_open() || in.bad()) {
    refused.problems.push_back(path + ":1: error: cannot be read: give a readable file");
    return refused;
  }
  if (length > kTimelineBytesMax) {
    refused.problems.push_back(path + ":1: error: larger than 4 MiB: give a shorter file");
    return refused;
  }
  return parse_timeline(path, std::string_view(text).substr(0, length), board, sites);
}

}  // namespace watchwheel::fleet
