// SPDX-License-Identifier: Apache-2.0
// A configuration file: read, judged, printed, and read again.
#include <cstdint>
#include <string>
#include <string_view>

#include "app/config.h"
#include "app/problem.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

void hold_problem_laws(const app::Problem& problem) {
  LAW(problem.file == "file" && problem.line > 0, "a problem has its line", problem.message);
  const std::string line = app::format(problem);
  LAW(!problem.message.empty() && has_no_controls(line), "a problem is one line", line);
}

// The effective values as a file: "verifier[0].name" is a key of the first [[verifier]].
std::string printed(const app::ConfigReport& report) {
  std::string out;
  std::string current;
  for (const app::EffectiveValue& value : report.values) {
    const auto dot = value.key.find('.');
    const std::string section = value.key.substr(0, dot);
    if (section != current) {
      const auto bracket = section.find('[');
      out += bracket == std::string::npos ? "[" + section + "]\n"
                                          : "[[" + section.substr(0, bracket) + "]]\n";
      current = section;
    }
    out += value.key.substr(dot + 1) + " = " + value.value + "\n";
  }
  return out;
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  const std::string_view text = fuzz::Input(data, size).rest();
  const app::ConfigReport report = app::parse_config(text, "file");
  for (const app::Problem& problem : report.problems) fuzz::hold_problem_laws(problem);
  if (!report.ok()) return 0;

  const std::string file = fuzz::printed(report);
  const app::ConfigReport again = app::parse_config(file, "file");
  for (const app::Problem& problem : again.problems) {
    LAW(problem.severity != app::Severity::Error, "what is in force can be written down",
        app::format(problem), file);
  }
  LAW(again.config == report.config, "what is written down is what is in force", file);
  LAW(fuzz::printed(again) == file, "printed twice is the same file", file, fuzz::printed(again));
  return 0;
}
