// SPDX-License-Identifier: Apache-2.0
// The metrics page of a running daemon against docs/reference/metrics.md and Prometheus's own linter. What the sources name is
// held against the reference in tests/unit/repo; here it is what a scrape really gets.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "daemon.h"
#include "support/fault_server.h"
#include "support/promtool.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

struct Family {
  std::string type;
  std::set<std::string> labels;  // Their names; of a histogram without `le`.
  bool operator==(const Family&) const = default;
};
using Families = std::map<std::string, Family>;  // By name.

void PrintTo(const Family& family, std::ostream* out) {
  *out << family.type;
  for (const std::string& label : family.labels) *out << ' ' << label;
}

// The texts between backticks.
std::vector<std::string> in_backticks(std::string_view text) {
  std::vector<std::string> all;
  for (;;) {
    const auto begin = text.find('`');
    const auto end = begin == text.npos ? begin : text.find('`', begin + 1);
    if (end == text.npos) return all;
    all.emplace_back(text.substr(begin + 1, end - begin - 1));
    text.remove_prefix(end + 1);
  }
}

// A row: | `name` | type | `label`: `value`, … or `label`, `label` | meaning |. Before a colon stand labels, after it values.
Families written_in_the_reference() {
  std::ifstream file(WATCHWHEEL_SOURCE_DIR "/docs/reference/metrics.md");
  Families all;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `watchwheel_")) continue;
    std::vector<std::string> cells;
    std::stringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(cell);
    EXPECT_GE(cells.size(), 4U) << line;
    if (cells.size() < 4) continue;
    const auto labels = in_backticks(cells[2].substr(0, cells[2].find(':')));
    Family family{.type = cells[1].substr(1, cells[1].size() - 2),
                  .labels = {labels.begin(), labels.end()}};
    EXPECT_TRUE(all.emplace(in_backticks(cells[0]).at(0), family).second)
        << "written twice: " << line;
  }
  return all;
}

// The label names of a sample, `name{a="x",b="y"} 1`.
std::set<std::string> labels_of(std::string_view sample) {
  std::set<std::string> names;
  const auto open = sample.find('{');
  if (open == sample.npos) return names;
  sample.remove_prefix(open + 1);
  while (!sample.empty() && sample.front() != '}') {
    const auto equals = sample.find("=\"");
    const auto end = equals == sample.npos ? equals : sample.find('"', equals + 2);
    if (end == sample.npos) {
      ADD_FAILURE() << "no label: " << sample;
      return names;
    }
    names.emplace(sample.substr(0, equals));
    sample.remove_prefix(end + 1);
    if (sample.starts_with(',')) sample.remove_prefix(1);
  }
  names.erase("le");
  return names;
}

// Samples stand below their family's TYPE line.
Families on_the_page(const std::string& page) {
  Families all;
  auto family = all.end();
  std::stringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::stringstream words(line.substr(7));
      std::string name;
      std::string type;
      words >> name >> type;
      const auto [at, is_new] = all.emplace(name, Family{.type = type, .labels = {}});
      EXPECT_TRUE(is_new) << "twice on the page: " << name;
      family = at;
    } else if (!line.empty() && !line.starts_with('#')) {
      if (family == all.end() || !line.starts_with(family->first)) {
        ADD_FAILURE() << "a sample outside its family: " << line;
        continue;
      }
      family->second.labels.merge(labels_of(line));
    }
  }
  return all;
}

// Goal: the reference names exactly the families that a scrape gets, with their types and labels, and promtool has nothing to say
// of them. Method: a daemon with a few sites, one of them down, so that no family is there only while nothing happens.
TEST(MetricsPage, HasTheFamiliesOfTheReferenceAndPleasesPromtool) {
  const TempDir dir;
  fleet::Config config;
  config.sites = 4;
  config.interval = 1s;
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  fleet.fault("status_500", 0, 0);
  // A verifier that is not there: it has its families all the same.
  const std::string verifier = "[[verifier]]\nname = \"gone\"\nurl = \"http://127.0.0.1:" +
                               std::to_string(closed_port()) + "\"\n";
  DaemonUnderTest daemon(fleet, 2s, verifier);
  daemon.import_sites(4);
  daemon.start();
  daemon.wait_ready();
  const auto has_seen_one_down = [&] {
    return daemon.metric("watchwheel_transitions_total{reason=\"confirmed\"}") >= 1;
  };
  ASSERT_TRUE(eventually(has_seen_one_down, 30s)) << daemon.status().dump(1);

  const auto page = daemon.get("/metrics");
  ASSERT_TRUE(page.has_value());
  const Families written = written_in_the_reference();
  ASSERT_GT(written.size(), 20U);
  EXPECT_EQ(on_the_page(*page), written);
  EXPECT_EQ(promtool_complaints(*page), "");
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
